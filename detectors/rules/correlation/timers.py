"""Which groups have something to do once the watermark has passed a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

__all__ = ["Timers"]

Key = TypeVar("Key", bytes, str)


class Timers(Generic[Key]):
    """One time for each key. What they give depends on what was set, and not on the order."""

    def __init__(self, due: Iterable[tuple[Key, int]] = ()) -> None:
        self._due: dict[Key, int] = dict(due)
        self._heap: list[tuple[int, Key]] = [(time, key) for key, time in self._due.items()]
        heapify(self._heap)

    def set(self, key: Key, time: int) -> None:
        if self._due.get(key) != time:
            self._due[key] = time
            heappush(self._heap, (time, key))
            if len(self._heap) > 4 * len(self._due) + 1024:  # most of it is of times that were changed since
                self._heap = [(due, other) for other, due in self._due.items()]
                heapify(self._heap)

    def remove(self, key: Key) -> None:
        self._due.pop(key, None)

    def passed(self, watermark: int) -> Iterator[Key]:
        """The keys whose time lies before ``watermark``, in order; each is set again or removed by who takes it."""
        while (first := self.first()) is not None and first[0] < watermark:
            heappop(self._heap)
            del self._due[first[1]]
            yield first[1]

    def first(self) -> tuple[int, Key] | None:
        """The time that comes first, and whose it is."""
        heap = self._heap
        while heap:
            if self._due.get(heap[0][1]) == heap[0][0]:
                return heap[0]
            heappop(heap)
        return None

    def __len__(self) -> int:
        return len(self._due)
