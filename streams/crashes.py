"""Finds the record that kills whoever reads it: by a segfault, an endless loop, all the memory there is.

Such a record would stop its partition for ever, since whoever takes over dies of it as well. A journal on disk says
what a lane is at, and so tells the process that comes next what the one before it died of:

1. A process dies within a batch. The next one takes what lies there with care: it names each record before it reads it.
2. That one dies as well, of the record that it named last.
3. The next dies of the same record, so it was no mishap from elsewhere.
4. The record is condemned: it becomes a dead letter unread, and the lane goes on.

Whatever else kills a process leaves the same marks, which cost the next one a little time. The journal is not synced,
since what a process wrote outlives it, and where the disk takes nothing the work goes on without. A version that lays
it out in another way names its folder in another: two versions may share a host while they are exchanged.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import Final

__all__ = ["FOLDER", "CrashJournal"]

log = logging.getLogger(__name__)

#: Name of the folder of journals, which tells how they are laid out.
FOLDER: Final = "under-way"
#: Deaths of one record after which it is not read again.
ENOUGH: Final = 2
#: Condemned records that are remembered; by then the oldest are long behind.
KEPT: Final = 1000

#: Kafka's id of the topic; first offset under way and that past the last; the record named, and how often it killed.
_LAYOUT: Final = Struct("16sqqqq")
_NOWHERE: Final = -1


class CrashJournal:
    """What one lane is at. Used by one task; its file belongs to the partition, whoever owns that."""

    def __init__(self, path: Path) -> None:
        """``path``: the file, made by :meth:`open`."""
        self._path = path
        self._file = _NOWHERE
        self._topic = b""
        self._suspects = range(0)
        self._under_way = (_NOWHERE, _NOWHERE)
        self._killer = (_NOWHERE, 0)
        self.condemned: frozenset[int] = frozenset()  #: places of records that must not be read again
        self.careful = False  #: whether each record of the batch under way must be named before it is read

    def open(self, topic_id: bytes) -> None:
        """Read what the process before this one left of this topic."""
        self.close()
        self._topic = topic_id
        self._suspects, self._killer = range(0), (_NOWHERE, 0)
        self.condemned = frozenset()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            self._take_over(os.pread(self._file, _LAYOUT.size + 8 * KEPT, 0))
        except OSError as exc:
            log.warning("a record that kills the worker would not be found: %s", exc)

    def _take_over(self, raw: bytes) -> None:
        condemned = array("q")
        if raw[:16] == self._topic and len(raw) >= _LAYOUT.size and not len(raw) % 8:
            _, first, end, place, deaths = _LAYOUT.unpack_from(raw)
            condemned.frombytes(raw[_LAYOUT.size :])
            self._suspects = range(first, end)
            self._killer = (place, deaths)
            if deaths >= ENOUGH:
                condemned.append(place)
        self.condemned = frozenset(condemned)
        os.ftruncate(self._file, _LAYOUT.size)
        os.pwrite(self._file, condemned[-KEPT:].tobytes(), _LAYOUT.size)
        self._under_way = self._suspects.start, self._suspects.stop
        self.rest()

    def close(self) -> None:
        if self._file != _NOWHERE:
            os.close(self._file)
            self._file = _NOWHERE

    @contextmanager
    def batch(self, first: int, end: int) -> Iterator[None]:
        """Around all that is done with the offsets from ``first`` up to ``end``; sets :attr:`careful`."""
        self._under_way = (first, end)
        self.careful = max(first, self._suspects.start) < min(end, self._suspects.stop)
        self.rest()
        try:
            yield
            if self.careful and end >= self._suspects.stop:
                self._suspects, self._killer = range(0), (_NOWHERE, 0)
        finally:
            self.careful = False
            self._under_way = self._suspects.start, self._suspects.stop
            self.rest()

    def name(self, place: int) -> None:
        """``place`` is read next, with no other task between: should the process end now, it was that."""
        killer, deaths = self._killer
        self._write(place, deaths + 1 if place == killer else 1)

    def rest(self) -> None:
        """No record is being read now: other tasks may run."""
        self._write(*self._killer)

    def _write(self, place: int, deaths: int) -> None:
        with suppress(OSError):  # the disk is full, or there was no file to begin with
            os.pwrite(self._file, _LAYOUT.pack(self._topic, *self._under_way, place, deaths), 0)
