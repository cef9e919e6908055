"""What a correlation finds is what a slow evaluator finds over all windows, in whatever order events come."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from correlating import linked, run
from hypothesis import given, settings
from hypothesis import strategies as st
from windows_reference import Seen, points, span_of, spans

from detectors.base import Finding
from detectors.rules.correlation.parse import OWN, Kind
from detectors.rules.correlation.told import finding_id

LIMITS = st.one_of(
    st.builds(lambda name, n: {name: n}, st.sampled_from(["gt", "gte", "lt", "lte", "eq", "neq"]), st.integers(1, 4)),
    st.builds(lambda low, more: {"gt": low, "lte": low + more}, st.integers(0, 3), st.integers(1, 3)),
)
DECIMALS = st.builds(
    lambda name, n: {name: n}, st.sampled_from(["gt", "gte", "lt", "lte", "eq"]), st.sampled_from([0.3, 1.5])
)
NUMBERS = st.one_of(st.integers(0, 4), st.sampled_from([0.1, 0.2, 0.30000000000000004, 2.5, "1.5"]))
EXPRESSIONS = ("a or b", "a and not b", "not a or (b and c)", "a and (b or not c)", "not (a and b)")
KINDS = (*(kind for kind in get_args(Kind) if kind not in OWN), "expression")
SPANS = ("1s", "5s", "1m")


@st.composite
def sections(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(KINDS))
    section: dict[str, Any] = {"type": kind, "rules": ["a", "b", "c"], "group-by": ["user"]}
    section["timespan"] = draw(st.sampled_from(SPANS))
    if kind == "expression":
        section["type"], section["condition"] = "temporal", draw(st.sampled_from(EXPRESSIONS))
        section["rules"] = [name for name in "abc" if name in section["condition"].replace("and", "")]
    elif kind == "temporal":
        if draw(st.booleans()):
            section["condition"] = {draw(st.sampled_from(["gte", "lt", "eq"])): 2}
    elif kind != "temporal_ordered":
        measured = kind in ("value_sum", "value_avg", "value_percentile", "value_median")
        section["condition"] = dict(draw(st.one_of(LIMITS, DECIMALS) if measured else LIMITS))
        if kind.startswith("value_"):
            section["condition"]["field"] = "number"
        if kind == "value_percentile":
            section["condition"]["percentile"] = draw(st.sampled_from([0, 10, 50, 75, 99.5, 100]))
    return section


@st.composite
def streams(draw: st.DrawFn, rules: Sequence[str], most: int = 14) -> list[Seen]:
    """By time, from ever closer to far apart."""
    gaps = st.sampled_from([0, 0, 1, 400, 999, 1000, 1001, 5000, 30_000, 70_000])
    drawn = draw(st.lists(st.tuples(gaps, st.sampled_from(rules), NUMBERS), max_size=most))
    times = itertools.accumulate((gap for gap, _, _ in drawn), initial=1_700_000_000_000)
    return [Seen(time, name, value) for time, (_, name, value) in zip(times, drawn, strict=False)]


def ids_of(findings: Sequence[Finding]) -> set[str]:
    ids = {finding.id for finding in findings}
    assert len(ids) == len(findings), "each is told once"
    return ids


def expected(correlations: Any, section: dict[str, Any], seen: Sequence[Seen]) -> set[str]:
    (plan,) = correlations.plans
    return {finding_id(plan, "g", number * span_of(section)) for number in spans(section, seen)}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_order_and_any_crash_gives_the_findings_of_all_windows(data: st.DataObject) -> None:
    section = data.draw(sections())
    seen = data.draw(streams(section["rules"]))
    order = data.draw(st.permutations(seen))
    correlations = linked(section)
    findings = run(correlations, order, crash=data.draw(st.booleans()))
    assert ids_of(findings) == expected(correlations, section, seen)
    held = points(section, seen)
    for finding in findings:
        assert finding.time in held
        inside = [one for one in seen if finding.time - span_of(section) <= one.time <= finding.time]
        assert 1 <= len(finding.event_ids) <= len(inside)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_events_as_late_as_the_watermark_allows_change_nothing(data: st.DataObject) -> None:
    """Each event comes up to some seconds late, and the watermark follows the newest by as much."""
    section = data.draw(sections())
    seen = data.draw(streams(section["rules"], most=20))
    delays = data.draw(st.lists(st.sampled_from([0, 1000, 20_000]), min_size=len(seen), max_size=len(seen)))
    arrivals = sorted(
        ((one.time + delay, one) for one, delay in zip(seen, delays, strict=True)), key=lambda arrival: arrival[0]
    )
    watermarks = [arrival - 20_000 for arrival, _ in arrivals]
    correlations = linked(section)
    findings = run(correlations, [one for _, one in arrivals], watermarks=watermarks, crash=data.draw(st.booleans()))
    assert ids_of(findings) == expected(correlations, section, seen)


@pytest.mark.parametrize(
    ("section", "limit"),
    [
        ({"type": "event_count", "condition": {"gte": 3}}, 2),
        ({"type": "temporal_ordered"}, 1),
        ({"type": "value_count", "condition": {"gte": 3, "field": "number"}}, 2),
        ({"type": "temporal", "condition": "a and not c", "rules": ["a", "c"]}, 1),
    ],
)
def test_every_permutation_of_seven_events_gives_one_set_of_ids(section: dict[str, Any], limit: int) -> None:
    section = {"rules": ["a", "b", "c"], "group-by": ["user"], "timespan": "10s", **section}
    times = (0, 4_000, 9_000, 10_000, 15_000, 19_000, 31_000)
    names = itertools.cycle(section["rules"])
    seen = [Seen(time, name, time) for time, name in zip(times, names, strict=False)]
    correlations = linked(section)
    wanted = expected(correlations, section, seen)
    assert len(wanted) >= limit
    for order in itertools.permutations(seen):
        assert ids_of(run(correlations, order)) == wanted


def test_what_can_only_grow_is_told_with_the_event_and_once_in_a_span() -> None:
    section = {"type": "event_count", "rules": ["a"], "timespan": "10s", "condition": {"gte": 3}}
    correlations = linked(section)
    seen = [Seen(time * 1000, "a") for time in (1, 2, 3, 4, 11, 12, 40, 41, 42)]
    told = [finding.time // 1000 for finding in run(correlations, seen)]
    assert told == [3, 11, 42], "the first point of each span of ten seconds in which it holds"


def test_what_an_event_can_undo_waits_for_the_watermark() -> None:
    section = {"type": "value_avg", "rules": ["a"], "timespan": "10s", "condition": {"field": "x", "gt": 5}}
    correlations = linked(section)
    high, low = Seen(10_000, "a", 9), Seen(9_000, "a", 0)
    assert run(correlations, [high, low], watermarks=[0, 9_000]) == []
    (finding,) = run(correlations, [high, low], watermarks=[0, 10_001])
    assert finding.evidence["wardwatch.correlation.measured"] == "9", "what comes after that is too late for it"


def test_a_value_that_comes_again_is_as_new_as_it_came_last() -> None:
    section = {"type": "value_count", "rules": ["a"], "timespan": "10s", "condition": {"field": "x", "gte": 2}}
    seen = [Seen(0, "a", "one"), Seen(8_000, "a", "one"), Seen(12_000, "a", "two")]
    assert [finding.time for finding in run(linked(section), seen)] == [12_000]
