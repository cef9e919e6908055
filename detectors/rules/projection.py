"""Reads of a JSON line no more than tells whether any rule could match it.

Most lines of a log match nothing, and most of a line is never asked about. So one decoder is made that takes from a
line the fields in which an index looks for witnesses, and passes over the rest without making Python's objects of it;
one generated function then asks the index's nodes, as :mod:`detectors.rules.probe` does for a whole record.

The answer errs to one side. What is passed over is a record of its source, whole and in order, in which no rule finds
a witness, or where each that does is tried and does not match. Whatever else a line may be (broken, of another source,
of a shape that this does not follow) is read whole by whoever asked. One thing is not looked at: whether a number that
nothing asks for fits a double.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import UNSET, Raw, UnsetType

__all__ = ["ANYTHING", "OBJECT", "Clock", "Node", "Passes", "Settled", "Wanted", "projection"]

#: A line, in UTF-8 -> True where it is a plain record that no rule matches.
Passes = Callable[[memoryview], bool]

#: A line that is a plain record, and the rules whose witnesses are in it -> True where none of them matches.
Settled = Callable[[memoryview, tuple[int, ...]], bool]


class Clock(NamedTuple):
    """Asked of the time of a record in which no rule matches."""

    field: str  #: a required one
    passes: Callable[[str], bool]  #: the text in it -> True where a record of that time may be passed over


_FEW: Final = 6  # texts up to which looking for each beats remembering where they were found
_DEEP: Final = 6  # maps in maps; Python refuses twenty nested blocks, and deeper names are rare


class _Unread(msgspec.Struct):
    """An object of which nothing is asked."""


#: Types of a field, beside those that msgspec reads: of any value, which is passed over; an object or null.
ANYTHING: Final[Any] = Raw
_TEXT: Final[Any] = Annotated[str, msgspec.Meta(min_length=1)]
OBJECT: Final[Any] = _Unread | None


class Wanted(NamedTuple):
    """A node that is asked about what stands under a path."""

    path: Sequence[str]
    node: Node
    aliased: bool  #: the path is not the one under which the index itself has that node


class Node(Protocol):
    """What this module asks of a node of the index."""

    @property
    def equals(self) -> Mapping[str, tuple[int, ...]]: ...
    @property
    def substrings(self) -> Mapping[str, tuple[int, ...]]: ...
    @property
    def present(self) -> tuple[int, ...]: ...
    @property
    def remembered(self) -> dict[str, tuple[int, ...]]: ...
    def collect(self, value: Any) -> tuple[int, ...]: ...


@dataclass(slots=True)
class _Place:
    """A name in a record, the nodes that are asked about what stands there, and the names in it."""

    nodes: list[Node] = field(default_factory=list)
    names: dict[str, _Place] = field(default_factory=dict)
    aliased: bool = False  #: True where some node in it is asked under another name too


def projection(
    fields: Mapping[str, Any],
    required: AbstractSet[str],
    wanted: Iterable[Wanted],
    settled: Settled,
    clock: Clock | None = None,
) -> Passes | None:
    """For records that have all ``required`` of ``fields``, maybe the others and none else, of these types.

    ``clock`` is asked last, and once of each record that is passed over; its field is read as a text, whatever type it
    has among ``fields``. None where such a record cannot be told without reading it whole.
    """
    root = _Place()
    for path, node, aliased in wanted:
        place = root
        for name in path:
            place = place.names.setdefault(name, _Place())
            place.aliased |= aliased
        place.nodes.append(node)
    writer = _Writer()
    types: list[Any] = []
    names: dict[str, str] = {}
    timed = ""
    for number, (name, type_) in enumerate(fields.items()):  # found fastest in the order that records have them in
        own, asked = f"f{number}", root.names.get(name)
        names[own] = name
        timing = clock is not None and name == clock.field
        timed = own if timing else timed
        held = _TEXT if timing else type_
        taken = held if asked is None else writer.visit("record", own, asked, held)
        if taken is None:
            return None
        types.append((own, taken) if name in required else (own, taken | UnsetType, UNSET))
    record = msgspec.defstruct("Record", types, rename=names, forbid_unknown_fields=True, gc=False, kw_only=True)
    if clock is not None and clock.field not in required:
        return None
    return writer.function(msgspec.json.Decoder(record), settled, timed, clock)


class _Writer:
    def __init__(self) -> None:
        self._scope: dict[str, Any] = {"UNSET": UNSET, "DecodeError": msgspec.DecodeError}
        self._lines: list[str] = []

    def function(self, decoder: Any, settled: Settled, timed: str, clock: Clock | None) -> Passes:
        """What was visited, in one function. ``timed``: the attribute that ``clock`` is asked about."""
        self._scope |= {"decode": decoder.decode, "settled": settled, "clock": clock and clock.passes}
        unmatched = "not rules or settled(line, rules)"
        source = "\n".join(
            [
                "def passes(line):",
                "    try:",
                "        record = decode(line)",
                "    except (DecodeError, UnicodeDecodeError, RecursionError):",
                "        return False",
                "    rules = ()",
                *self._lines,
                f"    return {unmatched}" if clock is None else f"    return ({unmatched}) and clock(record.{timed})",
            ]
        )
        exec(compile(source, "<projection>", "exec"), self._scope)  # noqa: S102 - made of this module's own words
        made: Passes = self._scope["passes"]
        return made

    def visit(self, holder: str, own: str, place: _Place, type_: Any, depth: int = 1) -> Any:
        """Write the visit of an attribute of what the variable ``holder`` names; the type to decode it to.

        None where that type would keep a value from being asked about.
        """
        value, pad = f"value{depth}", "    " * (2 * depth - 1)
        self._lines.append(f"{pad}{value} = {holder}.{own}")
        if not place.nodes and type_ in (ANYTHING, OBJECT):
            return self._inside(place, value, pad, depth, type_) if depth < _DEEP else None
        if any(inner.aliased for inner in place.names.values()):
            return None  # a node looks into what stands here by itself, and finds no name but its own
        for node in place.nodes:
            collect = self._constant(node.collect)
            self._lines += [
                f"{pad}if type({value}) is str:",
                *(f"{pad}    {line}" for line in self._text(node, value, collect)),
                f"{pad}elif {value} is not UNSET:",
                f"{pad}    rules += {collect}({value})",
            ]
        if type_ in (ANYTHING, OBJECT):
            return Any
        return type_ if type_ == str | None or getattr(type_, "__origin__", None) is str else None

    def _text(self, node: Node, value: str, collect: str) -> list[str]:
        """The rules that wait at ``node`` for the text that the variable ``value`` names."""
        if node.present or len(node.substrings) > _FEW:
            return [
                f"found = {self._constant(node.remembered.get)}({value})",
                f"if found is None: found = {collect}({value})",
                "if found: rules += found",
            ]
        # Folding costs less than a call, and where texts are ever new, remembering them is in vain.
        tests = [f"folded in {self._constant(node.equals)}"] if node.equals else []
        tests += [f"{self._constant(literal)} in folded" for literal in node.substrings]
        return (
            [f"folded = {value}.casefold()", f"if {' or '.join(tests)}: rules += {collect}({value})"]
            if tests
            else ["pass"]
        )

    def _constant(self, value: Any) -> str:
        name = f"constant{len(self._scope)}"
        self._scope[name] = value
        return name

    def _inside(self, place: _Place, value: str, pad: str, depth: int, type_: Any) -> Any:
        element = f"element{depth}"
        self._lines += [
            f"{pad}if {value} is not UNSET and {value} is not None:",
            f"{pad}    for {element} in {value} if type({value}) is list else ({value},):",
        ]
        fields: list[Any] = []
        names: dict[str, str] = {}
        for number, (name, inner) in enumerate(place.names.items()):
            own = f"f{number}"
            names[own] = name
            taken = self.visit(element, own, inner, ANYTHING, depth + 1)
            if taken is None:
                return None
            fields.append((own, taken if taken is Any else taken | UnsetType, UNSET))
        made: Any = msgspec.defstruct("Inner", fields, rename=names, gc=False)
        return made | None if type_ == OBJECT else made | list[made] | None
