"""What the types that remember have of their plan."""

from __future__ import annotations

from typing import Final

from detectors.rules.correlation.plan import Plan
from detectors.rules.correlation.told import GRACE

__all__ = ["OfPlan"]


class OfPlan:
    """One plan of such a type. It holds no state of its own."""

    long: Final = False

    def __init__(self, plan: Plan, *, lateness: int) -> None:
        """``lateness``: ms behind the watermark that a hit may be."""
        self.plan = plan
        self._span = plan.rule.timespan
        self._lateness = lateness
        self._grace = plan.depth * GRACE
