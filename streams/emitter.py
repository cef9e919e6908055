"""What a service imports to emit events: kafka-python and nothing else.

    from streams.emitter import Emitter

    with Emitter("kafka.hospital.example:9092", producer="ehr-gateway") as emitter:
        emitter.emit(audit_event)                  # a FHIR AuditEvent, a CloudTrail record, a device event: a dict
        emitter.emit(DeviceEvent(device="pump-12", type="infusion-pump", event="alarm", action="occlusion"))

Promises:

- Every record is written idempotently and acknowledged by all replicas, always; there is no setting that weakens it.
- The event id is set when :meth:`Emitter.emit` is called and is the same in every retry, so an event counts once.
- Memory is bounded. When the buffer is full :meth:`~Emitter.emit` waits ``max_block`` seconds, then raises
  :class:`BufferFull`.
- No failure is swallowed: each goes to ``on_error``, and :meth:`~Emitter.flush` and :meth:`~Emitter.close` raise
  :class:`DeliveryError` if anything emitted was not delivered.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ClassVar

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

__all__ = ["AuditEvent", "BufferFull", "CloudTrailEvent", "DeliveryError", "DeviceEvent", "Emitter", "Failure"]

log = logging.getLogger(__name__)

#: Where each kind of record goes.
TOPICS = {"fhir": "audit.ehr", "device": "audit.iot", "cloudtrail": "audit.cloud", "wardwatch": "audit.ehr"}

#: Bytes of a record, and of these what id, names and key may take. The topics take a megabyte; one record that the
#: broker refuses for its size would end an idempotent producer for all.
_LARGEST = 1024 * 1024 - 128
_FRAME = 4096


class BufferFull(Exception):
    """The broker takes less than is emitted. Nothing was buffered: the caller still holds the event."""


class DeliveryError(Exception):
    """Events that were emitted and could not be delivered; :attr:`failures` holds the last of them."""

    def __init__(self, failures: list[Failure], total: int) -> None:
        super().__init__(f"{total} events were not delivered; the last: {failures[-1].reason}")
        self.failures = failures


@dataclass(frozen=True)
class Failure:
    """One event that was not delivered. Emit its record again with its id, and it will still count once."""

    event_id: str
    source: str
    record: Mapping[str, Any]
    reason: str


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class DeviceEvent:
    """One event of a medical device; every field is explained in ``docs/device-events.md``."""

    source: ClassVar[str] = "device"

    device: str  #: the device's id, e.g. ``pump-12``
    type: str  #: e.g. ``infusion-pump``
    event: str  #: kind of event, e.g. ``telemetry``, ``alarm``, ``authentication``
    action: str  #: what happened, e.g. ``measurement``
    outcome: str = "unknown"
    time: str = field(default_factory=_now)  #: RFC 3339 with offset
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    vendor: str = ""
    model: str = ""
    firmware: str = ""
    address: str = ""  #: the device's network address
    operator: str = ""  #: e.g. ``Practitioner/7``
    patient: str = ""  #: e.g. ``Patient/123``
    measurements: tuple[tuple[str, float, str], ...] = ()  #: (LOINC code or name, value, UCUM unit)
    details: Mapping[str, str | float | bool] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        given = asdict(self)
        device = {"id": self.device, "type": self.type}
        device |= {name: given[name] for name in ("vendor", "model", "firmware") if given[name]}
        record: dict[str, Any] = {"schema": "wardwatch.device/1", "device": device}
        record |= {name: given[name] for name in ("id", "time", "event", "action", "outcome")}
        record |= {name: given[name] for name in ("operator", "patient", "details") if given[name]}
        if self.address:
            record["network"] = {"ip": self.address}
        if self.measurements:
            record["measurements"] = [{"name": n, "value": v, "unit": u} for n, v, u in self.measurements]
        return record


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """A FHIR R4 AuditEvent for one access to one patient's record, in IHE BALP's shape."""

    source: ClassVar[str] = "fhir"
    _ACTIONS: ClassVar[Mapping[str, str]] = {"create": "C", "read": "R", "update": "U", "delete": "D", "search": "E"}

    interaction: str  #: ``create``, ``read``, ``update``, ``delete`` or ``search``
    practitioner: str  #: who, e.g. ``Practitioner/7``
    patient: str  #: whose record, e.g. ``Patient/123``
    resource: str  #: what, e.g. ``Observation/9``
    observer: str  #: the system that reports it
    address: str = ""  #: network address it came from
    outcome: str = "0"  #: 0 success, 4 minor, 8 serious, 12 major failure
    purpose: str = "TREAT"  #: code of purpose of use, e.g. ``ETREAT`` for break-glass
    recorded: str = field(default_factory=_now)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def record(self) -> dict[str, Any]:
        """Raises ValueError on an interaction there is no code for."""
        if self.interaction not in self._ACTIONS:
            raise ValueError(f"interaction is one of {', '.join(self._ACTIONS)}")
        hl7 = "http://terminology.hl7.org/CodeSystem"
        agent: dict[str, Any] = {"who": {"reference": self.practitioner}, "requestor": True}
        if self.address:
            agent["network"] = {"address": self.address, "type": "2"}
        restful = {"system": "http://hl7.org/fhir/restful-interaction", "code": self.interaction}
        purpose = {"coding": [{"system": f"{hl7}/v3-ActReason", "code": self.purpose}]}
        person = {"type": {"system": f"{hl7}/audit-entity-type", "code": "1"}, "what": {"reference": self.patient}}
        person["role"] = {"system": f"{hl7}/object-role", "code": "1"}
        thing = {"type": {"system": f"{hl7}/audit-entity-type", "code": "2"}, "what": {"reference": self.resource}}
        thing["role"] = {"system": f"{hl7}/object-role", "code": "4"}
        return {
            "resourceType": "AuditEvent",
            "id": self.id,
            "type": {"system": f"{hl7}/audit-event-type", "code": "rest"},
            "subtype": [restful],
            "action": self._ACTIONS[self.interaction],
            "recorded": self.recorded,
            "outcome": self.outcome,
            "purposeOfEvent": [purpose],
            "agent": [agent],
            "source": {"observer": {"display": self.observer}},
            "entity": [person, thing],
        }


@dataclass(frozen=True, kw_only=True)
class CloudTrailEvent:
    """A CloudTrail record as AWS delivered it, kept whole."""

    source: ClassVar[str] = "cloudtrail"

    content: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.content.get("eventID") or uuid.uuid4())

    def record(self) -> dict[str, Any]:
        return dict(self.content)


class Emitter:
    """Emits events from any thread. One for a process is enough; after a fork each process has its own by itself."""

    def __init__(
        self,
        kafka: str,
        *,
        producer: str,
        buffer: int = 32 * 1024 * 1024,
        max_block: float = 10.0,
        delivery_timeout: float = 120.0,
        on_error: Callable[[Failure], None] | None = None,
        **client: Any,
    ) -> None:
        """``kafka``: bootstrap servers. ``producer``: names this service in dead letters.

        ``buffer``: bytes of events that may wait. ``max_block``, ``delivery_timeout``: seconds. ``client``: more of
        kafka-python's connection settings, such as those for TLS. Raises kafka's errors where no broker answers.
        """
        self._name = producer
        self._buffer = buffer
        self._max_block = max_block
        self._on_error = on_error
        self._client = {
            "linger_ms": 5,
            **client,
            "bootstrap_servers": kafka.split(","),
            "client_id": producer,
            "acks": "all",
            "enable_idempotence": True,
            "max_request_size": _LARGEST,
            "max_block_ms": int(max_block * 1000),
            "delivery_timeout_ms": int(delivery_timeout * 1000),
        }
        self._forked()
        self._here()
        if hasattr(os, "register_at_fork"):  # where processes fork at all
            this = weakref.ref(self)

            def forked() -> None:
                if (emitter := this()) is not None:
                    emitter._forked()

            os.register_at_fork(after_in_child=forked)

    def _forked(self) -> None:
        """Begin anew: what waited at the fork is the parent's, and so are its connection and its locks."""
        self._opening = threading.Lock()
        self._room = threading.Condition()
        self._waiting = 0
        self._failed = 0
        self._failures: list[Failure] = []
        self._opened: KafkaProducer | None = None

    def _here(self) -> KafkaProducer:
        """This process's own producer."""
        with self._opening:
            if self._opened is None:
                self._opened = KafkaProducer(**self._client)
            return self._opened

    def emit(
        self,
        event: AuditEvent | DeviceEvent | CloudTrailEvent | Mapping[str, Any],
        *,
        source: str = "",
        key: str = "",
        event_id: str = "",
    ) -> str:
        """Take one event and give its id. It is sent in the background.

        A plain dict is recognised by its shape, or named by ``source``. ``key``: events with the same one stay in
        order. Raises ValueError on what is no event, BufferFull where the broker takes less than is emitted.
        """
        if isinstance(event, Mapping):
            record, name = event, source or _recognise(event)
        else:
            record, name = event.record(), event.source
        topic = TOPICS.get(name)
        if topic is None:
            raise ValueError(f"source {name!r} is none of {', '.join(TOPICS)}")
        event_id = event_id or str(record.get("id") or record.get("eventID") or uuid.uuid4())
        try:
            value = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError) as exc:
            raise ValueError(f"the event is not JSON: {exc}") from exc
        if len(value) > _LARGEST - _FRAME:
            raise ValueError(f"the event has {len(value)} bytes where {_LARGEST - _FRAME} are taken")
        self._take_room(len(value))
        headers = [("event-id", event_id.encode()), ("source", name.encode()), ("producer", self._name.encode())]
        failure = _FailureOf(event_id, name, record)
        try:
            sent = self._here().send(topic, value, key=key.encode() if key else None, headers=headers)
        except KafkaTimeoutError as exc:
            self._give_room(len(value))
            raise BufferFull(f"the broker took nothing for {self._max_block:.0f} s") from exc
        except KafkaError:
            self._give_room(len(value))
            raise
        sent.add_callback(lambda _: self._give_room(len(value)))
        sent.add_errback(lambda exc: self._fail(failure, exc, len(value)))
        return event_id

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all is delivered. Raises DeliveryError for what is not, TimeoutError after ``timeout`` seconds."""
        try:
            self._here().flush(timeout)
        except KafkaTimeoutError as exc:
            raise TimeoutError(f"{self._waiting} bytes of events wait for the broker still") from exc
        self._raise_failures()

    def close(self, timeout: float = 30.0) -> None:
        """Flush and let go. Raises DeliveryError if anything emitted was not delivered."""
        try:
            self.flush(timeout)
        finally:
            self._here().close(timeout)

    def __enter__(self) -> Emitter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_room(self, size: int) -> None:
        with self._room:
            if not self._room.wait_for(lambda: self._waiting + size <= self._buffer, self._max_block):
                raise BufferFull(f"{self._waiting} bytes of events wait for the broker already")
            self._waiting += size

    def _give_room(self, size: int) -> None:
        with self._room:
            self._waiting -= size
            self._room.notify_all()

    def _fail(self, failure: _FailureOf, exc: BaseException, size: int) -> None:
        self._give_room(size)
        told = failure.because(type(exc).__name__)
        log.error("event %s was not delivered: %s", told.event_id, told.reason)
        with self._room:
            self._failed += 1
            self._failures = [*self._failures[-99:], told]
        if self._on_error is not None:
            self._on_error(told)

    def _raise_failures(self) -> None:
        with self._room:
            failures, total = self._failures, self._failed
            self._failures, self._failed = [], 0
        if failures:
            raise DeliveryError(failures, total)


class _FailureOf:
    """An event on its way, to be named if it fails."""

    __slots__ = ("_event_id", "_record", "_source")

    def __init__(self, event_id: str, source: str, record: Mapping[str, Any]) -> None:
        self._event_id = event_id
        self._source = source
        self._record = record

    def because(self, reason: str) -> Failure:
        return Failure(self._event_id, self._source, self._record, reason)


def _recognise(record: Mapping[str, Any]) -> str:
    if record.get("resourceType") == "AuditEvent":
        return "fhir"
    if str(record.get("schema", "")).startswith("wardwatch.device/"):
        return "device"
    if str(record.get("schema", "")).startswith("wardwatch.audit/"):
        return "wardwatch"
    if "eventSource" in record and "eventName" in record:
        return "cloudtrail"
    raise ValueError(f"no known shape of event; name it with source= (one of {', '.join(TOPICS)})")
