"""Parts of an HL7 v2 message by the names that its specification gives them: ``PID-3.4``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Malformed", "component", "first", "repetitions", "segments", "texts"]

_Json = Mapping[str, Any]


class Malformed(Exception):
    """A part is not what :mod:`streams.er7` makes of one. Its message is the part's name."""


def segments(record: _Json, name: str) -> list[_Json]:
    """Every segment of a name, in order. Raises Malformed."""
    value = record.get(name)
    found = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(segment, Mapping) for segment in found):
        raise Malformed(name)
    return found


def first(record: _Json, name: str) -> _Json:
    """The first segment of a name; empty where there is none. Raises Malformed."""
    return next(iter(segments(record, name)), {})


def repetitions(segment: _Json, name: str) -> list[_Json]:
    """Every repetition of a field, as its components by number. Raises Malformed."""
    value = segment.get(name.partition("-")[2])
    found = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(field, Mapping) for field in found):
        raise Malformed(name)
    return found


def component(segment: _Json, name: str) -> str:
    """A component of a field's first repetition, the first one where none is named; "" where it is empty.

    Of a component with subcomponents, its first. Raises Malformed where it is no text.
    """
    field, _, number = name.partition(".")
    found = next(iter(repetitions(segment, field)), {})
    value = found.get(number or "1", "")
    if isinstance(value, Mapping):
        value = value.get("1", "")
    if type(value) is not str:
        raise Malformed(name)
    return value.strip()


def texts(node: Any) -> list[str]:
    """Every text of a part, in order."""
    if isinstance(node, str):
        return [node] if node.strip() else []
    if isinstance(node, Mapping):
        return [text for inner in node.values() for text in texts(inner)]
    if isinstance(node, list):
        return [text for inner in node for text in texts(inner)]
    return []
