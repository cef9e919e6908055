"""How many events are usual in a window, learned online, and how unlikely a count is.

The model is pure arithmetic: the same counts give the same numbers, bit for bit, and nothing is sampled. It imports
``river.base`` alone, so that a worker does not load what River's other models need.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from river.base import AnomalyDetector

__all__ = ["GammaPoisson"]

#: Events per window below which the learned rate never falls: a rate of zero would make any event impossible.
_LEAST = 0.01
#: Share of a sum that may be left out of it.
_NEGLIGIBLE = 1e-13
#: Score of a count whose probability is no longer a number.
_HIGHEST = 300.0


class GammaPoisson(AnomalyDetector):  # type: ignore[misc]  # river ships no types that strict mode accepts
    """Counts per window: Poisson, at a rate that is Gamma distributed and forgets.

    A window's count is Poisson with an unknown rate whose posterior is a Gamma of shape ``events`` and rate
    ``windows``; both fade by ``forgetting`` with each window learned. The next count is then negative binomial. Where
    counts vary more than that allows (one opened chart is a dozen reads), the observed index of dispersion takes the
    place of the posterior's, which is the same Gamma with less weight. A count past the usual is learned as the
    smallest unusual one, so that one attack does not become what is usual while a lasting change does.

    Parameters
    ----------
    mean, exposure, dispersion
        The prior: as if ``exposure`` windows had been seen, of ``mean`` events each, whose variance was
        ``dispersion`` times their mean. All positive.
    forgetting
        Share of what is known that a window takes away, in [0, 1). 0.01 remembers about 100 windows.
    cap
        Probability in (0, 1) of the count, or more, past which a count is learned as if it were smaller.

    References
    ----------
    Gelman et al., *Bayesian Data Analysis*, 3rd edition (2013), sections 2.6 (Poisson with a Gamma prior, negative
    binomial prediction) and 5.3. West and Harrison, *Bayesian Forecasting and Dynamic Models*, 2nd edition (1997),
    section 6.3 (discounting). Fano, *Physical Review* 72 (1947) 26 (index of dispersion).

    Examples
    --------
    >>> model = GammaPoisson()
    >>> for count in [3, 4, 2, 5, 3, 4] * 10:
    ...     model.learn_one({"count": count})
    >>> round(model.rate, 2), round(model.tail(4), 3), model.threshold(1e-6)
    (3.52, 0.466, 17)
    >>> round(model.score_one({"count": 30}), 1)
    16.7
    """

    def __init__(
        self,
        mean: float = 4.0,
        exposure: float = 2.0,
        dispersion: float = 6.0,
        forgetting: float = 0.01,
        cap: float = 0.01,
    ) -> None:
        self.mean = mean
        self.exposure = exposure
        self.dispersion = dispersion
        self.forgetting = forgetting
        self.cap = cap
        self.events = mean * exposure  #: posterior shape: events seen, faded
        self.windows = exposure  #: posterior rate: windows seen, faded
        self.squares = mean * dispersion * exposure  #: squared deviations seen, faded

    def learn_one(self, x: dict[str, Any]) -> None:
        """Learn one window of ``x["count"]`` events; without a count it was empty. Raises ValueError below zero."""
        count = x.get("count", 0)
        if count < 0:
            raise ValueError("a window cannot hold fewer than no events")
        self.learn(count)

    def score_one(self, x: dict[str, Any]) -> float:
        """Surprise of ``x["count"]``, 0 to 300: minus the decimal logarithm of its upper tail: 6 is one in 10**6."""
        tail = self.tail(math.ceil(x.get("count", 0)))
        return min(_HIGHEST, max(0.0, -math.log10(tail))) if tail > 0.0 else _HIGHEST

    def learn(self, count: int) -> None:
        """Learn one window of ``count`` events, 0 or more."""
        if count > self.rate and self.tail(count) < self.cap:
            count = self.threshold(self.cap)
        self._add(count)

    def learn_empty(self, windows: int) -> None:
        """Learn ``windows`` windows without any event; linear in their number."""
        for _ in range(windows):
            self._add(0)

    def _add(self, count: int) -> None:
        kept = 1.0 - self.forgetting
        deviation = count - self.rate
        self.windows = self.windows * kept + 1.0
        self.events = max(self.events * kept + count, _LEAST * self.windows)
        self.squares = self.squares * kept + deviation * deviation

    @property
    def rate(self) -> float:
        """Events expected in one window; positive."""
        return self.events / self.windows

    @property
    def spread(self) -> float:
        """Variance of the next count over its mean; more than 1."""
        return max(1.0 + 1.0 / self.windows, self.squares / self.events)

    def tail(self, count: int) -> float:
        """Probability of ``count`` events or more in the next window, 0 to 1, correct to 8 digits.

        A direct sum of the negative binomial's masses, on the side of the mean where no digits cancel. Its cost grows
        with the standard deviation of the count, not with the count.
        """
        if count <= 0:
            return 1.0
        if count > self.rate:
            return min(1.0, math.fsum(self._upwards(count, 0.0)))
        return max(0.0, 1.0 - math.fsum(self._downwards(count - 1)))

    def threshold(self, limit: float, least: int = 1) -> int:
        """The smallest count, not below ``least``, whose upper tail is less than ``limit`` (in (0, 1)).

        Comparing a count with it replaces a score per event.
        """
        count = max(least, math.floor(self.rate))
        masses = list(self._upwards(count, limit))
        tail = 0.0
        place = len(masses)
        while place and tail + masses[place - 1] < limit:
            place -= 1
            tail += masses[place]
        if place:
            return count + place
        if count > least:
            for mass in self._downwards(count - 1):
                tail += mass
                if tail >= limit or count <= least:
                    break
                count -= 1
        return count

    def usual(self, share: float = 0.9) -> tuple[int, int]:
        """The range of counts that holds at least ``share`` of what is expected, both ends included."""
        outside = (1.0 - share) / 2.0
        low, high = 0, math.floor(self.rate) + 1
        while high - low > 1:
            middle = (low + high) // 2
            if 1.0 - self.tail(middle) <= outside:
                low = middle
            else:
                high = middle
        return low, max(low, self.threshold(outside) - 1)

    def _shape(self) -> tuple[float, float]:
        """The negative binomial's shape and its probability of failure."""
        spread = self.spread
        return self.rate / (spread - 1.0), 1.0 - 1.0 / spread

    def _mass(self, count: int) -> float:
        shape, failure = self._shape()
        ways = math.lgamma(count + shape) - math.lgamma(count + 1.0) - math.lgamma(shape)
        return math.exp(ways + shape * math.log1p(-failure) + count * math.log(failure))

    def _upwards(self, count: int, limit: float) -> Iterator[float]:
        """Masses of ``count``, ``count + 1``, ... and last of what is left, once that matters no more.

        ``limit``: a sum that need not be told from zero any better than in its 13th digit.
        """
        shape, failure = self._shape()
        mass = self._mass(count)
        total = limit
        while True:
            yield mass
            total += mass
            ratio = (shape + count) / (count + 1.0) * failure
            # every later ratio lies between this one and the probability of failure
            bound = max(ratio, failure)
            if bound < 1.0 and mass * bound <= total * _NEGLIGIBLE * (1.0 - bound):
                yield mass * bound / (1.0 - bound)
                return
            mass *= ratio
            count += 1

    def _downwards(self, count: int) -> Iterator[float]:
        """Masses of ``count``, ``count - 1``, ... 0, or until they matter no more."""
        shape, failure = self._shape()
        mass = self._mass(count)
        total = 0.0
        while count >= 0:
            yield mass
            total += mass
            ratio = count / ((shape + count - 1.0) * failure) if count else 0.0
            if ratio < 1.0 and mass * ratio <= total * _NEGLIGIBLE * (1.0 - ratio):
                return
            mass *= ratio
            count -= 1
