"""What a correlation is told: one match of a rule it refers to, in one of its groups."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Above", "Hit", "Shown"]

#: Values of the group-by fields as they may be shown, in the plan's order; None where the event lacks the field.
Shown = tuple[str | None, ...]


class Above(NamedTuple):
    """Where a hit's event belongs in a correlation that refers to the hit's own, should that hold."""

    child: str  #: key of the plan that must hold
    parent: str  #: key of the plan that is told then
    member: int  #: which of the parent's rules the child is
    group: str
    shown: Shown
    value: int | None
    entity: str


class Hit(NamedTuple):
    """Plain data of one match; nothing in it names a patient but by pseudonym."""

    plan: str  #: key of the plan it is for
    group: str  #: token of the group's values: equal values have equal tokens
    shown: Shown
    member: int  #: which of the plan's rules matched
    time: int  #: event time, ms
    event: str  #: id of the event
    value: int | None  #: fingerprint of what is counted, or billionths of what is measured; None where neither is
    entity: str  #: whom a finding is about
    source: str
    above: tuple[Above, ...] = ()
    quiet: bool = False  #: learned from and never told: the same event says it under another name
