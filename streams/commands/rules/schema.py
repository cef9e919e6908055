"""The Sigma schemas of version 2.1 (detection rules, correlations, filters) as a person is told of a breach.

The published JSON Schemas say the same; a test holds both to each other. A date that YAML reads as one counts as text.
What they leave out is let pass: ``value_median``, the extended condition of a temporal correlation, and the two types
of this product's own, ``new_term`` and ``absence`` (``docs/memory.md``).

Source: Sigma specification 2.1.0, ``json-schema/``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

__all__ = ["breaches"]

Place = tuple[str | int, ...]
Breach = tuple[Place, str]
_Check = Callable[[Any], Iterator[Breach]]

STATUSES: Final = ("stable", "test", "experimental", "deprecated", "unsupported")
LEVELS: Final = ("informational", "low", "medium", "high", "critical")
_DATE: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[012])-(0[1-9]|[12][0-9]|3[01])")
_TAG: Final = re.compile(r"[a-z0-9_-]+\.[a-z0-9._-]+")
_CORRELATIONS: Final = (
    *("event_count", "temporal", "temporal_ordered", "value_count"),
    *("value_sum", "value_avg", "value_percentile", "value_median"),
    *("new_term", "absence"),
)


def breaches(document: Mapping[str, Any]) -> Iterator[Breach]:
    """Where ``document`` breaks the schema of its kind, and how."""
    required: tuple[str, ...]
    if "correlation" in document:
        required, keys = ("title", "correlation"), {**_COMMON, **_RATED, **_CORRELATED}
    elif "filter" in document:
        required, keys = ("title", "logsource", "filter"), {**_COMMON, "logsource": _logsource, "filter": _filter}
    else:
        required, keys = ("title", "logsource", "detection"), {**_COMMON, **_RATED, **_DETECTED}
    yield from _missing(document, required)
    for name, check in keys.items():
        if name in document:
            for place, told in check(document[name]):
                yield (name, *place), told


def _missing(holder: Mapping[str, Any], required: tuple[str, ...], where: str = "") -> Iterator[Breach]:
    for name in required:
        if name not in holder:
            yield (), f"{where}{name} is missing, and the schema requires it"


def _text(longest: int = 0, shortest: int = 0, form: re.Pattern[str] | None = None, like: str = "") -> _Check:
    def check(value: Any) -> Iterator[Breach]:
        value = value.isoformat() if isinstance(value, dt.date) else value
        if not isinstance(value, str):
            yield (), f"is {_kind(value)}, where the schema wants text"
        elif longest and len(value) > longest:
            yield (), f"has {len(value)} characters, where the schema allows {longest}"
        elif len(value) < shortest:
            yield (), f"has {len(value)} characters, where the schema wants {shortest}"
        elif form is not None and not form.fullmatch(value):
            yield (), f"is not of the form {like}"

    return check


def _one_of(words: tuple[str, ...]) -> _Check:
    def check(value: Any) -> Iterator[Breach]:
        if value not in words:
            yield (), f"is none of {', '.join(words)}"

    return check


def _uuid(value: Any) -> Iterator[Breach]:
    try:
        good = isinstance(value, str) and str(UUID(value)) == value.lower()
    except ValueError:
        good = False
    if not good:
        yield (), "is no UUID"


def _boolean(value: Any) -> Iterator[Breach]:
    if not isinstance(value, bool):
        yield (), f"is {_kind(value)}, where the schema wants true or false"


def _list(item: _Check, *, unique: bool = True, least: int = 0) -> _Check:
    def check(value: Any) -> Iterator[Breach]:
        if not isinstance(value, list):
            yield (), f"is {_kind(value)}, where the schema wants a list"
            return
        if len(value) < least:
            yield (), "is an empty list"
        seen: set[str] = set()
        for number, one in enumerate(value):
            for place, told in item(one):
                yield (number, *place), told
            key = repr(one)
            if unique and key in seen:
                yield (number,), "stands in the list twice"
            seen.add(key)

    return check


def _map(keys: Mapping[str, _Check], required: tuple[str, ...] = ()) -> _Check:
    def check(value: Any) -> Iterator[Breach]:
        if not isinstance(value, Mapping):
            yield (), f"is {_kind(value)}, where the schema wants a map"
            return
        yield from _missing(value, required)
        for name, inner in keys.items():
            if name in value:
                for place, told in inner(value[name]):
                    yield (name, *place), told

    return check


def _search(value: Any) -> Iterator[Breach]:
    if isinstance(value, Mapping):
        return
    if not isinstance(value, list):
        yield (), f"is {_kind(value)}, where the schema wants a map or a list"
        return
    for number, one in enumerate(value):
        if isinstance(one, bool) or not isinstance(one, str | int | dt.date | Mapping):
            yield (number,), f"is {_kind(one)}, where the schema wants text, a whole number or a map"


def _detection(value: Any) -> Iterator[Breach]:
    if not isinstance(value, Mapping):
        yield (), f"is {_kind(value)}, where the schema wants a map"
        return
    yield from _missing(value, ("condition",))
    for name, one in value.items():
        for place, told in (_text() if name == "condition" else _search)(one):
            yield (name, *place), told


def _criterion(value: Any) -> Iterator[Breach]:
    if not isinstance(value, str):
        yield from _map({})(value)


def _correlation(value: Any) -> Iterator[Breach]:
    kinds = _one_of(_CORRELATIONS)
    rules = _list(_text(shortest=2))
    keys = {"type": kinds, "rules": rules, "group-by": _list(_text()), "timespan": _text(10), "condition": _criterion}
    yield from _map({**keys, "aliases": _map({})}, ("type", "rules", "timespan"))(value)
    if isinstance(value, Mapping):
        counted = str(value.get("type", "")).startswith(("event_", "value_"))
        needed = {"new_term": ("field",), "absence": ()}.get(
            str(value.get("type")), ("group-by", "condition") if counted else ("group-by",)
        )
        if value.get("type") in _CORRELATIONS:
            yield from _missing(value, needed)


def _filter(value: Any) -> Iterator[Breach]:
    keys = {"rules": _list(_text(), least=1), "selection": _search, "condition": _text()}
    yield from _map(keys, ("rules", "selection", "condition"))(value)


def _falsepositives(value: Any) -> Iterator[Breach]:
    """Of a correlation, which may also say them in one text."""
    yield from (_text(shortest=2) if isinstance(value, str) else _list(_text(shortest=2)))(value)


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a map" if isinstance(value, Mapping) else type(value).__name__


_day: Final = _text(form=_DATE, like="2026-01-31")
_logsource: Final = _map(dict.fromkeys(("category", "product", "service", "definition"), _text()))
_COMMON: Final[dict[str, _Check]] = {
    "title": _text(256),
    "id": _uuid,
    "description": _text(65_535),
    "date": _day,
    "modified": _day,
    "taxonomy": _text(256),
}
_RATED: Final[dict[str, _Check]] = {
    "status": _one_of(STATUSES),
    "author": _text(),
    "references": _list(_text()),
    "falsepositives": _list(_text(shortest=2)),
    "level": _one_of(LEVELS),
}
_CORRELATED: Final[dict[str, _Check]] = {
    "falsepositives": _falsepositives,
    "generate": _boolean,
    "correlation": _correlation,
}
_related: Final = _map(
    {"id": _uuid, "type": _one_of(("derived", "obsolete", "merged", "renamed", "similar"))}, ("id", "type")
)
_DETECTED: Final[dict[str, _Check]] = {
    "related": _list(_related, unique=False),
    "name": _text(256),
    "license": _text(),
    "logsource": _logsource,
    "detection": _detection,
    "fields": _list(_text()),
    "tags": _list(_text(form=_TAG, like="namespace.tag, in small letters")),
    "scope": _list(_text(shortest=2), unique=False),
}
