"""Windows over hits that are kept one by one: distinct values, and percentiles."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterator
from typing import Any

from detectors.rules.correlation.windows import LIMIT, grain, steps, totals_of

__all__ = ["Distinct", "Numbers"]


class _Entries:
    """Hits one by one, each with its value."""

    def __init__(self, span: int) -> None:
        self._span = span
        self._times: list[int] = []
        self._values: list[int] = []

    def add(self, time: int, member: int, value: int) -> bool:
        times = self._times
        if not times or time >= times[-1]:
            times.append(time)
            self._values.append(value)
            return True
        at = bisect_right(times, time)
        times.insert(at, time)
        self._values.insert(at, value)
        return False

    def _points(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Each time from ``first`` to ``last``, with begin and end of its window among the entries."""
        times = self._times
        end = bisect_left(times, first)
        while end < len(times) and times[end] <= last:
            time = times[end]
            end = bisect_right(times, time, end)
            yield time, bisect_left(times, time - self._span), end

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
            del times[:at], self._values[:at]

    def __len__(self) -> int:
        return len(self._times)

    def save(self) -> list[Any]:
        return [steps(self._times, 0), self._values[:]]

    def load(self, saved: list[Any]) -> None:
        times, values = saved
        self._times, self._values = totals_of(times), list(values)
        if len(times) != len(values) or not set(map(type, values)) <= {int}:
            raise ValueError("columns of different length, or a value that is no number")


class Distinct(_Entries):
    """How many different values, each by its fingerprint."""

    def __init__(self, span: int) -> None:
        super().__init__(span)
        self._last: dict[int, int] = {}  #: each value's newest time
        self._lasts: list[int] = []  #: those times in order, so that a bisection counts them

    def add(self, time: int, member: int, value: int) -> bool:
        newest = super().add(time, member, value)
        self._note(time, value)
        return newest

    def _note(self, time: int, value: int) -> None:
        known = self._last.get(value)
        if known is None or known < time:
            if known is not None:
                del self._lasts[bisect_left(self._lasts, known)]
            self._last[value] = time
            insort(self._lasts, time)

    def measure(self, time: int) -> int:
        times = self._times
        if time >= times[-1]:
            return len(self._lasts) - bisect_left(self._lasts, time - self._span)
        return len(set(self._values[bisect_left(times, time - self._span) : bisect_right(times, time)]))

    def sweep(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        values = self._values
        inside: Counter[int] = Counter()
        begin = end = bisect_left(self._times, first - self._span)
        for time, left, right in self._points(first, last):
            inside.update(values[end:right])
            for value in values[begin:left]:
                inside[value] -= 1
                if not inside[value]:
                    del inside[value]
            begin, end = left, right
            yield time, len(inside)

    def at_most(self, first: int, last: int) -> int:
        return len(self._last)

    def drop(self, before: int) -> None:
        held = len(self._times)
        super().drop(before)
        if len(self._times) != held:
            at = bisect_left(self._lasts, before)
            if at:
                del self._lasts[:at]
                self._last = {value: time for value, time in self._last.items() if time >= before}

    def thin(self) -> None:
        """Of each value the newest hit of a moment is kept; then, oldest first, hits that another of their value
        follows are given up, and values only when they are more than are kept at all."""
        times, values = self._times, self._values
        moment = grain(times[0], times[-1], LIMIT // 8)
        newest = {(time // moment, value): (time, value) for time, value in zip(times, values, strict=True)}
        entries = sorted(newest.values())
        excess = len(entries) - LIMIT // 2
        kept = []
        for time, value in entries:
            if excess > 0 and time < self._last[value]:
                excess -= 1
            else:
                kept.append((time, value))
        kept = kept[max(0, len(kept) - LIMIT * 3 // 4) :]
        self._times, self._values = [time for time, _ in kept], [value for _, value in kept]
        self._index()

    def _index(self) -> None:
        self._last = dict(zip(self._values, self._times, strict=True))
        self._lasts = sorted(self._last.values())

    def load(self, saved: list[Any]) -> None:
        super().load(saved)
        self._index()


class Numbers(_Entries):
    """A percentile of numbers, between two of them in proportion, as billionths times 100,000 over 100,000.

    Past LIMIT the oldest half is given up: a percentile of the newest thousands.
    """

    def __init__(self, span: int, percentile: int) -> None:
        """``percentile``: thousandths of a percent."""
        super().__init__(span)
        self._percentile = percentile

    def measure(self, time: int) -> tuple[int, int]:
        begin, end = bisect_left(self._times, time - self._span), bisect_right(self._times, time)
        return self._of(sorted(self._values[begin:end]))

    def _of(self, ordered: list[int]) -> tuple[int, int]:
        whole, part = divmod(self._percentile * (len(ordered) - 1), 100_000)
        low = ordered[whole]
        high = ordered[whole + 1] if part else low
        return low * 100_000 + (high - low) * part, 100_000

    def sweep(self, first: int, last: int) -> Iterator[tuple[int, tuple[int, int]]]:
        values = self._values
        begin = end = bisect_left(self._times, first - self._span)
        inside: list[int] = []
        for time, left, right in self._points(first, last):
            for value in values[end:right]:
                insort(inside, value)
            for value in values[begin:left]:
                del inside[bisect_left(inside, value)]
            begin, end = left, right
            yield time, self._of(inside)

    def at_most(self, first: int, last: int) -> tuple[int, int]:
        return max(self._values) * 100_000, 100_000

    def thin(self) -> None:
        del self._times[: -LIMIT // 2], self._values[: -LIMIT // 2]
