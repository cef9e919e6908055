"""Which correlations are built on a rule: in shadow with it, and without it once it is in quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Set

from detectors.rules.correlation import Plan

__all__ = ["built_on"]


def built_on(plans: Iterable[Plan], ids: Set[str]) -> dict[str, str]:
    """The correlations that refer to one of ``ids``, also by way of others: id to the title of what it refers to."""
    plans = tuple(plans)
    found: dict[str, str] = {}
    reached = set(ids)
    while fresh := {
        plan.rule.id: member.title
        for plan in plans
        for member in plan.members
        if member.id in reached and plan.rule.id not in reached
    }:
        found |= fresh
        reached |= fresh.keys()
    return found
