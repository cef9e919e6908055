"""Windows over running totals: what lies between two times is one subtraction."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from detectors.rules.correlation.windows import LIMIT, grain, last_of_each, steps, totals_of

__all__ = ["Averages", "Totals"]


class Totals:
    """The sum of the hits' values; their count where each is 1."""

    def __init__(self, span: int) -> None:
        self._span = span
        self._times: list[int] = []
        self._totals: list[int] = []  #: of all hits up to the time, also those forgotten since
        self._base = 0  #: of those forgotten
        self._falls = False  #: some value was below 0, so that a longer window may hold less

    def add(self, time: int, member: int, value: int) -> bool:
        times, totals = self._times, self._totals
        if value < 0:
            self._falls = True
        if not times or time > times[-1]:
            totals.append((totals[-1] if times else self._base) + value)
            times.append(time)
            return True
        at = bisect_left(times, time)
        if times[at] != time:
            times.insert(at, time)
            totals.insert(at, totals[at - 1] if at else self._base)
        totals[at:] = [total + value for total in totals[at:]]
        return time == times[-1]

    def measure(self, time: int) -> int | tuple[int, int]:
        return self._between(*self._window(time))

    def _window(self, time: int) -> tuple[int, int]:
        """Begin and end of the window among the times; there is a hit in it."""
        times = self._times
        end = len(times) if time >= times[-1] else bisect_right(times, time)
        return bisect_left(times, time - self._span), end

    def _between(self, begin: int, end: int) -> int:
        totals = self._totals
        return totals[end - 1] - (totals[begin - 1] if begin else self._base)

    def sweep(self, first: int, last: int) -> Iterator[tuple[int, Any]]:
        for time in self._times[bisect_left(self._times, first) : bisect_right(self._times, last)]:
            yield time, self.measure(time)

    def at_most(self, first: int, last: int) -> Any:
        if self._falls:
            return 1 << 128
        times = self._times
        return self._between(bisect_left(times, first - self._span), bisect_right(times, last))

    def next(self, time: int) -> int | None:
        at = bisect_left(self._times, time)
        return self._times[at] if at < len(self._times) else None

    @property
    def latest(self) -> int:
        return self._times[-1]

    def drop(self, before: int) -> None:
        times = self._times
        if times and times[len(times) // 4] < before:
            at = bisect_left(times, before)
            self._base = self._totals[at - 1]
            del times[:at], self._totals[:at]

    def thin(self) -> None:
        # The last of each moment has the totals of all of it.
        kept = last_of_each(self._times, grain(self._times[0], self._times[-1], LIMIT // 2))
        self._times = [self._times[n] for n in kept]
        self._totals = [self._totals[n] for n in kept]

    def __len__(self) -> int:
        return len(self._times)

    def save(self) -> list[Any]:
        return [steps(self._times, 0), steps(self._totals, self._base), self._falls]

    def load(self, saved: list[Any]) -> None:
        times, totals, self._falls = saved
        self._times, self._totals = totals_of(times), totals_of(totals)
        if len(self._times) != len(self._totals):
            raise ValueError("columns of different length")


class Averages(Totals):
    """The sum of the hits' values beside their count."""

    def __init__(self, span: int) -> None:
        super().__init__(span)
        self._counts = Totals(span)

    def add(self, time: int, member: int, value: int) -> bool:
        self._counts.add(time, member, 1)
        return super().add(time, member, value)

    def measure(self, time: int) -> tuple[int, int]:
        begin, end = self._window(time)
        return self._between(begin, end), self._counts._between(begin, end)

    def drop(self, before: int) -> None:
        self._counts.drop(before)
        super().drop(before)

    def thin(self) -> None:
        self._counts.thin()
        super().thin()

    def save(self) -> list[Any]:
        return [*super().save(), self._counts.save()[1]]

    def load(self, saved: list[Any]) -> None:
        times, totals, falls, counts = saved
        super().load([times, totals, falls])
        self._counts.load([times, counts, False])
