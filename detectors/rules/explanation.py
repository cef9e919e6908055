"""Why a rule matched, or why it did not: how one event answers each question of a condition.

Slow, and asked only of matches and by people. It decides a rule another way than the compiled matcher does, and a
property test holds both to the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from detectors.rules import lookup
from detectors.rules.expression import And, Expression, Not, Question
from detectors.rules.indicators import Indicators
from detectors.rules.predicates import between, predicate, view

__all__ = ["Answer", "Cause", "answer", "asked", "causes"]

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
    "filled": "agrees with other fields",
}
_WORDS: Final = {
    "equals": "is",
    "contains": "contains",
    "startswith": "starts with",
    "endswith": "ends with",
    "re": "fits the regular expression",
    "cidr": "lies in",
    "listed": "is on the list",
}
_SIGNS: Final = {"LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=", "EQ": "=", "NEQ": "is not"}
#: Operands of one question that are written out.
_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Cause:
    """One leaf that held."""

    field: str  #: empty for a keyword
    phrase: str  #: in words, without the value
    value: Any  #: the first value that satisfied it; None where its absence did. It may identify a patient.


@dataclass(frozen=True, slots=True)
class Answer:
    """How one event answered one node of a condition."""

    node: Expression
    held: bool
    parts: tuple[Answer, ...] = ()
    #: Of a question: every value under its field, None where the event does not have it; of a keyword, the value that
    #: it was found in. They may identify a patient.
    values: tuple[Any, ...] | None = None
    hit: int = -1  #: which of ``values`` satisfied it; -1 where none did, or where it asked for absence


def answer(tree: Expression, record: Mapping[str, Any], fields: Mapping[str, Any]) -> Answer:
    """The whole of ``tree``, true and false parts alike."""
    return _answer(tree, (record, fields, lookup.Words(record, fields)))


def causes(tree: Expression, record: Mapping[str, Any], fields: Mapping[str, Any]) -> tuple[Cause, ...]:
    """The leaves that made ``tree`` true, each once; empty where it is false or true by negation alone."""
    return tuple({(c.field, c.phrase): c for c in _causes(answer(tree, record, fields))}.values())


def asked(question: Question) -> str:
    """``question`` in words, with what the rule asks for: ``eventName is StopLogging or DeleteTrail``."""
    name = "a value somewhere in the event" if question.field is None else question.field
    if question.kind in ("any", "null"):
        return f"{name} {_PHRASES[question.kind]}"
    if question.kind == "exists":
        return f"{name} {'is present' if question.operands[0] else 'is absent'}"
    if question.kind == "compare":
        ((sign, bound),) = question.operands
        return f"{name} {_SIGNS[sign]} {bound}"
    if question.kind == "time":
        ((part, sign, bound),) = question.operands
        return f"the {part.lower()} of {name} {_SIGNS[sign]} {bound}"
    if question.kind == "fieldref":
        ((other, starts, ends),) = question.operands
        verb = "contains" if starts and ends else "starts with" if starts else "ends with" if ends else "is"
        return f"{name} {verb} what {other} has"
    if question.kind == "filled":
        starts, ends, *parts = question.operands[0]
        text = "".join(f"%{part}%" if place % 2 else part for place, part in enumerate(parts))
        verb = "contains" if starts and ends else "ends with" if starts else "starts with" if ends else "is"
        return f"{name} {verb} {text}, filled from the event"
    if question.kind == "like":  # the pattern itself is no longer as its author wrote it
        around = dict.fromkeys(literal for literal in question.literals if literal)
        return f"{name} fits a pattern{' around ' + ' or '.join(list(around)[:_SHOWN]) if around else ''}"
    told = [_operand(operand) for operand in question.operands[:_SHOWN]]
    if len(question.operands) > _SHOWN:
        told.append(f"one of {len(question.operands) - _SHOWN} more")
    case = " (in this case)" if question.cased and question.kind not in ("re", "cidr") else ""
    return f"{name} {_WORDS.get(question.kind, question.kind)} {' or '.join(told)}{case}"


def _operand(operand: object) -> str:
    if isinstance(operand, Indicators):
        return operand.name
    source = getattr(operand, "source", None)
    said = source if isinstance(source, str) else str(operand)
    return said if said and said == said.strip() and said.isprintable() else repr(said)


_Event = tuple[Mapping[str, Any], Mapping[str, Any], lookup.Words]


def _answer(tree: Expression, event: _Event) -> Answer:
    if isinstance(tree, Question):
        return _ask(tree, event)
    if isinstance(tree, Not):
        part = _answer(tree.part, event)
        return Answer(tree, not part.held, (part,))
    parts = tuple(_answer(part, event) for part in tree.parts)
    held = (part.held for part in parts)
    return Answer(tree, all(held) if isinstance(tree, And) else any(held), parts)


def _causes(said: Answer) -> Iterator[Cause]:
    if not said.held or isinstance(said.node, Not):
        return
    if isinstance(said.node, Question):
        yield _cause(said.node, said)
    for part in said.parts:
        yield from _causes(part)


def _cause(question: Question, said: Answer) -> Cause:
    value = said.values[max(said.hit, 0)] if said.values else None
    if question.field is None:
        return Cause("", "a value somewhere in the event contains a listed text", value)
    absent = question.kind == "exists" and not question.operands[0]
    return Cause(question.field, "is absent" if absent else _PHRASES[question.kind], value)


def _ask(question: Question, event: _Event) -> Answer:
    record, fields, words = event
    if question.field is None:
        ask = predicate(question)
        for value in words.texts() if view(question) == "texts" else words.folded():
            if ask((value,)):
                return Answer(question, True, (), (value,), 0)
        return Answer(question, False)
    values = lookup.leaves(record, fields, question.field, lookup.path_of(question.field))
    if question.kind in ("null", "exists"):
        return Answer(question, predicate(question)(values), (), values)
    hit = next(_hits(question, values or (), event), -1)
    return Answer(question, hit >= 0, (), values, hit)


def _hits(question: Question, values: Sequence[Any], event: _Event) -> Iterator[int]:
    """Places in ``values`` of those that satisfy ``question``."""
    what = view(question)
    ask = predicate(question) if question.kind not in ("fieldref", "filled") else None
    for place, value in enumerate(values):
        if any(ask((shown,)) if ask else _agrees(question, shown, event) for shown in _shown(value, what)):
            yield place


def _agrees(question: Question, value: str, event: _Event) -> bool:
    record, fields, _ = event
    seen = lookup.texts if view(question) == "texts" else lookup.folded
    others = (name for name in question.names[1:] if name is not None)
    return between(question)((value,), *(seen(record, fields, name, lookup.path_of(name)) for name in others))


def _shown(value: Any, what: str) -> Iterator[Any]:
    """``value`` in the view that a predicate wants; nothing where it has no text."""
    if what == "leaves":
        yield value
    elif (found := lookup.text(value)) is not None:
        yield found.casefold() if what == "folded" else found
