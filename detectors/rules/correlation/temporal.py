"""Windows of several rules: which have hits, and whether in order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from detectors.rules.correlation.windows import LIMIT, grain, last_of_each, steps, totals_of

__all__ = ["Temporal"]


class Temporal:
    """Which rules have hits, as bits; of an ordered one all or none, whether they came in their order."""

    def __init__(self, span: int, members: int, *, ordered: bool) -> None:
        self._span = span
        self._ordered = ordered
        self._hits: list[list[int]] = [[] for _ in range(members)]
        self._all = (1 << members) - 1
        self._latest = -(1 << 62)

    def add(self, time: int, member: int, value: int) -> bool:
        hits = self._hits[member]
        if not hits or time > hits[-1]:
            hits.append(time)
        else:
            at = bisect_left(hits, time)
            if hits[at] != time:
                hits.insert(at, time)
        if time < self._latest:
            return False
        self._latest = time
        return True

    def measure(self, time: int) -> int:
        oldest = time - self._span
        if self._ordered:
            # From the last rule back, each as late as the one after it leaves: the sequence that begins the latest.
            for hits in reversed(self._hits):
                at = bisect_right(hits, time)
                if not at or hits[at - 1] < oldest:
                    return 0
                time = hits[at - 1]
            return self._all
        return self.at_most(time, time)

    def sweep(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        points = {t for hits in self._hits for t in hits[bisect_left(hits, first) : bisect_right(hits, last)]}
        for time in sorted(points):
            yield time, self.measure(time)

    def at_most(self, first: int, last: int) -> int:
        oldest, seen = first - self._span, 0
        for number, hits in enumerate(self._hits):
            at = bisect_right(hits, last)
            if at and hits[at - 1] >= oldest:
                seen |= 1 << number
        return seen

    def next(self, time: int) -> int | None:
        after = [hits[at] for hits in self._hits if (at := bisect_left(hits, time)) < len(hits)]
        return min(after, default=None)

    @property
    def latest(self) -> int:
        return self._latest

    def drop(self, before: int) -> None:
        for hits in self._hits:
            if hits and hits[len(hits) // 4] < before:
                del hits[: bisect_left(hits, before)]

    def thin(self) -> None:
        first = min(hits[0] for hits in self._hits if hits)
        moment = grain(first, self._latest, LIMIT // 2 // len(self._hits))
        self._hits = [[hits[n] for n in last_of_each(hits, moment)] for hits in self._hits]

    def __len__(self) -> int:
        return sum(map(len, self._hits))

    def save(self) -> list[Any]:
        return [steps(hits, 0) for hits in self._hits]

    def load(self, saved: list[Any]) -> None:
        if len(saved) != len(self._hits):
            raise ValueError("hits of another number of rules")
        self._hits = [totals_of(steps) for steps in saved]
        self._latest = max((hits[-1] for hits in self._hits if hits), default=self._latest)
