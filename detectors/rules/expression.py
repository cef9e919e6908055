"""A rule's condition as a tree of three operators and one kind of leaf.

What a rule asks is turned into this small tree, which everything after it (compiler, witness index, explanation)
reads. Whatever has no place in the tree is refused where the rule is read: nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["And", "Expression", "Not", "Or", "Question", "all_of", "any_of", "negated", "questions"]

#: Kinds whose values merge: a list of them on one field is one leaf with several operands.
_LISTS = frozenset({"equals", "contains", "startswith", "endswith", "like", "re", "cidr"})


@dataclass(frozen=True, slots=True)
class Question:
    """One question to one field: does any value of it satisfy any of ``operands``?

    ``equals``, ``contains``, ``startswith``, ``endswith``: texts, folded unless ``cased``. ``any``: a text at
    all. ``like``: sources of patterns, for ``match`` with DOTALL. ``re``: Regex. ``cidr``: networks as texts.
    ``compare``: (operator, number). ``time``: (part, operator, number). ``exists``: one boolean. ``null``: none.
    ``fieldref``: (name, starts, ends). ``filled``: (open at its start, open at its end, text, name, text, …), a text
    with the values of other fields in it. ``listed``: one Indicators.
    """

    field: str | None  #: None for a keyword, which is looked for in the whole event
    kind: str
    operands: tuple[Any, ...] = ()
    cased: bool = False
    literals: tuple[str, ...] = ()  #: one for each ``like`` operand: folded text that every match contains

    @property
    def names(self) -> tuple[str | None, ...]:
        """Every field that is read; None for a keyword."""
        if self.kind == "fieldref":
            return (self.field, self.operands[0][0])
        return (self.field, *self.operands[0][3::2]) if self.kind == "filled" else (self.field,)


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Expression


Expression = And | Or | Not | Question


def questions(tree: Expression) -> Iterator[Question]:
    """Every leaf, negated ones too."""
    if isinstance(tree, Question):
        yield tree
    else:
        for part in (tree.part,) if isinstance(tree, Not) else tree.parts:
            yield from questions(part)


def negated(tree: Expression) -> Expression:
    """True where ``tree`` is false."""
    return tree.part if isinstance(tree, Not) else Not(tree)


def all_of(parts: Iterable[Expression]) -> Expression:
    """True where each of ``parts``, of which there is one at least, is true."""
    flat: list[Expression] = []
    for part in parts:
        if isinstance(part, And):
            flat.extend(part.parts)
        else:
            flat.append(part)
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(parts: Iterable[Expression]) -> Expression:
    """True where one of ``parts``, of which there is one at least, is true. Lists about one field become one leaf."""
    groups: dict[Any, list[Question]] = {}
    order: list[Any] = []
    for part in parts:
        for one in part.parts if isinstance(part, Or) else (part,):
            if isinstance(one, Question) and one.kind in _LISTS:
                key = (one.field, one.kind, one.cased)
                group = groups.get(key)
                if group is None:
                    groups[key] = [one]
                    order.append(key)
                else:
                    group.append(one)
            else:
                order.append(one)
    flat = tuple(_merged(groups[one]) if type(one) is tuple else one for one in order)
    return flat[0] if len(flat) == 1 else Or(flat)


def _merged(group: list[Question]) -> Question:
    first = group[0]
    if len(group) == 1:
        return first
    operands = dict.fromkeys(operand for one in group for operand in one.operands)
    literals = tuple(literal for one in group for literal in one.literals)
    return Question(first.field, first.kind, tuple(operands), first.cased, literals)
