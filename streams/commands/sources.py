"""``sources``: which kinds of record there are, and whether a table's file says what its author means."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import orjson

from detectors.rules import RuleSet
from streams.documents import document
from streams.pipeline import Reader
from streams.privacy import Pseudonyms
from streams.reading import read_files
from streams.sources.base import BadRecord
from streams.sources.known import CATALOG, Sources
from streams.sources.table_load import load_tables, used_columns

__all__ = ["check", "source_lines"]


def source_lines(sources: Sources) -> Iterator[str]:
    """One line a source: its name, its topic, what Sigma's ``logsource`` is of it."""
    for source in sources:
        named = {"product": source.logsource.product, "service": source.logsource.service}
        named["category"] = source.logsource.category
        told = ", ".join(f"{part}: {value}" for part, value in named.items() if value)
        yield f"{source.name:<24} {source.topic:<12} {told}"


def check(file: Path, samples: Sequence[str], *, form: str, now: int, out: TextIO, errors: TextIO) -> int:
    """Tell ``errors`` what is wrong with a table's file and with rows of it; ``out`` has what would leave of each row.

    Pseudonyms are of a key that nobody keeps. The exit code: 1 where the file or a row is refused.
    """
    tables, problems = load_tables([file], [source.name for source in CATALOG])
    for problem in problems:
        print(problem, file=errors)
    if problems:
        return 1
    (table,) = tables
    known = f"known by {', '.join(sorted(table.telling))}" if table.telling else "known by header source alone"
    print(f"{file}: {table.name}, to {table.topic}, {known}; releases {', '.join(sorted(table.released))}", file=errors)
    reader = Reader(RuleSet([]), Pseudonyms(os.urandom(32), "sample"))
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    for item in read_files(samples, form):
        place = item.place
        try:
            if item.record is None:
                raise BadRecord(item.error or "")
            seen.update(item.record)
            released = reader.read(item.record, table, fallback_id=lambda place=place: place, received=now)  # type: ignore[misc]
        except BadRecord as exc:
            counts["refused"] += 1
            print(f"{place}: {exc}", file=errors)
            continue
        counts["read"] += 1
        if table.telling and not table.recognises(item.record):
            counts["not recognised"] += 1
        out.write(orjson.dumps(document(released.event)).decode() + "\n")
    if samples:
        told = ", ".join(f"{number} {what}" for what, number in counts.items()) or "none"
        print(f"rows: {told}", file=errors)
        used = {name for _, name in used_columns(table.file)}
        if idle := sorted(seen - used - {"message"}):
            print(f"columns that nothing reads: {', '.join(idle)}", file=errors)
    return 1 if counts["refused"] or (samples and not counts["read"]) else 0
