"""When what waits is due: in memory, made again from durable state whenever that is opened."""

from __future__ import annotations

from heapq import heappop, heappush

__all__ = ["Schedule"]


class Schedule:
    """Keys by the time at which each is due. A key taken is in hand until :meth:`done`; every call is O(log n)."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, bytes]] = []  #: may name a key at a time that is no longer its own
        self._due: dict[bytes, int] = {}
        self._in_hand: set[bytes] = set()

    def put(self, key: bytes, due: int) -> None:
        """``key`` waits until ``due``. Nothing where it is in hand."""
        if key not in self._in_hand and self._due.get(key) != due:
            self._due[key] = due
            heappush(self._heap, (due, key))

    def take(self, now: int, limit: int) -> list[bytes]:
        """At most ``limit`` keys that are due at ``now``, longest due first."""
        taken: list[bytes] = []
        while len(taken) < limit and (due := self.next_due()) is not None and due <= now:
            _, key = heappop(self._heap)
            del self._due[key]
            self._in_hand.add(key)
            taken.append(key)
        return taken

    def done(self, key: bytes) -> None:
        """``key`` is in hand no longer; :meth:`put` it where it waits again."""
        self._in_hand.discard(key)

    def next_due(self) -> int | None:
        """The earliest time at which something is due; None where nothing waits."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None
