"""How many events are usual: a count per window whose rate is learned online, and how unlikely a new count is."""

from __future__ import annotations

import math
from typing import Any

from river.base import AnomalyDetector

__all__ = ["GammaPoisson"]


class GammaPoisson(AnomalyDetector):  # type: ignore[misc]  # river is untyped
    """Poisson counts whose rate has a Gamma posterior that forgets.

    Counts per window are Poisson with an unknown rate; the rate has a Gamma(``shape``, ``windows``) prior. Each
    window observed adds its count to the shape and one to the windows, after both were multiplied by ``1 -
    forgetting``, so that a rate that changes is followed. The predictive distribution of the next count is negative
    binomial; the score of a count is one minus its upper tail, exact sums without an approximation.

    Parameters
    ----------
    shape, windows
        Prior: as if ``windows`` windows with ``shape`` events had been seen. Both positive.
    forgetting
        Share of what is known that a window takes away, 0 to 1. 0.02 remembers about 50 windows.

    References
    ----------
    Gelman et al., *Bayesian Data Analysis*, 3rd edition, section 2.6.

    Examples
    --------
    >>> model = GammaPoisson()
    >>> for count in [3, 4, 2, 5, 3, 4]:
    ...     model.learn_one({"count": count})
    >>> round(model.tail(4), 3), round(model.tail(30), 9)
    (0.454, 0.0)
    """

    def __init__(self, shape: float = 0.5, windows: float = 0.5, forgetting: float = 0.02) -> None:
        self.shape = shape
        self.windows = windows
        self.forgetting = forgetting
        self.events = shape  #: posterior shape
        self.exposure = windows  #: posterior rate parameter, in windows

    def learn_one(self, x: dict[str, Any]) -> None:
        """Learn one window's count, ``x["count"]``; ``x.get("windows", 1)`` windows of which the rest were empty."""
        windows = int(x.get("windows", 1))
        kept = (1.0 - self.forgetting) ** windows
        self.events = self.events * kept + x["count"]
        # what several empty windows add while they are forgotten is a geometric sum
        added = (1.0 - kept) / self.forgetting if self.forgetting else float(windows)
        self.exposure = self.exposure * kept + added
        # the prior is never forgotten: a rate of zero would make any event impossible
        self.events = max(self.events, self.shape)

    def score_one(self, x: dict[str, Any]) -> float:
        """1 minus the probability of ``x["count"]`` events or more in one window: near 1 is anomalous."""
        return 1.0 - self.tail(int(x["count"]))

    @property
    def mean(self) -> float:
        """Events expected in one window."""
        return self.events / self.exposure

    def tail(self, count: int) -> float:
        """Probability of ``count`` events or more in the next window, 0 to 1. Costs a step per event counted."""
        if count <= 0:
            return 1.0
        return max(0.0, 1.0 - sum(self._masses(count)))

    def _masses(self, count: int) -> list[float]:
        """Probabilities of 0, 1, ..., ``count - 1`` events."""
        success = self.exposure / (self.exposure + 1.0)
        mass = math.exp(self.events * math.log(success))
        masses = []
        for number in range(count):
            masses.append(mass)
            mass *= (self.events + number) / (number + 1) * (1.0 - success)
        return masses

    def threshold(self, limit: float, *, at_most: int = 1_000_000) -> int:
        """The smallest count whose upper tail is below ``limit``; a comparison with it replaces a score per event.

        The tail is summed from its far end, where one minus a sum near one would be noise.
        """
        success = self.exposure / (self.exposure + 1.0)
        log_mass = self.events * math.log(success)
        ratio = 1.0 - success
        number = 0
        # past the mean masses fall at least geometrically; go on until what is left is surely below the limit
        while number < at_most:
            growth = (self.events + number) / (number + 1) * ratio
            if growth < 1.0 and log_mass - math.log1p(-growth) < math.log(limit):
                return max(number, 1)
            log_mass += math.log(growth)
            number += 1
        return at_most
