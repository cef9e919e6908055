"""How derived records lie in a Kafka record: one by one where people read them, in blocks where machines do.

``events`` and ``views`` carry blocks: what one batch of a source partition derived for one downstream partition, as
JSON lines. The first line tells of the others, column by column: offsets and outputs of their positions, fingerprints
of the events' ids, times and keys. A Kafka record costs ten times what a line does, to write and to read, and a line
that nobody asks about is never parsed. A block has no key of Kafka's: it lies where the keys of all its lines belong.

Everywhere else a derived record is a Kafka record of its own, with its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from streams.lineage import BLOCK, HEADER, SCHEMA, Lineage, NewerSchema, Position
from streams.records import OWN, WATERMARK, Record

__all__ = ["LIMIT", "Block", "Row", "address", "pack", "unpack"]

#: Bytes of lines after which a block is full.
LIMIT = 500_000

#: Records that one Kafka record may hold, as bits of a place.
_BITS = 20

#: Offset and output of the position, fingerprint of the event's id, event time, key.
Row = tuple[int, int, int, int, str]

#: A Record of a tuple, without a Python call for each.
_RECORD: Final = partial(tuple.__new__, Record)


class Block(NamedTuple):
    """What one Kafka record holds, in order of its positions; a record of its own is a block of one."""

    offset: int
    lineage: Lineage | None  #: None on a control record, and on what a worker says of the pipeline
    positions: Sequence[tuple[int, int]]  #: offset and output of each record
    records: Sequence[Record]
    control: str = ""  #: header key of a record without lineage

    @property
    def foreign(self) -> bool:
        """True where no step of ours wrote it."""
        return self.lineage is None and self.control not in (WATERMARK, OWN)


def pack(rows: Sequence[Row], values: Sequence[bytes]) -> bytes:
    """The value of a block. ``values``: JSON without line breaks, one for each of ``rows``."""
    return b"\n".join((orjson.dumps([SCHEMA, *zip(*rows, strict=True)]), *values))


def unpack(record: Any) -> Block:
    """Read a Kafka record; one that nobody of ours wrote is a foreign block of one. Raises NewerSchema."""
    offset = record.offset
    value = record.value or b""
    headers = record.headers
    name, raw = headers[0] if headers else ("", b"")
    try:
        if name == BLOCK:
            return _many(offset, Lineage.unpack(raw), value)
        if name == HEADER:
            lineage = Lineage.unpack(raw)
            one = Record(offset << _BITS, record.key or b"", value, lineage.event)
            return Block(offset, lineage, (lineage.position,), (one,))
    except (ValueError, TypeError, IndexError, AttributeError):
        name = ""
    return Block(offset, None, (), (Record(offset << _BITS, record.key or b"", value, 0),), name)


def _many(offset: int, lineage: Lineage, value: bytes) -> Block:
    head, *lines = value.split(b"\n")
    schema, *columns = orjson.loads(head)
    if schema > SCHEMA:
        raise NewerSchema(f"a block of schema {schema}; this worker reads {SCHEMA}: upgrade it")
    offsets, outputs, events, times, keys = columns
    places = range(offset << _BITS, (offset << _BITS) + len(lines))
    records = list(map(_RECORD, zip(places, map(str.encode, keys), lines, events, times, strict=True)))
    positions = list(zip(offsets, outputs, strict=True))
    if not positions or positions[-1] != lineage.position:
        raise ValueError("the positions of a block do not end where its header says")
    return Block(offset, lineage, positions, records)


def address(place: int) -> Position:
    """The offset and line that a record's place names."""
    return Position(place >> _BITS, place & ((1 << _BITS) - 1))
