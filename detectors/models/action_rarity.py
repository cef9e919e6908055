"""How rare an action is for whoever does it, learned online within a bounded table.

Like :mod:`detectors.models.gamma_poisson` it needs ``river.base`` alone. River's own ``proba.Multinomial`` keeps every
event it ever saw and a random generator per instance: too much for one instance per actor.
"""

from __future__ import annotations

import math
from typing import Any

from river.base import AnomalyDetector

__all__ = ["ActionRarity"]


class ActionRarity(AnomalyDetector):  # type: ignore[misc]  # river ships no types that strict mode accepts
    """The probability that the next action is as rare as this one, or rarer, or new.

    For what was never seen it is Good and Turing's estimate: the share of events whose action was seen once. Someone
    who often does new things is thus not surprising when they do another. An action that left the table because
    ``actions`` others are more frequent counts as rare for as long as it is remembered that it left.

    Parameters
    ----------
    actions
        Most distinct actions kept; the least frequent makes room.
    memory
        Events after which all counts are halved, so that what somebody did long ago fades. At least ``2 * actions``.

    References
    ----------
    Good, "The population frequencies of species and the estimation of population parameters", *Biometrika* 40 (1953)
    237-264, with half an event added for a new one (Jeffreys' prior).

    Examples
    --------
    >>> model = ActionRarity()
    >>> for action in ["read", "read", "search"] * 200:
    ...     model.learn_one({"action": action})
    >>> round(model.probability("export"), 5), round(model.probability("search"), 3)
    (0.00083, 0.334)
    >>> round(model.score_one({"action": "export"}), 2)
    3.08
    """

    def __init__(self, actions: int = 32, memory: int = 20_000) -> None:
        self.actions = actions
        self.memory = memory
        self.counts: dict[str, int] = {}
        self.lost = 0  #: events whose action is no longer told apart
        self.total = 0  #: events remembered, the lost ones included

    def learn_one(self, x: dict[str, Any]) -> None:
        """Learn ``x["action"]``; an event without an action teaches nothing."""
        if (action := x.get("action")) is not None:
            self.learn({action: 1})

    def score_one(self, x: dict[str, Any]) -> float:
        """Surprise of ``x["action"]``, 0 to about 5: minus the decimal logarithm of its probability."""
        return -math.log10(self.probability(x.get("action")))

    def learn(self, counts: dict[str, int], lost: int = 0) -> None:
        """Learn several events at once, ``lost`` of them without their action. The order of ``counts`` is nothing."""
        for action, count in counts.items():
            self.counts[action] = self.counts.get(action, 0) + count
        self.lost += lost
        self.total += lost + sum(counts.values())
        if len(self.counts) > self.actions:
            ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
            self.counts = dict(ranked[: self.actions])
            self.lost += sum(count for _, count in ranked[self.actions :])
        while self.total > self.memory:
            # rounded up: what was known stays known
            self.counts = {action: (count + 1) // 2 for action, count in self.counts.items()}
            self.lost //= 2
            self.total = self.lost + sum(self.counts.values())

    def probability(self, action: Any) -> float:
        """Probability in (0, 1] that the next event's action is no more frequent than ``action``, or new."""
        # an action seen once tells no more about the next than one never seen
        most = max(1, self.counts.get(action, 0))
        rare = sum(count for count in self.counts.values() if count <= most)
        return min(1.0, (rare + self.lost + 0.5) / (self.total + 1.0))
