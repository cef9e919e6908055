"""One an hour, in whatever order hours come, and no more memory than a few of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.models.cooldown import HOUR, KEPT, checked, first_in_hour


@given(st.lists(st.integers(0, KEPT - 1), max_size=60))
def test_each_hour_is_told_once_in_any_order(hours: list[int]) -> None:
    told: list[int] = []
    found = [hour for hour in hours if first_in_hour(told, hour * HOUR + 7)]
    assert sorted(found) == sorted(set(hours)) == told


@given(st.lists(st.integers(-(10**6), 10**6), max_size=100))
def test_memory_is_bounded_and_can_be_saved(hours: list[int]) -> None:
    told: list[int] = []
    for hour in hours:
        first_in_hour(told, hour * HOUR)
        assert len(told) <= KEPT
        assert checked(told) == told
        assert not first_in_hour(told, hour * HOUR)


@pytest.mark.parametrize("garbage", [None, {}, [1, 1], [2, 1], [1.0], ["x"], [True], list(range(KEPT + 1))])
def test_what_was_never_kept_is_refused(garbage: object) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        checked(garbage)
