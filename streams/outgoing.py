"""From an event to what is sent of it: where it goes, under which id, and how many share one record of Kafka."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from streams.sources.fhir_release import SOURCE_OF, release_of
from streams.typed_events import AuditEvent, CloudTrailEvent, DeviceEvent

__all__ = ["LARGEST", "TOPICS", "Event", "Failure", "Outgoing", "encoded", "known_shape", "several", "single"]

#: What a service emits: a typed event, a record of a known source, or a record's own bytes.
Event = AuditEvent | DeviceEvent | CloudTrailEvent | Mapping[str, Any] | bytes

#: Where each kind of record goes.
TOPICS = {
    "fhir": "audit.ehr",
    "fhir-r5": "audit.ehr",
    "fhir-stu3": "audit.ehr",
    "fhir-dstu2": "audit.ehr",
    "fhir-provenance": "audit.ehr",
    "atna": "audit.ehr",
    "hl7v2": "audit.ehr",
    "wardwatch": "audit.ehr",
    "device": "audit.iot",
    "azure-iot": "audit.iot",
    "emqx": "audit.iot",
    "mosquitto": "audit.iot",
    "cloudtrail": "audit.cloud",
    "auth0": "audit.cloud",
    "azure-activity": "audit.cloud",
    "duo": "audit.cloud",
    "entra-audit": "audit.cloud",
    "entra-signin": "audit.cloud",
    "gcp-audit": "audit.cloud",
    "github": "audit.cloud",
    "google-workspace": "audit.cloud",
    "kubernetes": "audit.cloud",
    "m365": "audit.cloud",
    "okta": "audit.cloud",
    "onelogin": "audit.cloud",
    "slack": "audit.cloud",
    "vpc-flow": "audit.cloud",
}

#: Sources whose records bear one id of their own, unlike what a cloud calls ``id``; ingest reads theirs by itself.
_OWN_IDS = frozenset({"fhir", "device", "cloudtrail", "wardwatch"})

#: Bytes of a record, and of these what id, names and key may take. The topics take a megabyte; one record that the
#: broker refuses for its size would end an idempotent producer for all.
LARGEST = 1024 * 1024 - 128
_FRAME = 4096
#: Events in one record, and bytes of them: enough that what Kafka costs is shared by many, and few for a worker to take
#: at a time. A larger event has a record to itself.
_TOGETHER = 128
_TOGETHER_BYTES = 384 * 1024
#: Characters of an id that lies beside others. One that is longer, or has lines itself, is that of a record of its own.
_ID = 256

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class Failure:
    """One event that was not delivered. Emit its record again with its id, and it will still count once."""

    event_id: str
    source: str
    record: Mapping[str, Any] | bytes
    reason: str


class Outgoing:
    """One record of Kafka on its way: an event, or several in an array with an id in each line of ``event_id``."""

    __slots__ = ("event_id", "key", "record", "source", "topic", "value")

    def __init__(self, topic: str, value: bytes, key: bytes | None, event_id: str, source: str, record: Any) -> None:
        self.topic = topic
        self.value = value
        self.key = key
        self.event_id = event_id
        self.source = source
        self.record = record

    @property
    def ids(self) -> list[str]:
        """Those of the events in it."""
        return self.event_id.split("\n") if isinstance(self.record, list) else [self.event_id]

    def pack(self) -> bytes:
        key = None if self.key is None else self.key.decode("latin-1")
        return json.dumps([self.topic, key, self.event_id, self.source]).encode() + b"\n" + self.value

    @classmethod
    def unpack(cls, packed: bytes) -> Outgoing:
        head, _, value = packed.partition(b"\n")
        topic, key, event_id, source = json.loads(head)
        try:
            record = json.loads(value)
        except ValueError:
            record = value  # not every source's records are JSON
        if isinstance(record, list) and len(record) != event_id.count("\n") + 1:
            record = value  # an array that somebody emitted as one record
        return cls(topic, value, None if key is None else key.encode("latin-1"), event_id, source, record)

    def failures(self, reason: str) -> Iterator[Failure]:
        """One for each event in it."""
        if not isinstance(self.record, list):
            yield Failure(self.event_id, self.source, self.record, reason)
            return
        for event_id, record in zip(self.ids, self.record, strict=True):
            yield Failure(event_id, self.source, record.encode() if isinstance(record, str) else record, reason)


class _Named(NamedTuple):
    """One event, known for what it is."""

    topic: str
    source: str
    event_id: str
    record: Mapping[str, Any] | bytes


def _named(event: Event, source: str, topic: str, event_id: str) -> _Named:
    if isinstance(event, dict):
        record: Mapping[str, Any] | bytes = event
        source = source or known_shape(event)
    elif isinstance(event, bytes):
        record = event
    elif isinstance(event, Mapping):
        record, source = event, source or known_shape(event)
    else:
        record, source = event.record(), event.source
    topic = topic or TOPICS.get(source, "")
    if not topic:
        raise ValueError(f"source {source!r} is none of {', '.join(TOPICS)}")
    if not event_id:
        own = None
        if source in _OWN_IDS and not isinstance(record, bytes):
            own = record.get("id") or record.get("eventID")
        event_id = str(own or uuid.uuid4())
    return _Named(topic, source, event_id, record)


def single(event: Event, *, source: str, topic: str, key: str, event_id: str) -> Outgoing:
    """One event in a record of its own. Raises ValueError on what is no event."""
    named = _named(event, source, topic, event_id)
    record = named.record
    value = _fitting(record) if isinstance(record, bytes) else encoded(record)
    return Outgoing(named.topic, value, key.encode() if key else None, named.event_id, named.source, record)


def several(events: Sequence[Event], *, source: str, topic: str, key: str) -> list[tuple[Outgoing, list[int]]]:
    """``events`` in as few records as they fit in, each with the places of those in it; with a key in their order.

    Raises ValueError on what is no event, and says which.
    """
    runs: list[list[tuple[int, _Named]]] = []
    latest: dict[tuple[str, str], list[tuple[int, _Named]]] = {}
    for place, event in enumerate(events):
        try:
            named = _named(event, source, topic, "")
            if isinstance(named.record, bytes):
                _fitting(named.record)
        except ValueError as exc:
            raise ValueError(f"event {place}: {exc}") from exc
        kind = named.topic, named.source
        run = latest.get(kind)
        alone = len(named.event_id) > _ID or "\n" in named.event_id
        if run is None or alone or len(run) == _TOGETHER:
            if key:
                latest.clear()
            run = latest[kind] = []
            runs.append(run)
        run.append((place, named))
        if alone:
            del latest[kind]
    raw_key = key.encode() if key else None
    return [(sent, places) for run in runs for sent, places in _together(run, raw_key)]


def _together(run: Sequence[tuple[int, _Named]], key: bytes | None) -> Iterator[tuple[Outgoing, list[int]]]:
    place, first = run[0]
    if len(run) == 1:
        try:
            value = first.record if isinstance(first.record, bytes) else encoded(first.record)
        except ValueError as exc:
            raise ValueError(f"event {place}: {exc}") from exc
        yield Outgoing(first.topic, value, key, first.event_id, first.source, first.record), [place]
        return
    try:
        records = [_member(named.record) for _, named in run]
        value = _encode(records).encode()
    except (TypeError, ValueError):
        value = b""  # one of them is no JSON, or no text
    if value and len(value) <= _TOGETHER_BYTES:
        ids = "\n".join([named.event_id for _, named in run])
        yield Outgoing(first.topic, value, key, ids, first.source, records), [place for place, _ in run]
        return
    half = len(run) // 2
    yield from _together(run[:half], key)
    yield from _together(run[half:], key)


def _member(record: Mapping[str, Any] | bytes) -> Mapping[str, Any] | str:
    return record.decode() if isinstance(record, bytes) else record


def encoded(record: Mapping[str, Any]) -> bytes:
    """A record as it is sent. Raises ValueError where it is not JSON, or more than a topic takes."""
    try:
        value = _encode(record).encode()
    except (TypeError, ValueError) as exc:
        raise ValueError(f"the event is not JSON: {exc}") from exc
    return _fitting(value)


def _fitting(value: bytes) -> bytes:
    if len(value) > LARGEST - _FRAME:
        raise ValueError(f"the event has {len(value)} bytes where {LARGEST - _FRAME} are taken")
    return value


def known_shape(record: Mapping[str, Any]) -> str:
    """The source of a record that has a shape known here. Raises ValueError on another."""
    resource = record.get("resourceType")
    if resource == "AuditEvent":
        return SOURCE_OF[release_of(record)]
    schema = record.get("schema")
    if schema is not None:
        if str(schema).startswith("wardwatch.device/"):
            return "device"
        if str(schema).startswith("wardwatch.audit/"):
            return "wardwatch"
    if "eventSource" in record and "eventName" in record:
        return "cloudtrail"
    if resource == "Provenance":
        return "fhir-provenance"
    if isinstance(record.get("AuditMessage"), Mapping):
        return "atna"
    if isinstance(record.get("MSH"), Mapping):
        return "hl7v2"
    raise ValueError(f"no known shape of event; name it with source= (one of {', '.join(TOPICS)})")
