"""The ids of recent events, compactly, so that an event a service sends twice counts once.

Ids are 64-bit fingerprints in buckets of event time; a bucket is dropped, with all that was written for it, once no
window can need it. In memory a bucket is one sorted array, 8 bytes an id, and a small set of newcomers; on the
changelog it is a row of chunks, merged when there are many, so that writing costs 8 bytes an event and not the whole
set. Of a chunk that is not merged again nothing but its key is kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

__all__ = ["PREFIX", "SeenIds"]

#: Changelog keys of this module start with it.
PREFIX = b"\x00seen/"

#: Newcomers of a bucket before they are merged into its array.
_MERGE = 8192
#: Chunks of one level before they are merged into one of the next.
_FANOUT = 32
#: Bytes of the largest chunk, far below what the changelog takes in one record; one as large is not merged again.
_CHUNK = 128 * 1024
#: Level of chunks that are not merged again.
_FULL = 99
#: Below every bucket.
_NOWHERE = -(1 << 62)


class SeenIds:
    """Fingerprints by bucket. Changes are staged until :meth:`flushed`; :meth:`rollback` forgets what is staged."""

    def __init__(self) -> None:
        self._buckets: dict[int, _Bucket] = {}
        self._dropped: dict[int, _Bucket] = {}
        self._floor = _NOWHERE
        self._found: dict[int, int] = {}
        self._since: dict[int, int] = {}

    def look_up(self, ids: Iterable[int]) -> None:
        """Find which of ``ids`` are held. One call for a whole batch, before its first :meth:`fresh`."""
        self._found = {}
        self._since = {}
        wanted = np.fromiter(ids, dtype=np.uint64)
        if wanted.size:
            for number in sorted(self._buckets):
                self._found.update(dict.fromkeys(self._buckets[number].find(wanted), number))

    def fresh(self, fingerprint: int) -> bool:
        """False where it is in any bucket that is kept: the answer is the same however the log is cut into batches."""
        held = self._since.get(fingerprint)
        if held is None:
            held = self._found.get(fingerprint, _NOWHERE)
        return held < self._floor or held == _NOWHERE

    def add(self, bucket: int, fingerprint: int) -> None:
        """Remember one, unless its bucket was dropped already."""
        if bucket < self._floor:
            return
        held = self._buckets.get(bucket)
        if held is None:
            held = self._buckets[bucket] = _Bucket()
        held.recent.add(fingerprint)
        held.staged.append(fingerprint)
        self._since[fingerprint] = bucket

    def drop_before(self, bucket: int) -> None:
        """Forget every bucket below ``bucket``."""
        if bucket <= self._floor:
            return
        self._floor = bucket
        for number in [n for n in self._buckets if n < bucket]:
            self._dropped[number] = self._buckets.pop(number)

    def __len__(self) -> int:
        return sum(int(bucket.base.size) + len(bucket.recent) for bucket in self._buckets.values())

    # Durability

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take back one record of the changelog. Raises ValueError on a key that :meth:`changes` did not write."""
        number, level, chunk = (int(part) for part in key.removeprefix(PREFIX).split(b"/"))
        bucket = self._buckets.setdefault(number, _Bucket())
        if value is None:
            bucket.chunks.pop((level, chunk), None)
        else:
            bucket.chunks[level, chunk] = value
        bucket.next_chunk = max(bucket.next_chunk, chunk + 1)

    def loaded(self) -> None:
        """Call once after the last :meth:`load`."""
        self._buckets = {number: bucket for number, bucket in self._buckets.items() if bucket.chunks}
        for bucket in self._buckets.values():
            bucket.rebuild()

    def changes(self) -> dict[bytes, bytes | None]:
        """What to write for all that is staged; None is a tombstone."""
        changes: dict[bytes, bytes | None] = {
            _key(number, chunk): None for number, bucket in self._dropped.items() for chunk in bucket.chunks
        }
        for number, bucket in self._buckets.items():
            changes.update(bucket.stage(number))
        return changes

    def flushed(self) -> None:
        """What :meth:`changes` gave is durable."""
        self._dropped.clear()
        for bucket in self._buckets.values():
            bucket.settle()

    def rollback(self) -> None:
        """Be again as after the last :meth:`flushed`."""
        self._buckets.update(self._dropped)
        self._dropped.clear()
        self._floor = _NOWHERE
        self._since = {}
        for bucket in self._buckets.values():
            bucket.recent.difference_update(bucket.staged)
            bucket.staged.clear()


class _Bucket:
    __slots__ = ("_pending", "base", "chunks", "next_chunk", "recent", "staged")

    def __init__(self) -> None:
        self.base = np.empty(0, dtype=np.uint64)  #: sorted, durable
        self.recent: set[int] = set()  #: not yet in ``base``
        self.staged: list[int] = []  #: in ``recent`` and not yet durable
        #: Durable, by level and number; the full ones without their bytes.
        self.chunks: dict[tuple[int, int], bytes] = {}
        self.next_chunk = 0
        self._pending: dict[tuple[int, int], bytes | None] = {}

    def find(self, wanted: np.ndarray) -> list[int]:
        found: list[int] = []
        if self.recent:
            found.extend(self.recent.intersection(wanted.tolist()))
        if self.base.size:
            at = np.searchsorted(self.base, wanted)
            at[at == self.base.size] = 0
            found.extend(wanted[self.base[at] == wanted].tolist())
        return found

    def stage(self, number: int) -> Iterator[tuple[bytes, bytes | None]]:
        self._pending = {}
        if self.staged:
            self._pending[0, self.next_chunk] = np.array(self.staged, dtype=np.uint64).tobytes()
        level = 0
        while True:
            full = [key for key in {**self.chunks, **self._pending} if key[0] == level]
            if len(full) < _FANOUT:
                break
            merged = b"".join(self._pending.get(key) or self.chunks[key] for key in sorted(full))
            for key in full:
                self._pending.pop(key, None)
                if key in self.chunks:
                    self._pending[key] = None
            level += 1
            if len(merged) < _CHUNK:
                self._pending[level, self.next_chunk] = merged
            else:
                for start in range(0, len(merged), _CHUNK):
                    self._pending[_FULL, self.next_chunk + start // _CHUNK] = merged[start : start + _CHUNK]
                break
        for key, value in self._pending.items():
            yield _key(number, key), value

    def settle(self) -> None:
        for key, value in self._pending.items():
            if value is None:
                del self.chunks[key]
            else:
                self.chunks[key] = b"" if key[0] == _FULL else value
                self.next_chunk = max(self.next_chunk, key[1] + 1)
        self._pending = {}
        self.staged.clear()
        if len(self.recent) >= _MERGE:
            self._merge()

    def rebuild(self) -> None:
        self.base = np.unique(np.frombuffer(b"".join(self.chunks.values()), dtype=np.uint64))
        self.chunks.update((key, b"") for key in self.chunks if key[0] == _FULL)

    def _merge(self) -> None:
        newcomers = np.fromiter(self.recent, dtype=np.uint64, count=len(self.recent))
        self.base = np.union1d(self.base, newcomers)
        self.recent.clear()


def _key(number: int, chunk: tuple[int, int]) -> bytes:
    return PREFIX + b"%d/%d/%d" % (number, *chunk)
