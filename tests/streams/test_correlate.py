"""Correlations as a step of the stream: the same findings wherever the log is cut and whenever the worker dies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.rules import RuleSet, load
from detectors.rules.correlation import Above, Hit
from streams import topics
from streams.blocks import Block
from streams.codecs import decode_finding
from streams.correlate import Correlate
from streams.hits import decode_hit, hit_output
from streams.lineage import NO_POSITION, SCHEMA, Lineage, NewerSchema, Position
from streams.pipeline import LATENESS
from streams.records import WATERMARK, Output, Record
from streams.state import PartitionState

START = 1_700_000_000_000
RULES = """\
title: Failed
name: failed
logsource: {category: test}
detection: {selection: {act: failed}, condition: selection}
---
title: Many
name: many
correlation:
    type: event_count
    rules: [failed]
    group-by: [user]
    timespan: 1m
    condition: {gte: 3}
---
title: On average large
correlation:
    type: value_avg
    rules: [failed]
    group-by: [user]
    timespan: 1m
    condition: {field: size, gt: 20000000000}
---
title: Again
correlation:
    type: event_count
    rules: [many]
    group-by: [user]
    timespan: 1h
    condition: {gte: 2}
---
title: New
correlation:
    type: new_term
    rules: [failed]
    group-by: [user]
    field: country
    timespan: 2m
    learning: 30s
---
title: Silent
correlation:
    type: absence
    rules: [failed]
    group-by: [user]
    timespan: 40s
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    path = tmp_path_factory.mktemp("rules") / "rules.yml"
    path.write_text(RULES)
    loaded = load([path])
    assert loaded.problems == ()
    return loaded


def plans(rules: RuleSet) -> dict[str, str]:
    return {plan.rule.title: plan.key for plan in rules.correlations.plans}


def hit(rules: RuleSet, title: str, seconds: float, group: str = "g", **more: Any) -> Hit:
    value = more.pop("value", None)
    name = f"e{seconds}"
    one = Hit(plans(rules)[title], group, (group,), 0, START + int(seconds * 1000), name, value, "user:u", "test")
    if title == "Many":
        keys = plans(rules)
        above = Above(keys["Many"], keys["Again"], 0, group, (group,), None, "user:u")
        one = one._replace(above=(above,))
    return one._replace(**more)


def watermark(offset: int, time: int) -> Block:
    word = {"audit.ehr/0": ["00", offset, time, False, {"fhir": [time, time]}]}
    value = orjson.dumps({"v": SCHEMA, "inputs": 1, "idle_after": 1000, "words": word})
    return Block(offset, None, (), (Record(offset << 20, b"", value, 0),), WATERMARK)


class World:
    """One partition's log, and a worker over it."""

    def __init__(self, rules: RuleSet, *, most: int = 1000) -> None:
        self.step = Correlate(rules, most=most)
        self.state = PartitionState(self.step)
        self.log: list[Block] = []
        self.kept: dict[bytes, bytes] = {}
        self.out: list[Output] = []

    def tell(self, *hits: Hit) -> None:
        for one in hits:
            output = hit_output(one)
            place = len(self.log)
            record = Record(place << 20, output.key, output.value, output.event, output.time)
            position = Position(place, 0)
            lineage = Lineage(b"t" * 16, 0, position, NO_POSITION, output.event)
            self.log.append(Block(place, lineage, (position,), (record,)))

    def pass_time(self, seconds: float) -> None:
        self.log.append(watermark(len(self.log), START + int(seconds * 1000)))

    def work(self) -> None:
        for _, outputs in self.state.fold(self.log, {}):
            self.out.extend(outputs)

    def flush(self) -> None:
        for key, value in self.state.changes().items():
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value
        self.state.flushed()

    def die(self) -> None:
        """Another worker comes from what was flushed, and does again what was not."""
        self.state = PartitionState(self.step)
        for key, value in self.kept.items():
            self.state.restore(key, value)
        self.state.restored()

    def found(self) -> list[str]:
        return [decode_finding(one.value).title for one in self.out if one.topic == topics.FINDINGS]


def test_a_count_is_told_with_its_event_and_another_partition_is_told_of_it(rules: RuleSet) -> None:
    world = World(rules)
    world.tell(*(hit(rules, "Many", n) for n in range(3)))
    world.work()
    (told,) = world.out
    upward = decode_hit(told.value)
    assert (told.topic, upward.plan, upward.time) == (topics.MATCHES, plans(rules)["Again"], START + 2000)
    assert told.key == f"{upward.plan}/g".encode()


def test_what_waits_is_told_by_the_watermark_and_forgotten_later(rules: RuleSet) -> None:
    """Twenty thousand million are more billionths than fit into 64 bits."""
    world = World(rules)
    world.tell(hit(rules, "On average large", 0, value=21 * 10**9 * 10**9))
    world.pass_time(0)
    world.work()
    world.flush()
    assert world.found() == []
    world.die()
    world.pass_time(0.001)
    world.work()
    assert world.found() == ["On average large"]
    assert len(world.state.timers) == 1
    world.pass_time(LATENESS / 1000 + 200)
    world.work()
    world.flush()
    assert len(world.state.timers) == 0
    assert all(key.startswith(b"\x00") for key in world.kept), "nothing of the group is kept"


def test_a_hit_counts_once_and_a_late_one_not_at_all(rules: RuleSet) -> None:
    world = World(rules)
    first = hit(rules, "Many", 0)
    world.tell(first)
    world.work()
    world.tell(first, first, hit(rules, "Many", 1))
    world.work()
    assert world.out == []
    world.pass_time(LATENESS / 1000 + 10)
    world.tell(hit(rules, "Many", 9.9), hit(rules, "Many", 10))
    world.work()
    assert (world.state.counts["repeated"], world.state.counts["late"]) == (2, 1)
    assert len(world.out) == 1, "those at 0, 1 and 10 are three"


def test_groups_are_bounded_and_what_gives_way_is_counted(rules: RuleSet) -> None:
    world = World(rules, most=10)
    world.tell(*(hit(rules, "Many", n, group=f"g{n}") for n in range(25)))
    world.work()
    world.flush()
    assert world.state.counts["displaced"] == 15
    assert sum(not key.startswith(b"\x00") for key in world.kept) == 10


def test_a_correlation_that_is_not_loaded_is_counted_and_its_state_goes(rules: RuleSet) -> None:
    world = World(rules)
    world.tell(hit(rules, "Many", 0))
    world.work()
    world.flush()
    world.step.take(RuleSet([]))
    world.tell(hit(rules, "Many", 1))
    world.pass_time(3 * LATENESS / 1000)
    world.work()
    world.flush()
    assert world.state.counts["unknown"] == 1
    assert all(key.startswith(b"\x00") for key in world.kept)


def test_a_quiet_correlation_tells_nobody(rules: RuleSet) -> None:
    world = World(rules)
    name = next(plan.rule.id for plan in rules.correlations.plans if plan.rule.title == "Again")
    world.step.take(rules, quiet=frozenset([name]))
    for value in (1, 2):
        world.tell(hit(rules, "Again", value, value=value))
    world.work()
    assert world.found() == []


def test_an_absence_is_told_by_whoever_has_the_group_once_time_has_passed(rules: RuleSet) -> None:
    """The worker that saw the last match died; of the group itself nothing comes any more."""
    world = World(rules)
    world.tell(hit(rules, "Silent", 0), hit(rules, "Silent", 10))
    world.pass_time(20)
    world.work()
    world.flush()
    world.die()
    world.pass_time(50)
    world.work()
    assert world.found() == []
    world.pass_time(50.001)
    world.work()
    world.flush()
    world.die()
    world.pass_time(4000)
    world.work()
    world.flush()
    assert world.found() == ["Silent"]
    assert all(key.startswith(b"\x00") for key in world.kept), "it is over"


def test_a_new_term_that_gives_way_to_other_groups_is_told_at_once(rules: RuleSet) -> None:
    """So that a crowd of groups hides nothing of one that had something to decide."""
    world = World(rules, most=10)
    terms = {"shown": ("g", "DE"), "value": 7}
    world.tell(hit(rules, "New", 0, **terms), hit(rules, "New", 31, shown=("g", "KP"), value=8))
    world.work()
    assert world.found() == []
    world.tell(*(hit(rules, "New", 40 + n, group=f"g{n}", **terms) for n in range(10)))
    world.work()
    assert world.found() == ["New"]
    assert world.state.counts["displaced"] == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_wherever_the_worker_dies_the_findings_are_those_of_one_that_lives(rules: RuleSet, data: st.DataObject) -> None:
    kinds = st.sampled_from(["Many", "On average large", "New", "Silent", "time", "work", "flush", "die"])
    acts = data.draw(st.lists(st.tuples(kinds, st.integers(0, 200), st.sampled_from("gh")), max_size=40))
    calm, wild = World(rules), World(rules)
    for kind, seconds, group in acts:
        for world in (calm, wild):
            if kind == "time":
                world.pass_time(seconds)
            elif kind not in ("work", "flush", "die"):
                value = {"On average large": seconds * 10**18, "New": seconds % 3}.get(kind)
                shown = (group, str(value)) if kind == "New" else (group,)
                world.tell(hit(rules, kind, seconds, group, value=value, shown=shown))
        if kind == "work":
            wild.work()
        elif kind == "flush":
            wild.flush()
        elif kind == "die":
            wild.die()
    wild.work()
    wild.flush()
    calm.work()
    calm.flush()
    assert set(wild.out) == set(calm.out), "what was told twice was told in the same words"
    groups = [{key: json.loads(raw) for key, raw in w.kept.items() if key[:1] != b"\x00"} for w in (wild, calm)]
    assert groups[0] == groups[1]


def test_a_hit_comes_back_from_its_bytes(rules: RuleSet) -> None:
    for value in (None, 0, -(10**27), 10**27, (1 << 63) - 1, -(1 << 63)):
        one = hit(rules, "Many", 1, value=value, shown=(None, "x"))
        one = one._replace(above=tuple(a._replace(value=value) for a in one.above), quiet=True)
        assert decode_hit(hit_output(one).value) == one


def test_a_newer_version_stops_the_partition(rules: RuleSet, tmp_path: Path) -> None:
    newer = orjson.dumps([SCHEMA + 1, *[0] * 11])
    with pytest.raises(NewerSchema):
        decode_hit(newer)
    with pytest.raises(NewerSchema):
        Correlate(rules).load(f"{plans(rules)['Many']}/g".encode(), b"[2,0]")
    for title in ("New", "Silent"):
        with pytest.raises(NewerSchema):
            Correlate(rules).load(f"{plans(rules)[title]}/g".encode(), b"[2,0,[]]")
