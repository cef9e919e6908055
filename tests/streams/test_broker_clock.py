"""What a stamp of the broker proves of a clock, and nothing more."""

from __future__ import annotations

import pytest

from streams.broker_clock import BrokerClock


@pytest.mark.parametrize(
    ("sent", "stamp", "acked", "ahead"),
    [
        (100.0, 100_100, 100.2, 0.0),
        (100.0, 100_000, 170.0, 0.0),  # a broker that took a minute
        (700.0, 100_100, 700.2, 599.9),
        (100.0, 700_100, 100.2, -599.9),
        (700.0, 100_000, 60.0, 0.0),  # our clock was set meanwhile
        (700.0, None, 700.2, 0.0),  # it does not say
    ],
)
def test_only_what_is_certain(sent: float, stamp: int | None, acked: float, ahead: float) -> None:
    clock = BrokerClock(lambda: acked)
    clock.stamped(stamp, sent=sent)
    assert clock.ahead == pytest.approx(ahead)
    assert clock() == pytest.approx(acked - ahead)


def test_a_clock_that_is_set_right_is_taken_for_right_at_the_next_stamp() -> None:
    now = 700.0
    clock = BrokerClock(lambda: now)
    clock.stamped(100_000, sent=now)
    assert clock() == 100.0
    now = 101.0
    clock.stamped(101_000, sent=now)
    assert clock.ahead == 0
