"""Which names a rule may ask about: those that the sources of its log source are known to fill.

Of ECS that is certain, because a source lists what it releases. Of a vendor's own names it mostly is not: a source
reads what it needs and leaves the rest of a record to rules. So a vendor's name is known where a table's file declares
it or where a record that ships with a rule has it, and else nobody here knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, NamedTuple

from detectors.rules import Rule, lookup, starter_rules
from detectors.rules.expression import questions
from streams.sources.base import ALWAYS, BadRecord, LogSource, Source
from streams.sources.ecs import FIELDS
from streams.sources.known import CATALOG, Sources
from streams.sources.table import Table
from streams.sources.table_load import used_columns

__all__ = ["Doubt", "Names", "asked_names", "events_of", "fitting"]

#: What rules must not take for their own: a name under which a source says something in ECS.
_ECS: Final = frozenset({*FIELDS, *ALWAYS, "user.id", "event.type", "event.category"})


class Doubt(NamedTuple):
    """A name that a rule asks about and that is not known to be there."""

    name: str
    certain: bool  #: True where it cannot be there
    hint: str  #: the nearest name that is known; may be empty


def fitting(rule: Rule, sources: Iterable[Source]) -> list[Source]:
    """The sources on whose records ``rule`` is tried, some of whose records may be of another service."""
    return [source for source in sources if any(rule.applies_to(*_parts(log)) for log in _logsources(source))]


def asked_names(rule: Rule) -> Iterator[str]:
    """Every field that a rule asks about, once."""
    found: dict[str, None] = {}
    for question in questions(rule.expression):
        if question.field is not None:
            found[question.field] = None
            if question.kind == "fieldref":
                found[question.operands[0][0]] = None
    yield from found


def events_of(document: Mapping[str, Any]) -> Iterator[tuple[str, int, Any]]:
    """The events inside a rule: ``positive`` or ``negative``, number from 0, event."""
    own = document.get("wardwatch")
    tests = own.get("tests") if isinstance(own, Mapping) else None
    if isinstance(tests, Mapping):
        for kind in ("positive", "negative"):
            events = tests.get(kind)
            for number, event in enumerate(events if isinstance(events, list) else []):
                yield kind, number, event


class Names:
    """Tells known names from others."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def doubts(self, rule: Rule, events: Iterable[Any]) -> Iterator[Doubt]:
        """The names of ``rule`` that are not known. ``events``: those inside it, which are known by being there."""
        sources = fitting(rule, self._sources)
        own = [_seen(event, self._sources)[1:] for event in events if isinstance(event, Mapping)]
        ecs = frozenset().union(*(source.released for source in sources))
        columns = {name for source in sources for name in _columns(source)}
        closed = bool(sources) and all(isinstance(source, Table) and source.file.columns for source in sources)
        records = [seen for source in sources for seen in _shipped().get(source.name, ())]
        near = {*ecs, *columns, *(name for record, _ in records for name in _names(record))}
        for name in asked_names(rule):
            path = lookup.path_of(name)
            if name in ecs or name in columns:
                continue
            if any(lookup.leaves(record, fields, name, path) is not None for record, fields in (*own, *records)):
                continue
            certain = closed or _is_ecs(name)
            yield Doubt(name, certain, _nearest(name, near) if certain else _otherwise(name, near))


Seen = tuple[Mapping[str, Any], Mapping[str, Any]]


@cache
def _shipped() -> dict[str, list[Seen]]:
    """By source, the events that ship inside rules."""
    found: dict[str, list[Seen]] = {}
    for rule in starter_rules().rules:
        for _, _, event in events_of(rule.custom):
            source, record, fields = _seen(event, CATALOG)
            found.setdefault(source, []).append((record, fields))
    return found


def _seen(event: Mapping[str, Any], sources: Sources) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    """The source of an event, and what rules see of it: the record as it stands where nothing reads it."""
    try:
        source = sources.recognise(event)
        draft = source.normalise(event)
    except BadRecord:
        return "", event, {}
    seen = event if draft.shown is None else draft.shown
    return source.name, {**seen, **(draft.aliases or {})}, draft.fields


def _is_ecs(name: str) -> bool:
    return name in _ECS or name.startswith("wardwatch.")


def _nearest(name: str, known: Iterable[str]) -> str:
    """The nearest name below the same part of a record."""
    around = name.casefold().rpartition(".")[0]
    folded = {one.casefold(): one for one in known if one.casefold().rpartition(".")[0] == around}
    found = get_close_matches(name.casefold(), folded, n=1)
    return folded[found[0]] if found else ""


def _otherwise(name: str, known: Iterable[str]) -> str:
    """The same name in other letters."""
    return next((one for one in sorted(known) if one.casefold() == name.casefold()), "")


def _names(record: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted names of a record, those inside lists too."""
    for name, value in record.items():
        yield f"{prefix}{name}"
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                yield from _names(inner, f"{prefix}{name}.")


def _columns(source: Source) -> Iterator[str]:
    if isinstance(source, Table):
        yield from source.file.columns
        yield from (name for _, name in used_columns(source.file))


def _logsources(source: Source) -> tuple[LogSource, ...]:
    return (source.logsource, *OTHERS.get(source.name, ()))


#: Log sources of some records of a source, beside its own.
OTHERS: Final[dict[str, tuple[LogSource, ...]]] = {
    "entra-audit": (LogSource("azure", "riskdetection"),),
    "gcp-audit": (LogSource("gcp", "google_workspace.admin"), LogSource("gcp", "google_workspace.login")),
    "google-workspace": (LogSource("gcp", "google_workspace.login"),),
    "m365": (LogSource("m365", "threat_management"),),
}


def _parts(log: LogSource) -> tuple[str, str, str]:
    return log.product, log.service, log.category
