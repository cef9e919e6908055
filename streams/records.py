"""The records that pass between Kafka and the steps, as plain tuples. How they lie in Kafka: :mod:`streams.blocks`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["OWN", "WATERMARK", "Control", "Output", "RawRecord", "Record"]

#: Header key of a watermark, the one kind of control record there is.
WATERMARK = "watermark"
#: Header key of what a worker says of the pipeline itself: no other record led to it, so it has no lineage.
OWN = "own"


class RawRecord(NamedTuple):
    """One record as a service sent it."""

    topic: str
    partition: int
    offset: int
    received: int  #: ms, the broker's own time
    value: bytes
    headers: Mapping[str, bytes]
    line: int = 0  #: which of a block's records, for one of ours
    key: bytes | None = None


class Record(NamedTuple):
    """One derived record as a step takes it."""

    place: int  #: where in the log, rising with it; :func:`streams.blocks.address` tells the offset
    key: bytes
    value: bytes
    event: int  #: fingerprint of the event's domain id
    time: int = 0  #: event time in ms where it lies beside the value; 0: no window opens or closes on it


class Output(NamedTuple):
    """One derived record, before it knows its place in the log."""

    topic: str
    key: bytes
    value: bytes
    event: int = 0  #: fingerprint of the event's domain id
    time: int = 0  #: event time in ms, on topics that carry blocks; 0: no window opens or closes on it


class Control(NamedTuple):
    """A record for every partition of a topic, such as a watermark. It has no lineage."""

    topic: str
    header: str
    value: bytes
