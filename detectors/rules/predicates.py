"""What each kind of leaf asks of a field's values.

A predicate takes the values of one view of a field and says whether any of them satisfies it. ``VIEWS`` tells
which view: ``leaves`` (as they are; None where the field is absent), ``texts`` or ``folded`` (scalars only).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import islice, product
from typing import Any, Final

from detectors.rules.expression import Question

__all__ = ["Predicate", "between", "predicate", "view"]

Predicate = Callable[..., bool]

_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
    "EQ": operator.eq,
    "NEQ": operator.ne,
}
_NUMBER: Final = re.compile(r"[+-]?(\d{1,300}(\.\d*)?|\.\d{1,300})([eE][+-]?\d{1,3})?", re.ASCII)
_COMBINATIONS: Final = 64  # of the values of several fields that are lists, in one text
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_PARTS: Final[dict[str, Callable[[datetime], int]]] = {
    "MINUTE": lambda moment: moment.minute,
    "HOUR": lambda moment: moment.hour,
    "DAY": lambda moment: moment.day,
    "WEEK": lambda moment: moment.isocalendar().week,
    "MONTH": lambda moment: moment.month,
    "YEAR": lambda moment: moment.year,
}


def view(test: Question) -> str:
    """Name of the view of a field that :func:`predicate` of ``test`` wants."""
    if test.kind in ("null", "exists", "compare"):
        return "leaves"
    return "texts" if test.cased or test.kind in ("any", "time") else "folded"


def predicate(test: Question) -> Predicate:
    """The test of every kind but ``fieldref`` and ``filled``, which need several fields: :func:`between`."""
    return _BUILDERS[test.kind](test.operands)


def between(test: Question) -> Callable[..., bool]:
    """The test of ``fieldref`` and ``filled``: takes the texts of each of ``test.names``, in their order."""
    if test.kind == "fieldref":
        ((_, starts, ends),) = test.operands
        compare = _comparison(starts, ends)
        return lambda first, second: any(compare(one, other) for one in first for other in second)
    ((open_start, open_end, *parts),) = test.operands
    compare, literals = _comparison(open_end, open_start), parts[::2]

    def filled(values: Sequence[str], *others: Sequence[str]) -> bool:
        for chosen in islice(product(*others), _COMBINATIONS):
            text = literals[0] + "".join(value + literal for value, literal in zip(chosen, literals[1:], strict=True))
            if any(compare(value, text) for value in values):
                return True
        return False

    return filled


def _comparison(starts: bool, ends: bool) -> Callable[[str, str], bool]:
    """Equals, or starts with, ends with, contains where both."""
    if starts and ends:
        return operator.contains
    if starts:
        return str.startswith
    return str.endswith if ends else operator.eq


def _equals(operands: tuple[Any, ...]) -> Predicate:
    wanted = frozenset(operands)
    return lambda values: not wanted.isdisjoint(values)


def _contains(operands: tuple[Any, ...]) -> Predicate:
    if len(operands) == 1:
        (only,) = operands
        return lambda values: any(only in value for value in values)
    return lambda values: any(literal in value for value in values for literal in operands)


def _startswith(operands: tuple[Any, ...]) -> Predicate:
    return lambda values: any(value.startswith(operands) for value in values)


def _endswith(operands: tuple[Any, ...]) -> Predicate:
    return lambda values: any(value.endswith(operands) for value in values)


def _like(operands: tuple[Any, ...]) -> Predicate:
    matches = [re.compile(source, re.DOTALL).match for source in operands]
    return lambda values: any(match(value) for value in values for match in matches)


def _re(operands: tuple[Any, ...]) -> Predicate:
    searches = [operand.compile() for operand in operands]

    def test(values: Any) -> bool:
        for value in values:
            try:
                if any(search(value) for search in searches):
                    return True
            except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell and UTF-8 cannot
                whole = value.encode("utf-8", "replace").decode()
                if any(search(whole) for search in searches):
                    return True
        return False

    return test


def _any(_: tuple[Any, ...]) -> Predicate:
    return bool


@lru_cache(maxsize=4096)
def _address(value: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(value)
    except ValueError:
        return None


def _cidr(operands: tuple[Any, ...]) -> Predicate:
    networks = [ip_network(operand) for operand in operands]

    def test(values: Any) -> bool:
        for value in values:
            # 64 characters hold any address with a zone; longer values would only fill the cache.
            address = _address(value) if len(value) <= 64 else None
            if address is not None and any(address in network for network in networks):
                return True
        return False

    return test


def _numeric(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        try:
            return int(value)
        except ValueError:
            return float(value)
    return None


def _compare(operands: tuple[Any, ...]) -> Predicate:
    ((name, bound),) = operands
    compare = _OPERATORS[name]

    def test(values: Any) -> bool:
        return any((number := _numeric(value)) is not None and compare(number, bound) for value in values or ())

    return test


def _time(operands: tuple[Any, ...]) -> Predicate:
    ((part, name, bound),) = operands
    read, compare = _PARTS[part], _OPERATORS[name]

    def test(values: Any) -> bool:
        for value in values:
            if _DATE.match(value):
                try:
                    moment = datetime.fromisoformat(value)
                except ValueError:
                    continue
                if compare(read(moment), bound):
                    return True
        return False

    return test


def _null(_: tuple[Any, ...]) -> Predicate:
    return lambda values: not values or None in values


def _exists(operands: tuple[Any, ...]) -> Predicate:
    (wanted,) = operands
    return lambda values: (values is not None) is wanted


def _listed(operands: tuple[Any, ...]) -> Predicate:
    """Takes the event's time too, in ms since the epoch; without one nothing has expired."""
    (indicators,) = operands
    holds = indicators.holds

    def test(values: Any, time: int | None = None) -> bool:
        return any(holds(value, time) for value in values)

    return test


_BUILDERS: Final[dict[str, Callable[[tuple[Any, ...]], Predicate]]] = {
    "equals": _equals,
    "contains": _contains,
    "startswith": _startswith,
    "endswith": _endswith,
    "like": _like,
    "re": _re,
    "any": _any,
    "cidr": _cidr,
    "compare": _compare,
    "time": _time,
    "null": _null,
    "exists": _exists,
    "listed": _listed,
}
