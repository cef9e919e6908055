"""The sources of one installation: those of the catalog, and those that its tables' files add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from streams.sources import catalog
from streams.sources.base import BadRecord, Source
from streams.sources.table import Table
from streams.sources.table_load import Problem, load_tables

__all__ = ["CATALOG", "Sources", "load_sources"]


class Sources:
    """Finds the source of a record, by name or by shape. The catalog's go first, so no table takes their records."""

    def __init__(self, tables: Sequence[Table] = ()) -> None:
        self.tables = tuple(tables)
        self._by_name: dict[str, Source] = {source.name: source for source in (*catalog.SOURCES, *tables)}
        # The one that asks for more columns knows its rows better.
        self._telling = sorted((table for table in tables if table.telling), key=lambda table: -len(table.telling))

    def __iter__(self) -> Iterator[Source]:
        return iter(self._by_name.values())

    def by_name(self, name: str) -> Source:
        """The source of that name. Raises ValueError that names the nearest right one."""
        found = self._by_name.get(name)
        if found is None:
            near = get_close_matches(name, self._by_name, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"there is no source of that name, only {', '.join(self._by_name)}{hint}")
        return found

    def recognise(self, record: Mapping[str, Any], topic: str | None = None) -> Source:
        """The source whose shape the record has, among those of ``topic`` where one is given. Raises BadRecord."""
        if not self._telling:
            return catalog.recognise(record, topic)
        try:
            return catalog.recognise(record, topic)
        except BadRecord as exc:
            for table in self._telling:
                if topic in (None, table.topic) and table.recognises(record):
                    return table
            names = [table.name for table in self._telling if topic in (None, table.topic)]
            raise BadRecord(", ".join([str(exc), *names])) from None


#: The catalog alone.
CATALOG: Final = Sources()


def load_sources(paths: Sequence[Path]) -> tuple[Sources, list[Problem]]:
    """The catalog and the tables of these files and folders, and what is wrong with those that are left out."""
    tables, problems = load_tables([path.expanduser() for path in paths], [source.name for source in CATALOG])
    return Sources(tables), problems
