"""Correlations over one stream without Kafka: files of recorded events, tests, measurements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from detectors.base import Finding
from detectors.rules.correlation.evaluators import State, evaluator
from detectors.rules.correlation.hit import Hit
from detectors.rules.correlation.plan import Correlations
from detectors.rules.correlation.timers import Timers
from detectors.rules.correlation.told import GRACE, Told

__all__ = ["MOST_GROUPS", "Memory"]

#: Groups that are kept at once; for one more, that which would be forgotten the soonest is given up.
MOST_GROUPS: Final = 100_000

_END: Final = 1 << 62
_STEP: Final = GRACE // 2


class Memory:
    """All groups of all correlations."""

    def __init__(self, correlations: Correlations, *, lateness: int, most: int = MOST_GROUPS) -> None:
        """``lateness``: ms behind the watermark that a hit may be; what comes later is counted and not taken."""
        self._correlators = {plan.key: evaluator(plan, lateness=lateness) for plan in correlations.plans}
        self._lateness = lateness
        self._most = most
        self._groups: dict[str, State] = {}
        self._timers: Timers[str] = Timers()
        self._watermark = 0
        self._newest = 0  #: time of the newest hit
        self._end = _END  #: of the last event, once no more will come
        self.counts: dict[str, int] = {}

    def take(self, hits: Iterable[Hit], watermark: int) -> list[Finding]:
        """Findings of hits, under a watermark (ms) that does not go back, and of what waited for it."""
        found = self.settle(watermark) if watermark > self._watermark else []
        for hit in hits:
            self._take(hit, found)
        return found

    def _take(self, hit: Hit, found: list[Finding]) -> None:
        watermark = self._watermark
        if hit.time < watermark - self._lateness:
            self._count("late")
            return
        self._newest = max(self._newest, hit.time)
        correlator, key = self._correlators[hit.plan], f"{hit.plan}/{hit.group}"
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= self._most and (first := self._timers.first()) is not None:
                self._displace(first[1], found)
            group = self._groups[key] = correlator.new(hit)
        due = group.due
        told = correlator.take(hit, group, watermark, self.counts)
        if group.due != due:
            self._timers.set(key, group.due)
        if told:
            self._pass_on(told, found)

    def _displace(self, key: str, found: list[Finding]) -> None:
        """Give up a group for another."""
        self._timers.remove(key)
        plan, _, token = key.partition("/")
        told = self._correlators[plan].displace(token, self._groups.pop(key))
        self._count("displaced")
        self._pass_on(told, found)

    def settle(self, watermark: int = _END, *, end: int = 0) -> list[Finding]:
        """What waited for ``watermark``; without one, all that waits, since no more will come.

        ``end``: ms of the last event, after which nobody knows whether something is absent; at least the newest hit's,
        and the watermark.
        In steps, so that what a correlation finds is there when one that refers to it is decided.
        """
        found: list[Finding] = []
        self._end = _END if watermark < _END else max(end, self._newest, self._watermark)
        while (first := self._timers.first()) is not None and first[0] < watermark:
            self._watermark = max(self._watermark, min(watermark, first[0] + _STEP))
            self._decide(found)
        if watermark < _END:
            self._watermark = watermark
        return found

    def _decide(self, found: list[Finding]) -> None:
        for key in self._timers.passed(self._watermark):
            plan, _, token = key.partition("/")
            group = self._groups[key]
            told, needed = self._correlators[plan].settle(token, group, self._watermark, self.counts, self._end)
            if needed:
                self._timers.set(key, group.due)
            else:
                del self._groups[key]
            self._pass_on(told, found)

    def _pass_on(self, told: list[Told], found: list[Finding]) -> None:
        for one in told:
            if isinstance(one, Finding):
                found.append(one)
            else:
                self._take(one, found)

    @property
    def due(self) -> int:
        """A watermark up to which :meth:`settle` finds nothing to do."""
        first = self._timers.first()
        return _END if first is None else first[0]

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def __len__(self) -> int:
        return len(self._groups)
