"""Why a rule matched: which of its questions an event answered with yes. Slow, and asked only of matches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from detectors.rules import lookup
from detectors.rules.expression import And, Expression, Not, Question
from detectors.rules.predicates import predicate, reference, view

__all__ = ["Cause", "causes"]

_PHRASES: Final = {
    "equals": "has a listed value",
    "contains": "contains a listed text",
    "startswith": "starts with a listed text",
    "endswith": "ends with a listed text",
    "like": "fits a pattern",
    "re": "fits a regular expression",
    "any": "has a value",
    "cidr": "lies in a listed network",
    "compare": "is past a limit",
    "time": "lies in a stated time",
    "exists": "is present",
    "null": "is absent or null",
    "listed": "is on a list of indicators",
    "fieldref": "agrees with another field",
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One leaf that held."""

    field: str  #: empty for a keyword
    phrase: str  #: in words, without the value
    value: Any  #: the first value that satisfied it; None where its absence did. It may identify a patient.


def causes(tree: Expression, record: Mapping[str, Any], fields: Mapping[str, Any]) -> tuple[Cause, ...]:
    """The leaves that made ``tree`` true, each once; empty where it is false or true by negation alone."""
    event = (record, fields, lookup.Words(record, fields))
    return tuple({(c.field, c.phrase): c for c in _causes(tree, event) or ()}.values())


_Event = tuple[Mapping[str, Any], Mapping[str, Any], lookup.Words]


def _causes(tree: Expression, event: _Event) -> list[Cause] | None:
    """None where ``tree`` is false."""
    if isinstance(tree, Question):
        return _test(tree, event)
    if isinstance(tree, Not):
        return [] if _causes(tree.part, event) is None else None
    found = [_causes(part, event) for part in tree.parts]
    true = [part for part in found if part is not None]
    if len(true) < len(found) if isinstance(tree, And) else not true:
        return None
    return [cause for part in true for cause in part]


def _test(test: Question, event: _Event) -> list[Cause] | None:
    record, fields, words = event
    if test.field is None:
        ask = predicate(test)
        seen = words.texts() if view(test) == "texts" else words.folded()
        for value in seen:
            if ask((value,)):
                return [Cause("", "a value somewhere in the event contains a listed text", value)]
        return None
    path = lookup.path_of(test.field)
    values = lookup.leaves(record, fields, test.field, path)
    phrase = _PHRASES[test.kind]
    if test.kind in ("null", "exists"):
        if not predicate(test)(values):
            return None
        phrase = "is absent" if test.kind == "exists" and not test.operands[0] else phrase
        return [Cause(test.field, phrase, values[0] if values else None)]
    if test.kind == "fieldref":
        ((other, starts, ends),) = test.operands
        second = getattr(lookup, view(test))(record, fields, other, lookup.path_of(other))
        compare = reference(starts, ends)
        hits = (value for value in values or () for shown in _shown(value, view(test)) if compare((shown,), second))
    else:
        ask, what = predicate(test), view(test)
        hits = (value for value in values or () for shown in _shown(value, what) if ask((shown,)))
    for value in hits:
        return [Cause(test.field, phrase, value)]
    return None


def _shown(value: Any, what: str) -> Iterator[Any]:
    """``value`` in the view that a predicate wants; nothing where it has no text."""
    if what == "leaves":
        yield value
    elif (found := lookup.text(value)) is not None:
        yield found.casefold() if what == "folded" else found
