"""The oracle: Sigma as slowly and plainly as it can be written, walking what pySigma parsed.

It shares no code with the evaluator: own lookup, own wildcards (by recursion), no index, no merging, no folding
ahead of time. It is only fast enough for tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from sigma import conditions as c
from sigma import types as t
from sigma.rule import SigmaRule

ABSENT = object()


class Reference:
    def __init__(self, rule: SigmaRule) -> None:
        self._conditions = [condition.parsed for condition in rule.detection.parsed_condition]

    def matches(self, record: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
        return any(_node(condition, record, fields) for condition in self._conditions)


def _node(node: Any, record: Any, fields: Any) -> bool:
    if isinstance(node, c.ConditionAND):
        return all(_node(arg, record, fields) for arg in node.args)
    if isinstance(node, c.ConditionOR):
        return any(_node(arg, record, fields) for arg in node.args)
    if isinstance(node, c.ConditionNOT):
        return not _node(node.args[0], record, fields)
    if isinstance(node, c.ConditionFieldEqualsValueExpression):
        return _field(node.field, node.value, record, fields)
    if isinstance(node, c.ConditionValueExpression):
        return _keyword(node.value, record, fields)
    raise AssertionError(type(node))


# values of a field ------------------------------------------------------------------------------------------


def _elements(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [element for item in value for element in _elements(item)]
    return [value]


def _reach(value: Any, steps: list[str]) -> list[Any]:
    """Everything found at the end of ``steps``; a list is each of its elements."""
    if not steps:
        return [value]
    found = []
    for element in _elements(value):
        if isinstance(element, dict) and steps[0] in element:
            found += _reach(element[steps[0]], steps[1:])
    return found


def _values(name: str, record: Any, fields: Any) -> Any:
    if name in record:
        return _elements(record[name])
    found = _reach(record, name.split("."))
    if found:
        return [element for value in found for element in _elements(value)]
    if name in fields:
        return _elements(fields[name])
    return ABSENT


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return value if isinstance(value, str) else None


def _every_text(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _every_text(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _every_text(inner)]
    text = _text(value)
    return [] if text is None else [text]


# one value ---------------------------------------------------------------------------------------------------


def _wild(parts: list[Any], text: str) -> bool:
    if not parts:
        return text == ""
    first, rest = parts[0], parts[1:]
    if first is t.SpecialChars.WILDCARD_MULTI:
        return any(_wild(rest, text[start:]) for start in range(len(text) + 1))
    if first is t.SpecialChars.WILDCARD_SINGLE:
        return text != "" and _wild(rest, text[1:])
    return text.startswith(first) and _wild(rest, text[len(first) :])


def _string(value: t.SigmaString, text: str) -> bool:
    if isinstance(value, t.SigmaCasedString):
        return _wild(list(value.s), text)
    return _wild([p.casefold() if isinstance(p, str) else p for p in value.s], text.casefold())


def _keyword(value: Any, record: Any, fields: Any) -> bool:
    texts = _every_text(dict(record)) + _every_text(dict(fields))
    if isinstance(value, t.SigmaExpansion):
        return any(_keyword(one, record, fields) for one in value.values)
    if isinstance(value, t.SigmaRegularExpression):
        return any(_regex(value, text) for text in texts)
    if isinstance(value, t.SigmaNumber):
        return any(str(value.number) in text for text in texts)
    star = t.SpecialChars.WILDCARD_MULTI
    cased = isinstance(value, t.SigmaCasedString)
    wide = t.SigmaCasedString("") if cased else t.SigmaString("")
    wide.s = [star, *value.s, star]
    return any(_string(wide, text) for text in texts)


def _regex(value: t.SigmaRegularExpression, text: str) -> bool:
    flags = 0
    for flag in value.flags:
        flags |= value.sigma_to_python_flags[flag]
    return re.search(str(value.regexp), text, flags) is not None


_COMPARE = {
    "LT": lambda a, b: a < b,
    "LTE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GTE": lambda a, b: a >= b,
}


def _compare(value: t.SigmaCompareExpression, found: Any) -> bool:
    if isinstance(found, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", found):
        found = float(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    return bool(_COMPARE[value.op.name](found, value.number.number))


def _part(part: t.TimestampPart, text: str) -> int | None:
    moment = _moment(text)
    if moment is None:
        return None
    return moment.isocalendar()[1] if part is t.TimestampPart.WEEK else int(getattr(moment, part.name.lower()))


def _one(value: Any, found: Any) -> bool:
    text = _text(found)
    if isinstance(value, t.SigmaCompareExpression) and isinstance(value.number, t.SigmaTimestampPart):
        read = None if text is None else _part(value.number.timestamp_part, text)
        return read is not None and bool(_COMPARE[value.op.name](read, value.number.number))
    if isinstance(value, t.SigmaCompareExpression):
        return _compare(value, found)
    if text is None:
        return False
    if isinstance(value, t.SigmaString):
        return _string(value, text)
    if isinstance(value, t.SigmaTimestampPart):
        return _part(value.timestamp_part, text) == value.number
    if isinstance(value, t.SigmaNumber):
        if isinstance(found, int | float) and not isinstance(found, bool):
            return bool(found == value.number)
        return text.casefold() in (str(value.number), repr(float(value.number)))
    if isinstance(value, t.SigmaBool):
        return text.casefold() == ("true" if value.boolean else "false")
    if isinstance(value, t.SigmaRegularExpression):
        return _regex(value, text)
    if isinstance(value, t.SigmaCIDRExpression):
        try:
            return ip_address(text) in value.network
        except ValueError:
            return False
    raise AssertionError(type(value))


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _field(name: str, value: Any, record: Any, fields: Any) -> bool:
    if isinstance(value, t.SigmaExpansion):
        return any(_field(name, one, record, fields) for one in value.values)
    values = _values(name, record, fields)
    if isinstance(value, t.SigmaExists):
        return (values is not ABSENT) == value.exists
    if isinstance(value, t.SigmaNull):
        return values is ABSENT or values == [] or any(found is None for found in values)
    if values is ABSENT:
        return False
    if isinstance(value, t.SigmaFieldReference):
        others = _values(value.field, record, fields)
        return others is not ABSENT and any(_refer(value, a, b) for a in values for b in others)
    return any(_one(value, found) for found in values)


def _refer(value: t.SigmaFieldReference, first: Any, second: Any) -> bool:
    one, other = _text(first), _text(second)
    if one is None or other is None:
        return False
    one, other = one.casefold(), other.casefold()
    if value.starts_with and value.ends_with:
        return other in one
    if value.starts_with:
        return one.startswith(other)
    if value.ends_with:
        return one.endswith(other)
    return one == other
