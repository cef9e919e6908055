"""What a correlation asks of the number it measures: ``gte: 5``, or a range such as ``gt: 100`` with ``lte: 200``.

Comparing is exact. A number of an event, and a limit of a rule, is an integer of billionths; an average is a sum beside
a count, and is never divided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from detectors.rules.problems import RuleError

__all__ = ["LARGEST", "OPERATORS", "UNIT", "Bounds", "billionths", "read_bounds"]

UNIT: Final = 10**9
#: Largest number of an event that is counted, either way; what is larger is no measurement.
LARGEST: Final = 10**18

OPERATORS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne,
}  # fmt: skip
_WORDS: Final = {
    "gt": "more than",
    "gte": "at least",
    "lt": "less than",
    "lte": "at most",
    "eq": "exactly",
    "neq": "other than",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """One or more comparisons, all of which must hold."""

    limits: tuple[tuple[str, int], ...]  #: operator and billionths

    @property
    def grows(self) -> bool:
        """True where a larger number never stops satisfying it."""
        return all(name in ("gt", "gte") for name, _ in self.limits)

    @property
    def least(self) -> int:
        """The smallest whole number that the lower limits leave, and 0 without any."""
        wholes = [limit // UNIT + 1 if name == "gt" else -(-limit // UNIT) for name, limit in self.limits
                  if name in ("gt", "gte", "eq")]  # fmt: skip
        return max(wholes, default=0)

    def hold(self, numerator: int, denominator: int = 1) -> bool:
        """Whether ``numerator / denominator`` billionths satisfies all. ``denominator``: above 0."""
        return all(OPERATORS[name](numerator, limit * denominator) for name, limit in self.limits)

    def words(self) -> str:
        """``at least 5``."""
        return " and ".join(f"{_WORDS[name]} {shown(limit)}" for name, limit in self.limits)


def shown(number: int) -> str:
    """Billionths as a person writes them."""
    whole, rest = divmod(number, UNIT)
    return str(whole) if not rest else f"{Decimal(number) / UNIT:f}".rstrip("0")


def billionths(value: object) -> int | None:
    """A number of an event, or a text that spells one; None where it is none, not finite, or past LARGEST."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int):
        return value * UNIT if -LARGEST <= value <= LARGEST else None
    if isinstance(value, str) and (not value.isascii() or "_" in value):  # what Python alone reads as a number
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if not math.isfinite(number) or abs(number) > LARGEST:
        return None
    # Through the decimal text: 0.1 is a tenth, as whoever wrote it means.
    text = repr(number) if isinstance(value, float) or len(value) > 40 else value.strip()
    return int((Decimal(text) * UNIT).to_integral_value())


def read_bounds(condition: Mapping[str, Any]) -> Bounds:
    """The comparisons in a condition's map. Raises RuleError where there is none, or no number can satisfy all."""
    limits = []
    for name in OPERATORS:
        if name in condition:
            limit = None if isinstance(condition[name], str) else billionths(condition[name])
            if limit is None:
                raise RuleError(f"condition.{name} is no number up to {LARGEST:.0e}; write one")
            limits.append((name, limit))
    if not limits:
        raise RuleError(f"condition compares nothing; write one of {', '.join(OPERATORS)}")
    bounds = Bounds(tuple(limits))
    edges = {limit + step for _, limit in limits for step in (-1, 0, 1)}
    if not any(bounds.hold(2 * edge + half, 2) for edge in edges for half in (-1, 0, 1)):
        raise RuleError("no number satisfies the whole condition; correct one of its limits")
    return bounds
