"""The rarity detector: what is new to somebody who is known, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from behaviour import NOW, WINDOW, calm, event, new_action

from detectors.base import Event, Finding
from detectors.models.rarity import RarityDetector


def run(events: list[Event], state: Any = None) -> list[Finding]:
    detector = RarityDetector()
    state = detector.new() if state is None else state
    found: list[Finding] = []
    for one in events:
        found.extend(detector.inspect(one, "user:x", state, one.time))
    return found


@pytest.mark.parametrize("seed", range(10))
def test_what_is_usual_is_not_found(seed: int) -> None:
    assert run(calm(seed=seed, windows=96, per_window=20.0)) == []


def test_a_first_action_of_a_known_actor_is_found_once() -> None:
    events = new_action()
    again = [event(50_000 + n, events[-1].time + n, "export") for n in range(5)]
    (finding,) = run([*events, *again])
    assert finding.title == "An action this actor never did before"
    assert finding.event_ids == (next(e for e in events if e.fields["event.action"] == "export").id,)


def test_who_goes_through_everything_once_is_told_once_an_hour() -> None:
    events = new_action()
    start = events[-1].time
    swarm = [event(60_000 + n, start + n * 1000, f"List {n}") for n in range(200)]
    found = run([*events, *swarm])
    assert len(found) == 1
    assert found[0].severity in ("low", "medium")
    ids = {finding.id for order in (swarm, swarm[::-1]) for finding in run([*new_action()[:-2], *order])}
    assert len(ids) == 1


def test_a_state_of_the_first_version_is_read() -> None:
    detector = RarityDetector()
    state = detector.new()
    run(new_action(), state)
    saved = detector.save(state)
    assert len(saved[4]) == 1
    assert detector.save(detector.load([*saved[:4], *saved[5:]])) == [*saved[:4], [], *saved[5:]]


def test_somebody_new_does_nothing_unusual() -> None:
    assert run([event(n, NOW + n * 1000, f"action {n % 7}") for n in range(50)]) == []


def test_who_often_does_new_things_is_not_surprising() -> None:
    events = [event(n, NOW + n * WINDOW // 10, f"action {n}" if not n % 10 else "read") for n in range(1000)]
    assert run(events) == []


def test_it_is_scored_before_it_is_learned() -> None:
    """Learned first, the action would be known and nothing would fire."""
    detector = RarityDetector()
    state = detector.new()
    events = new_action()
    export = next(n for n, e in enumerate(events) if e.fields["event.action"] == "export")
    run(events[:export], state)
    assert "export" not in state.model.counts
    assert list(detector.inspect(events[export], "user:x", state, events[export].time))


def test_an_event_without_an_action_says_nothing() -> None:
    detector = RarityDetector()
    state = detector.new()
    before = detector.save(state)
    assert run([Event(id="e", time=NOW, source="fhir", actor="user:x")], state) == []
    assert detector.save(state) == before
