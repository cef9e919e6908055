"""What evaluates a plan: types over a window, new terms, absences. All keep their state in what is handed to them."""

from __future__ import annotations

from typing import Any, Protocol

from detectors.rules.correlation.correlator import Correlator
from detectors.rules.correlation.group import NEVER
from detectors.rules.correlation.hit import Hit
from detectors.rules.correlation.plan import Plan
from detectors.rules.correlation.silence import Absences
from detectors.rules.correlation.terms import NewTerms
from detectors.rules.correlation.told import Told

__all__ = ["Evaluator", "State", "evaluator"]


class State(Protocol):
    """All that is remembered of one group."""

    due: int  #: ms; once the watermark is past it, :meth:`Evaluator.settle` is to be called

    def save(self) -> list[Any]:
        """Plain data, the same for the same memory; its version first, then ``due``."""
        ...


class Evaluator(Protocol):
    """One plan, without state."""

    plan: Plan

    @property
    def long(self) -> bool:
        """Its state may hold numbers past 64 bits."""
        ...

    def new(self, hit: Hit) -> Any:
        """The :class:`State` of a group never seen before; ``hit`` is taken next."""
        ...

    def load(self, saved: list[Any]) -> Any:
        """The inverse of :meth:`State.save`, exact to the bit. Raises ValueError on anything it did not write."""
        ...

    def take(self, hit: Hit, group: Any, watermark: int, counts: dict[str, int]) -> list[Told]:
        """One hit that is not too late: findings, and hits of correlations that refer to this one.

        ``counts``: ``crowded`` counts how often a group had to be made coarser.
        """
        ...

    def settle(
        self, token: str, group: Any, watermark: int, counts: dict[str, int], end: int = NEVER
    ) -> tuple[list[Told], bool]:
        """What waited for ``watermark``, and whether the group is still needed. ``end``: ms of the last event, where
        no more will come: what is not known by then is not told."""
        ...

    def displace(self, token: str, group: Any) -> list[Told]:
        """What is told of a group that gives way to another."""
        ...


def evaluator(plan: Plan, *, lateness: int) -> Evaluator:
    """``lateness``: ms behind the watermark that a hit may be."""
    if plan.rule.kind == "new_term":
        return NewTerms(plan, lateness=lateness)
    if plan.rule.kind == "absence":
        return Absences(plan, lateness=lateness)
    return Correlator(plan, lateness=lateness)
