"""A rule's condition as a tree of three operators and one kind of leaf.

pySigma reads the rule and applies its modifiers; what it hands over is turned into this smaller tree, which
everything after it (compiler, witness index, explanation) reads. Whatever has no place in the tree raises
:class:`RuleError`: nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.modifiers import (
    SigmaCaseSensitiveModifier,
    SigmaEndswithModifier,
    SigmaExpandModifier,
    SigmaStartswithModifier,
)
from sigma.rule import SigmaDetection, SigmaRule
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
)

from detectors.rules.patterns import like, longest_literal, regex, shape
from detectors.rules.problems import RuleError

__all__ = ["And", "Expression", "Not", "Or", "Question", "expression", "questions"]

#: Kinds whose values merge: a list of them on one field is one leaf with several operands.
_LISTS = frozenset({"equals", "contains", "startswith", "endswith", "like", "re", "cidr"})

_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question to one field: does any value of it satisfy any of ``operands``?

    ``equals``, ``contains``, ``startswith``, ``endswith``: texts, folded unless ``cased``. ``any``: a text at
    all. ``like``: compiled patterns. ``re``: Regex. ``cidr``: networks. ``compare``: (operator, number). ``time``:
    (part, operator, number). ``exists``: one boolean. ``null``: none. ``fieldref``: (name, starts, ends).
    """

    field: str | None  #: None for a keyword, which is looked for in the whole event
    kind: str
    operands: tuple[Any, ...] = ()
    cased: bool = False
    literals: tuple[str, ...] = ()  #: one for each ``like`` operand: folded text that every match contains

    @property
    def names(self) -> tuple[str | None, ...]:
        """Every field that is read; None for a keyword."""
        return (self.field, self.operands[0][0]) if self.kind == "fieldref" else (self.field,)


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


def expression(rule: SigmaRule) -> Expression:
    """The whole rule; several conditions are alternatives. Raises RuleError, or what pySigma raises."""
    for detection in rule.detection.detections.values():
        _check(detection)
    return _any(_convert(condition.parsed) for condition in rule.detection.parsed_condition)


def questions(tree: Expression) -> Iterator[Question]:
    """Every leaf, negated ones too."""
    if isinstance(tree, Question):
        yield tree
    else:
        for part in (tree.part,) if isinstance(tree, Not) else tree.parts:
            yield from questions(part)


def _check(detection: SigmaDetection) -> None:
    """Refuse combinations of modifiers that pySigma accepts and then forgets."""
    for item in detection.detection_items:
        if isinstance(item, SigmaDetection):
            _check(item)
            continue
        if SigmaExpandModifier in item.modifiers:
            name = item.field or "a keyword"
            raise RuleError(f"{name}: placeholders (expand) have no values here; write out what they stand for")
        if item.field is None and {SigmaStartswithModifier, SigmaEndswithModifier} & set(item.modifiers):
            raise RuleError("a keyword is looked for anywhere: startswith and endswith need a field name")
        if SigmaCaseSensitiveModifier in item.modifiers and not all(
            isinstance(value, SigmaCasedString) for value in _values(item.value)
        ):
            raise RuleError(f"{item.field or 'a keyword'}: cased has no effect here; put it last or remove it")


def _values(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, SigmaExpansion):
            yield from _values(value.values)
        else:
            yield value


def _convert(node: Any) -> Expression:
    if isinstance(node, ConditionOR):
        return _any(map(_convert, node.args))
    if isinstance(node, ConditionAND):
        return _all(map(_convert, node.args))
    if isinstance(node, ConditionNOT):
        inner = _convert(node.args[0])
        return inner.part if isinstance(inner, Not) else Not(inner)
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _test(node.field, node.value)
    if isinstance(node, ConditionValueExpression):
        return _keyword(node.value)
    raise RuleError(f"condition holds {type(node).__name__}, which this version does not evaluate")


def _all(parts: Iterable[Expression]) -> Expression:
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, And) else (part,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def _any(parts: Iterable[Expression]) -> Expression:
    merged: dict[Any, Expression] = {}
    for part in parts:
        for one in part.parts if isinstance(part, Or) else (part,):
            if isinstance(one, Question) and one.kind in _LISTS:
                key = (one.field, one.kind, one.cased)
                old = merged.get(key)
                if isinstance(old, Question):
                    one = Question(  # noqa: PLW2901 - the merged leaf takes the place of both
                        one.field,
                        one.kind,
                        tuple(dict.fromkeys(old.operands + one.operands)),
                        one.cased,
                        old.literals + one.literals,
                    )
                merged[key] = one
            else:
                merged[len(merged), None] = one
    flat = tuple(merged.values())
    return flat[0] if len(flat) == 1 else Or(flat)


def _keyword(value: Any) -> Expression:
    if isinstance(value, SigmaExpansion):
        return _any(map(_keyword, value.values))
    if isinstance(value, SigmaNumber) and not isinstance(value, SigmaTimestampPart):
        return Question(None, "contains", (str(value.number),))
    if isinstance(value, SigmaString):
        return _string(None, value)
    if isinstance(value, SigmaRegularExpression):
        return _test(None, value)
    raise RuleError("a keyword must be a string, a number or a regular expression; give the value a field name")


def _string(field: str | None, value: SigmaString) -> Question:
    cased = isinstance(value, SigmaCasedString)
    kind, literal = shape(value)
    literal = literal if cased else literal.casefold()
    if field is None and kind in ("equals", "startswith", "endswith"):
        kind = "contains"  # a keyword's own wildcards at its ends add nothing to looking anywhere
    if field is None and kind == "like":
        value = _anywhere(value)
    if kind == "any":
        return Question(field, "any")
    if kind == "like":
        pattern = like(value, fold=not cased)
        return Question(field, "like", (pattern,), cased, (longest_literal(value).casefold(),))
    return Question(field, kind, (literal,), cased)


def _anywhere(value: SigmaString) -> SigmaString:
    wide = SigmaString("*")
    wide.s = [*wide.s, *value.s, *wide.s]
    return wide


def _number(number: float) -> tuple[str, ...]:
    """Both spellings of a whole number, so that 1, 1.0, "1" and "1.0" are equal and "01" is not."""
    spellings = {str(number)}
    if float(number) == number:
        spellings.add(repr(float(number)).casefold())
    return tuple(sorted(spellings))


def _test(field: str | None, value: Any) -> Expression:  # noqa: PLR0912 - one branch for each type
    if isinstance(value, SigmaExpansion):
        return _any(_test(field, one) for one in value.values)
    if isinstance(value, SigmaString):
        return _string(field, value)
    if isinstance(value, SigmaTimestampPart):
        return Question(field, "time", ((value.timestamp_part.name, "EQ", value.number),))
    if isinstance(value, SigmaNumber):
        return Question(field, "equals", _number(value.number))
    if isinstance(value, SigmaBool):
        return Question(field, "equals", ("true" if value.boolean else "false",))
    if isinstance(value, SigmaNull):
        return Question(field, "null")
    if isinstance(value, SigmaExists):
        return Question(field, "exists", (value.exists,))
    if isinstance(value, SigmaRegularExpression):
        if value.contains_placeholder():
            raise RuleError("regular expression holds a placeholder; replace it by what it stands for")
        flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
        return Question(field, "re", (regex(str(value.regexp), flags),), cased=True)
    if isinstance(value, SigmaCIDRExpression):
        return Question(field, "cidr", (value.network,), cased=True)
    if isinstance(value, SigmaCompareExpression):
        number = value.number
        if isinstance(number, SigmaTimestampPart):
            return Question(field, "time", ((number.timestamp_part.name, value.op.name, number.number),))
        return Question(field, "compare", ((value.op.name, number.number),))
    if isinstance(value, SigmaFieldReference):
        return Question(field, "fieldref", ((value.field, value.starts_with, value.ends_with),))
    raise RuleError(f"value of {field} is a {type(value).__name__}, which this version does not evaluate")
