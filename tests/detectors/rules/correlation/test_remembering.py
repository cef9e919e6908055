"""New terms and absences are those of a slow evaluator, in whatever order events come and whenever the worker dies."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from correlating import HOUR, hit_of, linked, run
from hypothesis import given, settings
from hypothesis import strategies as st
from windows_reference import Seen, new_terms, silences, span_of

from detectors.base import Finding
from detectors.rules.correlation import Above, Correlations, Memory, evaluator
from detectors.rules.correlation.group import due_of
from detectors.rules.correlation.runs import PENDING
from detectors.rules.correlation.terms import KNOWN, Terms
from detectors.rules.correlation.told import finding_id, fingerprint, new_term_id

START = 1_700_000_000_000
DAY = 24 * HOUR
#: Bytes of JSON of one group, as docs/memory.md states them.
LARGEST = 160_000
LARGEST_CHAINED = 400_000


@st.composite
def sections(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["new_term", "absence"]))
    section: dict[str, Any] = {"type": kind, "rules": ["a", "b"], "group-by": ["user"]}
    section["timespan"] = draw(st.sampled_from(["1s", "5s", "1m"]))
    if kind == "new_term":
        section["field"] = "country"
        section["learning"] = draw(st.sampled_from(["0s", "1s", section["timespan"]]))
    return section


@st.composite
def streams(draw: st.DrawFn, most: int = 14) -> list[Seen]:
    gaps = st.sampled_from([0, 0, 1, 400, 999, 1000, 1001, 5000, 5001, 30_000, 70_000])
    drawn = draw(st.lists(st.tuples(gaps, st.sampled_from("ab"), st.sampled_from("xyz")), max_size=most))
    times = itertools.accumulate((gap for gap, _, _ in drawn), initial=START)
    return [Seen(time, name, value) for time, (_, name, value) in zip(times, drawn, strict=False)]


def expected(correlations: Correlations, section: dict[str, Any], seen: Sequence[Seen], end: int) -> set[str]:
    (plan,) = correlations.plans
    if section["type"] == "new_term":
        return {new_term_id(plan, "g", fingerprint(value), time) for value, time in new_terms(section, seen)}
    return {finding_id(plan, "g", last + span_of(section)) for last in silences(section, seen, end)}


def ids_of(findings: Sequence[Finding]) -> set[str]:
    ids = {finding.id for finding in findings}
    assert len(ids) == len(findings), "each is told once"
    return ids


def check_payloads(findings: Sequence[Finding], section: dict[str, Any], seen: Sequence[Seen]) -> None:
    """Each names an event at its very time."""
    for finding in findings:
        said = {name.removeprefix("wardwatch.correlation."): value for name, value in finding.evidence.items()}
        if section["type"] == "new_term":
            assert (said["country"], finding.time) in new_terms(section, seen)
            assert said["learned.since"] <= finding.time
        else:
            assert finding.time == said["silent.since"] + span_of(section)
            assert said["silent.since"] in silences(section, seen, finding.time)
        assert len(finding.event_ids) == 1


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_order_and_any_crash_gives_what_the_slow_evaluator_finds(data: st.DataObject) -> None:
    section, seen = data.draw(sections()), data.draw(streams())
    end = max((one.time for one in seen), default=START) + data.draw(st.sampled_from([0, 1000, 5000, 100_000]))
    correlations = linked(section)
    findings = run(correlations, data.draw(st.permutations(seen)), crash=data.draw(st.booleans()), end=end)
    assert ids_of(findings) == expected(correlations, section, seen, end)
    check_payloads(findings, section, seen)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_events_as_late_as_the_watermark_allows_change_nothing(data: st.DataObject) -> None:
    section, seen = data.draw(sections()), data.draw(streams(most=20))
    delays = data.draw(st.lists(st.sampled_from([0, 1000, 20_000]), min_size=len(seen), max_size=len(seen)))
    arrivals = sorted(
        ((one.time + delay, one) for one, delay in zip(seen, delays, strict=True)), key=lambda arrival: arrival[0]
    )
    watermarks = [arrival - 20_000 for arrival, _ in arrivals]
    correlations = linked(section)
    end = max((one.time for one in seen), default=START)
    findings = run(
        correlations, [one for _, one in arrivals], watermarks=watermarks, crash=data.draw(st.booleans()), end=end
    )
    assert ids_of(findings) == expected(correlations, section, seen, end)
    check_payloads(findings, section, seen)


@pytest.mark.parametrize(
    ("section", "count"),
    [
        ({"type": "new_term", "field": "country", "timespan": "10s", "learning": "5s"}, 3),
        ({"type": "absence", "timespan": "3s"}, 5),
    ],
)
def test_every_permutation_of_seven_events_gives_one_set_of_ids(section: dict[str, Any], count: int) -> None:
    section = {"rules": ["a"], "group-by": ["user"], **section}
    times = (0, 4_000, 4_000, 9_000, 10_000, 19_000, 26_000)
    seen = [Seen(START + time, "a", value) for time, value in zip(times, "xyxzxyw", strict=True)]
    correlations = linked(section)
    end = START + 30_000
    wanted = expected(correlations, section, seen, end)
    assert len(wanted) == count
    for order in itertools.permutations(seen):
        assert ids_of(run(correlations, order, end=end)) == wanted


def memory_of(section: dict[str, Any], **more: Any) -> tuple[Correlations, Memory]:
    correlations = linked({"rules": ["a"], "group-by": ["user"], **section})
    return correlations, Memory(correlations, lateness=HOUR, **more)


def test_a_new_term_waits_for_the_watermark_and_names_its_first_event() -> None:
    section = {"type": "new_term", "field": "country", "timespan": "30d", "learning": "7d"}
    correlations, memory = memory_of(section)
    seen = [Seen(START, "a", "DE"), Seen(START + 8 * DAY, "a", "KP"), Seen(START + 8 * DAY - 5, "a", "KP")]
    hits = [hit_of(correlations, one, number) for number, one in enumerate(seen)]
    assert memory.take(hits[:1], START) == []
    assert memory.take(hits[1:], START + 8 * DAY - 5) == []
    (finding,) = memory.take([], START + 8 * DAY - 4)
    assert (finding.time, finding.event_ids) == (START + 8 * DAY - 5, ("e2",))
    assert finding.evidence["country"] == "KP"
    assert finding.reason == "country of one user not seen within 30d before."
    assert memory.settle() == []


def test_a_value_is_remembered_for_the_timespan_after_it_was_seen_last() -> None:
    """And however often the group is looked at between, over most of a year."""
    section = {"type": "new_term", "field": "country", "timespan": "200d", "learning": "10d"}
    correlations = linked({"rules": ["a"], "group-by": ["user"], **section})
    days = {0: "DE", **dict.fromkeys(range(1, 360, 9), "AT"), 199: "DE", 399: "DE", 590: "AT"}
    seen = [Seen(START + day * DAY, "a", value) for day, value in sorted(days.items())]
    findings = run(correlations, seen, watermarks=[one.time for one in seen], crash=True)
    assert [finding.time for finding in findings] == [START + 590 * DAY], "AT was seen last on day 352"


def test_a_match_between_makes_known_what_waited_to_be_new() -> None:
    correlations, memory = memory_of({"type": "new_term", "field": "x", "timespan": "10m", "learning": "0s"})
    minutes = [hit_of(correlations, Seen(START + n * 60_000, "a", "v"), n) for n in (0, 15, 8)]
    assert len(memory.take(minutes[:1], START) + memory.take([], START + 300_000)) == 1
    assert memory.take(minutes[1:], START + 300_000) + memory.settle() == []


def test_a_group_is_known_since_before_a_gap_that_a_late_match_closes() -> None:
    correlations, memory = memory_of({"type": "new_term", "field": "x", "timespan": "2h", "learning": "2h"})
    seen = [Seen(START, "a", "v"), Seen(START + 150 * 60_000, "a", "w"), Seen(START + 110 * 60_000, "a", "v")]
    hits = [hit_of(correlations, one, number) for number, one in enumerate(seen)]
    memory.take(hits[:1], START)
    assert [f.event_ids for f in memory.take(hits[1:], START + 100 * 60_000) + memory.settle()] == [("e1",)]


def test_an_absence_is_told_once_when_the_watermark_has_passed_its_end() -> None:
    correlations, memory = memory_of({"type": "absence", "timespan": "10m"})
    end = START + HOUR // 6
    assert memory.take([hit_of(correlations, Seen(START, "a"), 1)], START - 10_000) == []
    assert memory.take([], end) == [], "one that comes at its end comes in time"
    (finding,) = memory.take([], end + 1)
    assert (finding.time, finding.event_ids) == (end, ("e1",))
    assert finding.evidence["wardwatch.correlation.silent.since"] == START
    assert finding.reason == "No Rule a of one user for 10m."
    assert memory.take([], end + 5 * HOUR) == []
    assert len(memory) == 0, "a silent group is forgotten"
    assert memory.take([hit_of(correlations, Seen(end + 5 * HOUR, "a"), 2)], end + 5 * HOUR) == []
    (again,) = memory.take([], end + 6 * HOUR)
    assert again.id != finding.id


def test_a_match_that_comes_too_late_for_its_silence_makes_no_second_one() -> None:
    correlations, memory = memory_of({"type": "absence", "timespan": "10m"})
    memory.take([hit_of(correlations, Seen(START, "a"), 1)], START)
    (finding,) = memory.take([], START + HOUR)
    late = hit_of(correlations, Seen(START + 300_000, "a"), 2)
    assert memory.take([late], START + HOUR) == []
    assert memory.take([], START + 3 * HOUR) == []
    assert finding.time == START + HOUR // 6


def test_a_late_match_between_a_silence_that_was_told_and_one_that_was_not() -> None:
    """It joins both to one, whose end is still to come."""
    correlations, memory = memory_of({"type": "absence", "timespan": "10m"})
    first, then = Seen(START, "a"), Seen(START + 19 * 60_000, "a")
    memory.take([hit_of(correlations, first, 1), hit_of(correlations, then, 2)], START)
    assert len(memory.take([], START + 20 * 60_000)) == 1
    memory.take([hit_of(correlations, Seen(START + 10 * 60_000, "a"), 3)], START + 20 * 60_000)
    (finding,) = memory.take([], START + 40 * 60_000)
    assert (finding.time, finding.event_ids) == (START + 29 * 60_000, ("e2",))


@pytest.mark.parametrize("kind", ["new_term", "absence"])
@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_of_two_events_at_one_time_the_same_is_named_in_either_order(kind: str, numbers: tuple[int, int]) -> None:
    more = {"field": "x", "learning": "0s"} if kind == "new_term" else {}
    correlations, memory = memory_of({"type": kind, "timespan": "10m", **more})
    memory.take([hit_of(correlations, Seen(START, "a", "v"), number) for number in numbers], START)
    (finding,) = memory.take([], START + HOUR)
    assert finding.event_ids == ("e1",)


def test_what_a_file_does_not_reach_is_not_absent() -> None:
    section = {"type": "absence", "rules": ["a"], "group-by": ["user"], "timespan": "10s"}
    correlations = linked(section)
    seen = [Seen(START, "a"), Seen(START + 60_000, "a")]
    assert [f.time for f in run(correlations, seen)] == [START + 10_000]
    assert [f.time for f in run(correlations, seen, end=START + 69_999)] == [START + 10_000]
    assert [f.time for f in run(correlations, seen, end=START + 70_000)] == [START + 10_000, START + 70_000]


ORDERED = {"type": "temporal_ordered", "group-by": ["user"], "timespan": "1h"}


@pytest.mark.parametrize(
    "section",
    [
        {"type": "new_term", "rules": ["a"], "field": "country", "timespan": "1d", "learning": "0s"},
        {"type": "absence", "rules": ["a"], "timespan": "10m"},
    ],
)
@pytest.mark.parametrize("follows", [True, False])
def test_what_follows_a_new_term_or_a_silence(section: dict[str, Any], follows: bool) -> None:
    """One or the other, then b: and the first of them alerts no more by itself."""
    correlations = linked({**section, "group-by": ["user"]}, {**ORDERED, "rules": ["one", "b"]})
    first, second = correlations.plans
    above = (Above(first.key, second.key, 0, "g", ("g",), None, "user:g"),)
    hit = hit_of(correlations, Seen(START, "a", "x"), 1)._replace(above=above)
    time = START + (20 * 60_000 if follows else -60_000)
    then = hit._replace(plan=second.key, member=1, time=time, event="e2", shown=("g",), value=None, above=())
    memory = Memory(correlations, lateness=HOUR)
    found = memory.take([hit, then] if follows else [then, hit], START - HOUR)
    found += memory.take([], START + HOUR // 2)
    found += memory.settle()
    assert [finding.title for finding in found] == (["Number two"] if follows else [])


def crowd(correlations: Correlations, count: int, *, value: int = 0, step: int = 1, **more: Any) -> Iterator[Any]:
    hit = hit_of(correlations, Seen(START, "a", "x"), 0)
    for number in range(count):
        yield hit._replace(time=START + step * number, value=value + number, event=f"e{number}", **more)


def test_a_flood_of_new_values_hides_none_and_what_it_pushes_out_is_counted() -> None:
    """Ten thousand values while the watermark stands still: each is told, early, and the state stays small."""
    correlations, memory = memory_of({"type": "new_term", "field": "x", "timespan": "1y", "learning": "0s"})
    found = memory.take(crowd(correlations, 10_000, step=100), START)
    assert len(found) == 10_000 - PENDING
    assert memory.counts["crowded"] > 0
    (group,) = memory._groups.values()
    assert isinstance(group, Terms)
    assert len(group.known) + len(group.pending) <= KNOWN
    found += memory.settle()
    assert len(ids_of(found)) == 10_000
    assert memory.take([hit_of(correlations, Seen(START + DAY, "a", "x"), 1)._replace(value=0)], 0) == []


def test_a_known_value_is_pushed_out_last_and_told_again() -> None:
    """What goes is what was seen last the longest ago; coming back it is new, and never taken for known."""
    correlations, memory = memory_of({"type": "new_term", "field": "x", "timespan": "1y", "learning": "0s"})
    hits = list(crowd(correlations, KNOWN + 1, step=1000))
    told = memory.take(hits, START)
    kept, gone = hits[-PENDING - 2], hits[0]
    later = START + DAY
    told += memory.take([kept._replace(time=later), gone._replace(time=later)], later - 1)
    again = memory.take([], later + 1)
    assert [finding.event_ids for finding in again] == [(gone.event,)]
    assert memory.counts["crowded"] > 0


def test_a_group_that_gives_way_tells_what_it_had_to_decide() -> None:
    correlations, memory = memory_of({"type": "new_term", "field": "x", "timespan": "30d", "learning": "0s"}, most=10)
    hits = [hit._replace(group=f"g{number}") for number, hit in enumerate(crowd(correlations, 25))]
    assert len(memory.take(hits, START)) == 15
    assert memory.counts == {"displaced": 15}


@pytest.mark.parametrize("kind", ["new_term", "absence"])
@pytest.mark.parametrize(("above", "largest"), [(0, LARGEST), (4, LARGEST_CHAINED)])
def test_a_group_is_bounded_and_comes_back_from_what_was_saved(kind: str, above: int, largest: int) -> None:
    fields = ["x", "y", "z"]
    section = {"type": kind, "timespan": "1y", **({"field": fields, "learning": "0s"} if kind == "new_term" else {})}
    if kind == "absence":
        section["timespan"] = "1s"
    correlations, memory = memory_of(section)
    (plan,) = correlations.plans
    upward = (Above("c" * 16, "p" * 16, 0, "g" * 40, ("s" * 40,), None, "e" * 40),) * above
    hits = list(crowd(correlations, 4 * KNOWN, value=10**18, step=90_000))
    random.Random(1).shuffle(hits)
    shown = ("\x01" * 300, *("v" * 256,) * (3 if kind == "new_term" else 0))
    for number, hit in enumerate(hits):
        event = hit.event + ("ü" * 200 if number % 2 else "y" * 240)
        memory.take([hit._replace(event=event, shown=shown, entity="user:" + "u" * 60, above=upward)], 0)
    (group,) = memory._groups.values()
    text = json.dumps(group.save(), separators=(",", ":"), ensure_ascii=False)
    assert len(text.encode()) <= largest
    assert memory.counts["crowded"] > 0
    assert due_of(text.encode()) == group.due
    again = evaluator(plan, lateness=HOUR).load(json.loads(text))
    assert json.dumps(again.save(), separators=(",", ":"), ensure_ascii=False) == text


@pytest.mark.parametrize("kind", ["new_term", "absence"])
@pytest.mark.parametrize("garbage", [[], [1], [2, 0, [], [], [], [[1, 1, False]]], "state", [None] * 6, [1, 0, [2, 1]]])
def test_what_was_not_saved_is_refused(kind: str, garbage: Any) -> None:
    (plan,) = linked(
        {"type": kind, "rules": ["a"], "timespan": "1d", **({"field": "x"} if kind == "new_term" else {})}
    ).plans
    with pytest.raises(ValueError, match="no state of a correlation"):
        evaluator(plan, lateness=HOUR).load(garbage)
