"""A rule's detections by their names, and what can be told of one without an event.

The tree that is evaluated knows no names any more, and people do: each detection is read once more by itself, and the
condition once more over names alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from detectors.base import digest
from detectors.rules.expression import And, Expression, Not, Or, Question
from detectors.rules.problems import RuleError
from detectors.rules.rule import Rule, read_rule

__all__ = ["condition_over_names", "named_detections", "same_detection", "wide"]

_LOGSOURCE: Final = {"category": "any"}
_FLAGS: Final = re.compile(r"\(\?[ims]+:(.*)\)", re.DOTALL)
#: Patterns that any text fits.
_EVERYTHING: Final = re.compile(r"\^?(?:\.[*+]?\??)*\$?")


def named_detections(document: Mapping[str, Any]) -> dict[str, Expression]:
    """Each detection of a rule's document as a tree of its own; without those that cannot be read by themselves."""
    found = {}
    for name, value in _detections(document).items():
        try:
            found[name] = _read({name: value, "condition": name})
        except RuleError:
            continue
    return found


def condition_over_names(document: Mapping[str, Any]) -> Expression | None:
    """The condition as a tree whose questions are named like the detections they stand for; None where it has none."""
    detections = _detections(document)
    try:
        return _read({**{name: {name: "x"} for name in detections}, "condition": document["detection"]["condition"]})
    except (RuleError, KeyError):
        return None


def wide(tree: Expression) -> bool:
    """True where ``tree`` holds for every event that has the fields it asks about."""
    if isinstance(tree, Question):
        return _wide(tree)
    if isinstance(tree, Not):
        return False
    parts = map(wide, tree.parts)
    return all(parts) if isinstance(tree, And) else any(parts)


def same_detection(rule: Rule) -> str:
    """Equal for rules that ask the same of the same log source, whatever their detections are named."""
    return digest(rule.product, rule.service, rule.category, _canonical(rule.expression))


def _detections(document: Mapping[str, Any]) -> dict[str, Any]:
    detection = document.get("detection")
    named = detection if isinstance(detection, Mapping) else {}
    return {str(name): value for name, value in named.items() if name not in ("condition", "timeframe")}


def _read(detection: dict[str, Any]) -> Expression:
    try:
        return read_rule({"title": "part", "logsource": _LOGSOURCE, "detection": detection}, "", 1).expression
    except RuleError:
        raise
    except Exception as error:  # as the loader: pySigma meets arbitrary YAML here
        raise RuleError(type(error).__name__) from error


def _wide(question: Question) -> bool:
    if question.kind in ("contains", "startswith", "endswith"):
        return "" in question.operands
    if question.kind == "re":
        return any(_EVERYTHING.fullmatch(_FLAGS.sub(r"\1", operand.source)) for operand in question.operands)
    if question.kind == "like":
        return not all(question.literals)
    return question.kind == "any"


def _canonical(tree: Expression) -> str:
    if isinstance(tree, Question):
        operands = sorted(_text(operand) for operand in tree.operands)
        return repr((tree.field, tree.kind, operands, tree.cased))
    if isinstance(tree, Not):
        return f"not({_canonical(tree.part)})"
    word = "or" if isinstance(tree, Or) else "and"
    return f"{word}({','.join(sorted(map(_canonical, tree.parts)))})"


def _text(operand: object) -> str:
    return repr(operand)
