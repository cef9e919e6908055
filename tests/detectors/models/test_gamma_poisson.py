"""The model's tail against scipy's negative binomial, its threshold against its tail, and what it learns."""

from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from detectors.models import action_rarity, gamma_poisson
from detectors.models.gamma_poisson import GammaPoisson

counts = st.lists(st.integers(0, 60), min_size=1, max_size=40)


def learned(history: list[int]) -> GammaPoisson:
    model = GammaPoisson()
    for count in history:
        model.learn_one({"count": count})
    return model


@given(counts, st.integers(0, 400))
@settings(max_examples=200)
def test_the_tail_is_the_negative_binomial_s(history: list[int], count: int) -> None:
    model = learned(history)
    shape, failure = model.rate / (model.spread - 1.0), 1.0 - 1.0 / model.spread
    assert model.tail(count) == pytest.approx(nbinom.sf(count - 1, shape, 1.0 - failure), rel=1e-6, abs=1e-280)


@given(counts, st.sampled_from([0.01, 1e-4, 1e-6, 1e-12]))
@settings(max_examples=200)
def test_the_threshold_is_the_smallest_unusual_count(history: list[int], limit: float) -> None:
    model = learned(history)
    threshold = model.threshold(limit)
    assert model.tail(threshold) < limit * 1.000001
    assert threshold == 1 or model.tail(threshold - 1) >= limit * 0.999


def test_it_follows_a_lasting_change_and_not_one_attack() -> None:
    model = learned([5] * 100)
    before = model.threshold(1e-6)
    model.learn(5000)
    assert model.threshold(1e-6) < 2 * before, "one attack became what is usual"
    for _ in range(400):
        model.learn(50)
    assert model.rate == pytest.approx(50, rel=0.1)


def test_the_score_is_orders_of_magnitude() -> None:
    model = learned([5] * 50)
    assert model.score_one({"count": model.threshold(1e-6)}) >= 6.0
    assert model.score_one({"count": 0}) == 0.0
    assert model.score_one({"count": 10**9}) == 300.0
    with pytest.raises(ValueError, match="fewer than no events"):
        model.learn_one({"count": -1})


def test_the_examples_in_the_docstrings_hold() -> None:
    for module in (gamma_poisson, action_rarity):
        assert doctest.testmod(module).failed == 0
    assert math.isfinite(learned([0] * 10_000).threshold(1e-6))
