"""The records that pass between Kafka and the steps, as plain tuples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.lineage import Lineage

__all__ = ["Control", "Output", "RawRecord", "Record"]


class RawRecord(NamedTuple):
    """One record as a service sent it."""

    topic: str
    partition: int
    offset: int
    received: int  #: ms, the broker's own time
    value: bytes
    headers: Mapping[str, bytes]
    key: bytes | None = None


class Record(NamedTuple):
    """One record of a topic of ours."""

    offset: int
    key: bytes
    value: bytes
    lineage: Lineage | None  #: None on a control record
    control: str = ""  #: header key of a control record


class Output(NamedTuple):
    """One derived record, before it knows its place in the log."""

    topic: str
    key: bytes
    value: bytes
    event: int = 0  #: fingerprint of the event's domain id


class Control(NamedTuple):
    """A record for every partition of a topic, such as a watermark. It has no lineage."""

    topic: str
    header: str
    value: bytes
