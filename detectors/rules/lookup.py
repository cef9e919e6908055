"""How a rule's field name finds its values in an event.

A name is looked up in the vendor's record first: as a key of its own (``a.b`` beside other keys), else as a
path through nested maps, where lists are searched element by element. Where the record does not have it, the
flat ECS fields are asked. A null in the record counts as found. Nothing here recurses, so no nesting an
attacker sends can exhaust the stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["Words", "flatten", "folded", "leaves", "path_of", "text", "texts"]

_MISSING: Final = object()

Record = Mapping[str, Any]


def path_of(name: str) -> tuple[str, ...]:
    """The steps of a dotted name; empty where there is no dot and so no nested path."""
    return tuple(name.split(".")) if "." in name else ()


def text(value: object) -> str | None:
    """A scalar as rules see it: JSON's spelling of numbers and booleans; None for null, maps, lists."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int | float):
        return repr(value)
    return None


def flatten(values: list[Any] | tuple[Any, ...]) -> Iterator[Any]:
    """The elements of a list and of the lists in it, in order."""
    stack = [iter(values)]
    while stack:
        for value in stack[-1]:
            if isinstance(value, list | tuple):
                stack.append(iter(value))
                break
            yield value
        else:
            stack.pop()


def _walk(record: Record, path: tuple[str, ...]) -> Any:
    value: Any = record
    for position, step in enumerate(path):
        if isinstance(value, dict):
            value = value.get(step, _MISSING)
            if value is _MISSING:
                return _MISSING
        elif isinstance(value, list):
            return _spread(value, path[position:])
        else:
            return _MISSING
    return value


def _spread(values: list[Any], path: tuple[str, ...]) -> Any:
    found = [value for value in flatten(values) if isinstance(value, dict)]
    for step in path:
        found = [
            inner[step]
            for value in found
            for inner in (flatten(value) if isinstance(value, list) else (value,))
            if isinstance(inner, dict) and step in inner
        ]
    return found or _MISSING


def _find(record: Record, fields: Record, name: str, path: tuple[str, ...]) -> Any:
    value = record.get(name, _MISSING)
    if value is _MISSING:
        if path:
            value = _walk(record, path)
        if value is _MISSING:
            value = fields.get(name, _MISSING)
    return value


def leaves(record: Record, fields: Record, name: str, path: tuple[str, ...]) -> tuple[Any, ...] | None:
    """Every value under ``name``, lists flattened; None where the event does not have the field."""
    value = _find(record, fields, name, path)
    if value is _MISSING:
        return None
    return tuple(flatten(value)) if isinstance(value, list | tuple) else (value,)


def texts(record: Record, fields: Record, name: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """The text of every scalar under ``name``."""
    value = _find(record, fields, name, path)
    if type(value) is str:
        return (value,)
    if value is _MISSING:
        return ()
    values = flatten(value) if isinstance(value, list | tuple) else (value,)
    return tuple(found for found in map(text, values) if found is not None)


def folded(record: Record, fields: Record, name: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """As :func:`texts`, with case folded."""
    value = _find(record, fields, name, path)
    if type(value) is str:
        return (value.casefold(),)
    if value is _MISSING:
        return ()
    values = flatten(value) if isinstance(value, list | tuple) else (value,)
    return tuple(found.casefold() for found in map(text, values) if found is not None)


class Words:
    """Every scalar of an event as text, for keywords; gathered once, when the first keyword asks."""

    __slots__ = ("_fields", "_folded", "_joined", "_record", "_texts", "time")

    def __init__(self, record: Record, fields: Record, time: int | None = None) -> None:
        self.time = time  #: of the event, in ms since the epoch, against which indicators expire
        self._record = record
        self._fields = fields
        self._texts: tuple[str, ...] | None = None
        self._folded: tuple[str, ...] | None = None
        self._joined: str | None = None

    def texts(self) -> tuple[str, ...]:
        """As they stand in the event."""
        if self._texts is None:
            gathered: list[str] = []
            stack: list[Any] = [*self._record.values(), *self._fields.values()]
            for value in stack:  # grows while it is read
                if type(value) is str:
                    gathered.append(value)
                elif isinstance(value, dict):
                    stack.extend(value.values())
                elif isinstance(value, list | tuple):
                    stack.extend(value)
                elif (found := text(value)) is not None:
                    gathered.append(found)
            self._texts = tuple(gathered)
        return self._texts

    def folded(self) -> tuple[str, ...]:
        """With case folded."""
        if self._folded is None:
            self._folded = tuple(found.casefold() for found in self.texts())
        return self._folded

    def joined(self) -> str:
        """:meth:`folded` in one string, NUL between two: one search instead of one for each value."""
        if self._joined is None:
            self._joined = "\0".join(self.texts()).casefold()
        return self._joined
