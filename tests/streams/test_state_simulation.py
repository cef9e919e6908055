"""Every rule of docs/replay.md holds in a random world of faults, and taking any one away is noticed."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from simulated_rules import Rules
from simulation import World

SCHEDULES = 150

#: Rules that only a producer that fails, doubles and reorders can break.
BAD_SENDS = {"link", "ack_check", "stop"}


def failures(rules: Rules, *, bad_sends: bool = False, schedules: int = SCHEDULES) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for seed in range(schedules):
        world = World(seed, rules, bad_sends=bad_sends)
        world.run()
        if bad := world.violations():
            found[seed] = bad
    return found


def test_no_event_is_lost_or_counted_twice_whatever_dies() -> None:
    assert failures(Rules()) == {}


def test_no_event_is_lost_or_counted_twice_with_a_producer_that_fails_doubles_and_reorders() -> None:
    assert failures(Rules(), bad_sends=True) == {}


@pytest.mark.parametrize("rule", [rule.name for rule in fields(Rules)])
def test_a_rule_taken_away_is_noticed(rule: str) -> None:
    assert failures(replace(Rules(), **{rule: False}), bad_sends=rule in BAD_SENDS)
