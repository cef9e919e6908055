"""Whatever is sent, a group and all groups together stay small, and what should be found still is."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from correlating import HOUR, hit_of, linked
from windows_reference import Seen

from detectors.rules.correlation import Above, Group, Memory
from detectors.rules.correlation.correlator import Correlator
from detectors.rules.correlation.group import due_of
from detectors.rules.correlation.windows import LIMIT

START = 1_700_000_000_000
#: Bytes of JSON of one group, as docs/correlations.md states them.
LARGEST = 160_000
#: The same where a correlation refers to it.
LARGEST_CHAINED = 400_000

SECTIONS: dict[str, dict[str, Any]] = {
    "event_count": {"condition": {"gte": 1_000_000}},
    "value_count": {"condition": {"gte": 2_000, "field": "x"}},
    "value_sum": {"condition": {"gt": 10**15, "field": "x"}},
    "value_avg": {"condition": {"gt": 10**15, "field": "x"}},
    "value_percentile": {"condition": {"gt": 10**15, "field": "x", "percentile": 99}},
    "temporal": {"condition": "a and b and not c", "rules": ["a", "b", "c"]},
    "temporal_ordered": {"rules": ["a", "b", "c"]},
}


def section(kind: str, timespan: str = "1d", **more: Any) -> dict[str, Any]:
    return {"type": kind, "rules": ["a"], "group-by": ["user"], "timespan": timespan, **SECTIONS[kind], **more}


def groups_of(memory: Memory) -> list[Group]:
    return list(memory._groups.values())


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("kind", SECTIONS)
def test_a_group_is_bounded_and_comes_back_from_what_was_saved(kind: str, shuffled: bool) -> None:
    correlations = linked(section(kind, "1y"))
    (plan,) = correlations.plans
    rng = random.Random(1)
    times = sorted(START + rng.randrange(300 * 24 * HOUR) for _ in range(LIMIT * 5 // 4))
    if shuffled:
        rng.shuffle(times)
    memory = Memory(correlations, lateness=HOUR)
    names = [member.name for member in plan.members]
    for number, time in enumerate(times):
        value = 10**18 - number if kind != "value_count" else number
        hit = hit_of(correlations, Seen(time, names[number % len(names)], value), number)
        list(memory.take([hit._replace(event="x" * 300 if number % 2 else "y" * 256)], 0))
    (group,) = groups_of(memory)
    assert len(group.window) <= LIMIT
    assert memory.counts["crowded"] >= 1
    text = json.dumps(group.save(), separators=(",", ":"))
    assert len(text) <= LARGEST
    assert due_of(text.encode()) == group.due
    again = Correlator(plan, lateness=HOUR).load(json.loads(text))
    assert json.dumps(again.save(), separators=(",", ":")) == text


def test_a_chained_group_is_bounded() -> None:
    correlations = linked(
        section("event_count"), {"type": "temporal", "rules": ["one", "b"], "timespan": "1d", "group-by": ["user"]}
    )
    memory = Memory(correlations, lateness=HOUR)
    above = tuple(
        Above(correlations.plans[0].key, correlations.plans[1].key, 0, "g" * 40, ("s" * 40,), None, "e" * 40)
        for _ in range(4)
    )
    for number in range(LIMIT):
        hit = hit_of(correlations, Seen(START + number, "a"), number)
        list(memory.take([hit._replace(above=above, event="y" * 100)], 0))
    (group,) = groups_of(memory)
    assert len(json.dumps(group.save())) <= LARGEST_CHAINED


def test_a_count_past_what_is_kept_one_by_one_still_fires() -> None:
    """A hundred thousand events, each at its own time, where a group keeps some thousand entries."""
    correlations = linked(section("event_count", "1d", condition={"gte": 100_000}))
    memory = Memory(correlations, lateness=HOUR)
    hit = hit_of(correlations, Seen(START, "a"), 0)
    told = [
        number
        for number in range(1, 100_001)
        for _ in memory.take([hit._replace(time=START + 7 * number, event=f"e{number}")], 0)
    ]
    assert told == [100_000]


def test_a_value_cannot_be_pushed_out_by_floods_of_others() -> None:
    """Twelve values are asked for. Four come once; then others are repeated thirty thousand times; then one more."""
    correlations = linked(section("value_count", "1d", condition={"gte": 12, "field": "x"}))
    memory = Memory(correlations, lateness=HOUR)
    told = []
    values = ["rare 1", "rare 2", "rare 3", "rare 4", *(f"flood {n % 7}" for n in range(30_000)), "last"]
    for number, value in enumerate(values):
        told += memory.take([hit_of(correlations, Seen(START + 100 * number, "a", value), number)], 0)
    assert [finding.time for finding in told] == [START + 100 * (len(values) - 1)]


def test_a_rule_cannot_be_pushed_out_by_floods_of_another() -> None:
    correlations = linked(section("temporal_ordered", rules=["a", "b"]))
    memory = Memory(correlations, lateness=HOUR)
    told = []
    for number in range(20_000):
        told += memory.take([hit_of(correlations, Seen(START + 20 * number, "a"), number)], 0)
    assert told == []
    told += memory.take([hit_of(correlations, Seen(START + 10**6 + 1, "b"), -1)], 0)
    assert len(told) == 1


def test_ever_new_values_fire_and_are_bounded() -> None:
    correlations = linked(section("value_count", "1d"))
    memory = Memory(correlations, lateness=HOUR)
    hit = hit_of(correlations, Seen(START, "a", 0), 0)
    told = [
        number
        for number in range(1, 40_001)
        for _ in memory.take([hit._replace(time=START + number // 10, value=number, event=str(number))], 0)
    ]
    assert told == [2_000], "exact, since that many are kept"
    assert len(groups_of(memory)[0].window) <= LIMIT


def test_a_group_for_every_event_is_bounded_and_counted() -> None:
    """What would be forgotten the soonest gives way; the newest are there."""
    correlations = linked(section("event_count", "30s", condition={"gte": 2}))
    memory = Memory(correlations, lateness=HOUR, most=1_000)
    told = []
    for number in range(5_000):
        seen = Seen(START + number * 1000, "a")
        told += memory.take([hit_of(correlations, seen, number, group=f"g{number}")], 0)
    assert len(memory) == 1_000
    assert memory.counts == {"displaced": 4_000}
    again = hit_of(correlations, Seen(START + 5_000_000, "a"), 5_000, group="g4999")
    assert len(list(memory.take([again], 0))) == 1
    assert told == []


def test_groups_are_forgotten_once_no_event_can_reach_them() -> None:
    correlations = linked(section("event_count", "1h", condition={"gte": 2}))
    memory = Memory(correlations, lateness=HOUR)
    list(memory.take([hit_of(correlations, Seen(START, "a"), 1)], START))
    list(memory.take([], START + 2 * HOUR))
    assert len(memory) == 1, "an event an hour late may still need it"
    list(memory.take([], START + 3 * HOUR))
    assert len(memory) == 0


def test_what_is_later_than_late_is_counted_and_not_taken() -> None:
    correlations = linked(section("event_count", "1h", condition={"gte": 1}))
    memory = Memory(correlations, lateness=HOUR)
    late = hit_of(correlations, Seen(START - HOUR - 1, "a"), 1)
    assert list(memory.take([late], START)) == []
    assert memory.counts == {"late": 1}
    assert len(list(memory.take([late._replace(time=START - HOUR)], START))) == 1


@pytest.mark.parametrize("garbage", [[], [1], [2, 0, 0, [], [], [], [], "", "", False, [], []], "state", [None] * 12])
def test_what_was_not_saved_is_refused(garbage: Any) -> None:
    (plan,) = linked(section("event_count")).plans
    with pytest.raises(ValueError, match="no state of a correlation"):
        Correlator(plan, lateness=HOUR).load(garbage)
