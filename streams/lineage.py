"""Where each derived record came from, and the guard by which a reader takes every one of them exactly once.

Delivery is at least once and without transactions, so a step that was killed writes some outputs again, at new offsets.
Each derived record therefore names its source position, and the position that was sent to the same downstream
partition just before it. The reader accepts a record if its position is past the mark of its source and nothing in
between is missing. Rules 1 and 4 of ``docs/replay.md``; the table there shows what each part is worth.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct, error
from typing import NamedTuple

__all__ = [
    "BLOCK",
    "HEADER",
    "NO_POSITION",
    "SCHEMA",
    "Lineage",
    "Marks",
    "NewerSchema",
    "Position",
    "TopicReplaced",
    "fingerprint",
]

#: The Kafka header that carries the :class:`Lineage` of a record that lies by itself.
HEADER = "lineage"
#: The same where many lie in one (:mod:`streams.blocks`): its position is that of the last.
BLOCK = "block"
#: Version of every value on a topic of ours; a worker stops its partition at a newer one.
SCHEMA = 1

_LAYOUT = Struct(">B16siqHqHQ")


class Position(NamedTuple):
    """One output of one source record: its offset, and which of the outputs of that record."""

    offset: int
    output: int


NO_POSITION = Position(-1, 0)


class NewerSchema(Exception):
    """A record written by a newer version of the product. Its partition waits until this worker is upgraded."""


class TopicReplaced(Exception):
    """A topic was deleted and made again: its offsets are not those we know. Its partition waits for a person."""


class Lineage(NamedTuple):
    """The header of one derived record."""

    topic: bytes  #: Kafka's id (16 bytes) of the source topic, so a topic made again is not taken for the old one
    partition: int
    position: Position
    previous: Position  #: sent to this downstream partition just before in this batch; NO_POSITION if none
    event: int  #: 64-bit :func:`fingerprint` of the event's domain id, 0 on control records

    @property
    def source(self) -> tuple[bytes, int]:
        return self.topic, self.partition

    def pack(self) -> bytes:
        return _LAYOUT.pack(SCHEMA, self.topic, self.partition, *self.position, *self.previous, self.event)

    @classmethod
    def unpack(cls, raw: bytes) -> Lineage:
        """Raises NewerSchema on a later version, ValueError on anything else that :meth:`pack` did not write."""
        if raw[:1] > bytes((SCHEMA,)):
            raise NewerSchema(f"lineage of schema {raw[0]}; this worker reads {SCHEMA}: upgrade it")
        try:
            _, topic, partition, offset, output, prev_offset, prev_output, event = _LAYOUT.unpack(raw)
        except error as exc:
            raise ValueError(f"lineage header of {len(raw)} bytes, {_LAYOUT.size} expected") from exc
        return cls(topic, partition, Position(offset, output), Position(prev_offset, prev_output), event)


class Marks:
    """The last position taken from each source, as a function of the log read so far."""

    __slots__ = ("_taken",)

    def __init__(self, saved: dict[str, list[int]] | None = None) -> None:
        self._taken: dict[tuple[bytes, int], Position] = {}
        for name, (offset, output) in (saved or {}).items():
            topic, _, partition = name.partition("/")
            self._taken[bytes.fromhex(topic), int(partition)] = Position(offset, output)

    def accept(self, lineage: Lineage, positions: Sequence[tuple[int, int]]) -> int:
        """Take what is new and unbroken, and remember that. How many of ``positions``, from the first, to drop.

        ``positions``: of each record, rising; the last is that of ``lineage``. What is dropped no state ever sees.
        """
        mark = self._taken.get((lineage.topic, lineage.partition), NO_POSITION)
        if lineage.position <= mark or lineage.previous > mark:
            return len(positions)
        self._taken[lineage.topic, lineage.partition] = lineage.position
        if positions[0][0] > mark.offset:
            return 0
        return bisect_right(positions, tuple(mark))

    def save(self) -> dict[str, list[int]]:
        """JSON form: ``topic id in hex/partition`` to ``[offset, output]``."""
        return {f"{topic.hex()}/{partition}": list(position) for (topic, partition), position in self._taken.items()}

    def copy(self) -> Marks:
        other = Marks()
        other._taken = dict(self._taken)
        return other


def fingerprint(event_id: str) -> int:
    """64 bits of BLAKE2b: what an event's domain id is compared by. Never 0."""
    return int.from_bytes(blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1
