"""Correlations over one stream without Kafka: files of recorded events, tests, measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from detectors.base import Finding
from detectors.rules.correlation.correlator import GRACE, Correlator, Told
from detectors.rules.correlation.group import Group
from detectors.rules.correlation.hit import Hit
from detectors.rules.correlation.plan import Correlations
from detectors.rules.correlation.timers import Timers

__all__ = ["MOST_GROUPS", "Memory", "key_of"]

#: Groups that are kept at once; for one more, that which would be forgotten the soonest is given up.
MOST_GROUPS: Final = 100_000

_END: Final = 1 << 62
_STEP: Final = GRACE // 2


def key_of(hit: Hit) -> bytes:
    """What the state of a hit's group is found by."""
    return f"{hit.plan}/{hit.group}".encode()


class Memory:
    """All groups of all correlations."""

    def __init__(self, correlations: Correlations, *, lateness: int, most: int = MOST_GROUPS) -> None:
        """``lateness``: ms behind the watermark that a hit may be; what comes later is counted and not taken."""
        self._correlators = {plan.key: Correlator(plan, lateness=lateness) for plan in correlations.plans}
        self._lateness = lateness
        self._most = most
        self._groups: dict[bytes, Group] = {}
        self._timers = Timers()
        self._watermark = 0
        self.counts: dict[str, int] = {}

    def take(self, hits: Iterable[Hit], watermark: int) -> Iterator[Finding]:
        """Findings of hits, under a watermark (ms) that does not go back, and of what waited for it."""
        if watermark > self._watermark:
            yield from self.settle(watermark)
        for hit in hits:
            yield from self._take(hit)

    def _take(self, hit: Hit) -> Iterator[Finding]:
        if hit.time < self._watermark - self._lateness:
            self._count("late")
            return
        correlator, key = self._correlators[hit.plan], key_of(hit)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= self._most and (first := self._timers.first()) is not None:
                self._timers.remove(first[1])
                del self._groups[first[1]]
                self._count("displaced")
            group = self._groups[key] = correlator.new(hit)
        told = correlator.take(hit, group, self._watermark, self.counts)
        self._timers.set(key, group.due)
        if told:
            yield from self._pass_on(told)

    def settle(self, watermark: int = _END) -> Iterator[Finding]:
        """What waited for ``watermark``; without one, all that waits, since no more will come.

        In steps, so that what a correlation finds is there when one that refers to it is decided.
        """
        while (first := self._timers.first()) is not None and first[0] < watermark:
            self._watermark = max(self._watermark, min(watermark, first[0] + _STEP))
            yield from self._decide()
        if watermark < _END:
            self._watermark = watermark

    def _decide(self) -> Iterator[Finding]:
        for key in self._timers.passed(self._watermark):
            plan, _, token = key.decode().partition("/")
            group = self._groups[key]
            told, needed = self._correlators[plan].settle(token, group, self._watermark, self.counts)
            if needed:
                self._timers.set(key, group.due)
            else:
                del self._groups[key]
            yield from self._pass_on(told)

    def _pass_on(self, told: list[Told]) -> Iterator[Finding]:
        for one in told:
            if isinstance(one, Finding):
                yield one
            else:
                yield from self._take(one)

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def __len__(self) -> int:
        return len(self._groups)
