"""A slow, obvious evaluator of correlations: every window is looked at from scratch, as docs/correlations.md says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

__all__ = ["Seen", "holds", "new_terms", "points", "silences", "span_of", "spans"]

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Seen(NamedTuple):
    """One match, as a person would note it."""

    time: int  #: ms
    rule: str
    value: Any = None


def span_of(section: Mapping[str, Any]) -> int:
    return milliseconds(section["timespan"])


def milliseconds(text: str) -> int:
    return int(text[:-1]) * SECONDS[text[-1]] * 1000


def holds(section: Mapping[str, Any], seen: Iterable[Seen], at: int) -> bool:
    """Whether the correlation holds in the window that ends at ``at``."""
    window = [one for one in seen if at - span_of(section) <= one.time <= at]
    if not window:
        return False
    kind, rules, condition = section["type"], section["rules"], section.get("condition")
    there = {one.rule for one in window}
    if kind == "temporal_ordered":
        return in_order(rules, window)
    if kind == "temporal":
        if condition is None:
            return there == set(rules)
        if isinstance(condition, str):
            return bool(eval(condition, {}, {name: name in there for name in rules}))
        return compare(Fraction(len(there)), condition)
    return compare(measure(kind, window, condition), condition)


def in_order(rules: Sequence[str], window: Sequence[Seen], after: int = -(1 << 60)) -> bool:
    if not rules:
        return True
    return any(in_order(rules[1:], window, one.time) for one in window if one.rule == rules[0] and one.time >= after)


def exact(value: Any) -> Fraction:
    """As it is written, to nine decimals."""
    return round(Fraction(Decimal(str(value))), 9)


def measure(kind: str, window: Sequence[Seen], condition: Mapping[str, Any]) -> Fraction:
    if kind == "event_count":
        return Fraction(len(window))
    if kind == "value_count":
        return Fraction(len({one.value for one in window}))
    numbers = sorted(exact(one.value) for one in window)
    if kind == "value_sum":
        return sum(numbers, Fraction())
    if kind == "value_avg":
        return sum(numbers, Fraction()) / len(numbers)
    percentile = 50 if kind == "value_median" else condition.get("percentile", 50)
    place = exact(percentile) / 100 * (len(numbers) - 1)
    low = int(place)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (place - low) * (numbers[high] - numbers[low])


COMPARE: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


def compare(number: Fraction, condition: Mapping[str, Any]) -> bool:
    return all(COMPARE[name](number, exact(limit)) for name, limit in condition.items() if name in COMPARE)


def points(section: Mapping[str, Any], seen: Sequence[Seen]) -> set[int]:
    """The times of matches at which it holds."""
    return {one.time for one in seen if holds(section, seen, one.time)}


def spans(section: Mapping[str, Any], seen: Sequence[Seen]) -> set[int]:
    """The aligned spans of which there is a finding each."""
    return {time // span_of(section) for time in points(section, seen)}


def new_terms(section: Mapping[str, Any], seen: Sequence[Seen]) -> set[tuple[Any, int]]:
    """Values, each with the time at which it is new: of ``new_term``, as docs/memory.md says."""
    span, found = span_of(section), set()
    for one in seen:
        same = any(other.value == one.value and one.time - span <= other.time < one.time for other in seen)
        if not same and one.time - known_since(span, seen, one.time) >= milliseconds(section["learning"]):
            found.add((one.value, one.time))
    return found


def known_since(span: int, seen: Sequence[Seen], time: int) -> int:
    """Back from one match to the next, as long as there is one within the timespan before."""
    earlier = [one.time for one in seen if time - span <= one.time < time]
    return known_since(span, seen, min(earlier)) if earlier else time


def silences(section: Mapping[str, Any], seen: Sequence[Seen], end: int) -> set[int]:
    """Times of the last match before each silence that is over a timespan long by ``end``: of ``absence``."""
    span = span_of(section)
    return {
        one.time
        for one in seen
        if one.time + span <= end and not any(one.time < other.time <= one.time + span for other in seen)
    }
