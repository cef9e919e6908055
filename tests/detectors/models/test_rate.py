"""The rate detector on calm and other days, and how late events count."""

from __future__ import annotations

import pytest
from behaviour import NOW, WINDOW, burst, calm, event

from detectors.base import Event, Finding
from detectors.models.cooldown import HOUR
from detectors.models.rate import GRACE, OPEN, RateDetector, RateState


def run(events: list[Event], detector: RateDetector | None = None, state: RateState | None = None) -> list[Finding]:
    detector = detector or RateDetector("actor")
    state = state or detector.new()
    found: list[Finding] = []
    for one in events:
        found.extend(detector.inspect(one, "user:x", state, one.time))
    return found


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("per_window", [0.3, 3.0, 40.0])
def test_a_calm_day_finds_nothing(seed: int, per_window: float) -> None:
    assert run(calm(seed=seed, windows=288, per_window=per_window)) == []


def test_a_burst_is_found_once_and_says_why() -> None:
    (finding,) = run(burst())
    assert finding.title == "Unusually many events of one actor"
    assert "within 5 minutes; usually" in finding.reason
    assert finding.rule["tags"] == ["AIAST"]
    assert finding.evidence["user.id"] == "Practitioner/synthetic-1"


def test_a_flood_is_more_severe_than_a_burst() -> None:
    assert run(burst(count=400))[0].severity == "medium", "it fires as soon as it is unusual"


def test_what_grows_for_an_hour_is_told_once() -> None:
    before = calm()
    hour = -(-(NOW + 24 * WINDOW) // HOUR) * HOUR
    growing = [
        event(10_000 + 1000 * window + n, hour + window * WINDOW + n * 100)
        for window in range(5)
        for n in range(60 * 2**window)
    ]
    detector = RateDetector("actor")
    state = detector.new()
    (finding,) = run([*before, *growing], detector, state)
    assert finding.time // HOUR == hour // HOUR
    assert sum(count < 0 for count in state.open.values()) > 1, "later windows were as unusual"


def test_which_window_of_an_hour_fires_first_changes_no_id() -> None:
    detector = RateDetector("actor")
    before = calm()
    saved = detector.new()
    run(before, detector, saved)
    start = NOW + 24 * WINDOW
    first, second = ([event(9000 + n, start + w * WINDOW + n * 10) for n in range(80)] for w in (0, 1))
    ids = set()
    for order in ([*first, *second], [*second, *first]):
        state = detector.load(detector.save(saved))
        ids.add(tuple(f.id for one in order for f in detector.inspect(one, "user:x", state, start)))
    assert len(ids) == 1
    assert len(ids.pop()) == 1


def test_a_state_of_the_first_version_is_read() -> None:
    detector = RateDetector("actor")
    state = detector.new()
    run(burst(), detector, state)
    saved = detector.save(state)
    assert saved[5] == [burst()[-1].time // HOUR]
    assert detector.save(detector.load([*saved[:5], *saved[6:]])) == [*saved[:5], [], *saved[6:]]
    assert detector.save(detector.load(saved[:5])) == [*saved[:5], []]


def test_it_says_nothing_before_it_knows_what_is_usual() -> None:
    assert run([event(n, NOW + n * 100) for n in range(2000)]) == []


def test_a_late_event_counts_in_its_own_window_while_that_is_kept() -> None:
    detector = RateDetector("actor")
    on_time, late = detector.new(), detector.new()
    events = calm()
    end = NOW + 24 * WINDOW
    for state in (on_time, late):
        run(events, detector, state)
    within = event(9001, end - WINDOW + 5)
    for order, state in (((within, event(9002, end + 5)), on_time), ((event(9002, end + 5), within), late)):
        for one in order:
            list(detector.inspect(one, "user:x", state, end - WINDOW * (1 - GRACE)))
    assert detector.save(on_time) == detector.save(late)


def test_an_event_too_late_changes_nothing() -> None:
    detector = RateDetector("actor")
    state = detector.new()
    run(calm(), detector, state)
    watermark = NOW + 30 * WINDOW
    list(detector.inspect(event(1, watermark), "user:x", state, watermark))  # closes what the watermark has passed
    before = detector.save(state)
    assert list(detector.inspect(event(2, NOW), "user:x", state, watermark)) == []
    assert detector.save(state) == before


def test_open_windows_are_bounded() -> None:
    detector = RateDetector("actor")
    state = detector.new()
    for number in range(100):
        list(detector.inspect(event(number, NOW + number * WINDOW), "user:x", state, 0))
    assert len(state.open) <= OPEN


def test_the_state_of_an_ordinary_entity_is_small() -> None:
    detector = RateDetector("actor")
    state = detector.new()
    run(calm(), detector, state)
    assert len(str(detector.save(state))) <= 150
