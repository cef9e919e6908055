"""What a service imports to emit events: kafka-python and nothing else.

    from streams.emitter import Emitter

    with Emitter("kafka.hospital.example:9092", producer="ehr-gateway") as emitter:
        emitter.emit(audit_event)                  # a FHIR AuditEvent, a CloudTrail record, a device event: a dict
        emitter.emit(DeviceEvent(device="pump-12", type="infusion-pump", event="alarm", action="occlusion"))
        emitter.emit(xml, source="atna")           # an audit message, an HL7 v2 message: bytes go as they are

Promises:

- Every record is written idempotently and acknowledged by all replicas, always; there is no setting that weakens it.
- The event id is set when :meth:`Emitter.emit` is called and is the same in every retry, so an event counts once.
- Memory is bounded. When the buffer is full :meth:`~Emitter.emit` waits ``max_block`` seconds, or not at all, then
  raises :class:`BufferFull`. With a :class:`Spool` events go to disk while no broker takes them.
- No failure is swallowed: each goes to ``on_error``, and :meth:`~Emitter.flush` and :meth:`~Emitter.close` raise
  :class:`DeliveryError` if anything emitted was not delivered.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ClassVar

from streams.outbox import BufferFull, DeliveryError, Failure, Outbox, Outgoing, WhenFull
from streams.refusals import Refused
from streams.security import Security
from streams.sources.fhir_release import SOURCE_OF, release_of
from streams.spool import Spool, SpoolError
from streams.spooling import SpoolingOutbox

__all__ = [
    "AuditEvent",
    "BufferFull",
    "CloudTrailEvent",
    "DeliveryError",
    "DeviceEvent",
    "Emitter",
    "Failure",
    "Refused",
    "Security",
    "Spool",
    "SpoolError",
    "encoded",
]

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
_LARGEST = 1024 * 1024 - 128
_FRAME = 4096


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


def encoded(record: Mapping[str, Any]) -> bytes:
    """A record as it is sent. Raises ValueError where it is not JSON, or more than a topic takes."""
    try:
        value = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as exc:
        raise ValueError(f"the event is not JSON: {exc}") from exc
    if len(value) > _LARGEST - _FRAME:
        raise ValueError(f"the event has {len(value)} bytes where {_LARGEST - _FRAME} are taken")
    return value


class Emitter:
    """Emits events from any thread. One for a process is enough; after a fork each process has its own by itself."""

    def __init__(
        self,
        kafka: str,
        *,
        producer: str,
        buffer: int = 32 * 1024 * 1024,
        max_block: float = 10.0,
        when_full: WhenFull = "block",
        delivery_timeout: float = 120.0,
        on_error: Callable[[Failure], None] | None = None,
        security: Security | None = None,
        spool: Spool | None = None,
        spool_after: float = 5.0,
        **client: Any,
    ) -> None:
        """``kafka``: bootstrap servers. ``producer``: names this service in dead letters.

        ``buffer``: bytes of events that may wait. ``max_block``, ``delivery_timeout``: seconds. ``when_full``: whether
        :meth:`emit` waits ``max_block`` for room, or raises at once. ``security``: TLS and SASL. ``spool``: where
        events go while no broker takes them, those under way after ``spool_after`` seconds; then ``buffer`` full is
        as good as away. ``client``: more of kafka-python's settings.

        Raises Refused where Kafka does not let this client in, SpoolError where the spool cannot be used, and, without
        a spool, kafka's errors where no broker answers.
        """
        settings = {
            "linger_ms": 5,
            "batch_size": 128 * 1024,
            **client,
            "bootstrap_servers": kafka.split(","),
            "client_id": producer,
            "acks": "all",
            "enable_idempotence": True,
            "allow_auto_create_topics": False,
            "max_request_size": _LARGEST,
            "max_block_ms": int(max_block * 1000),
            "delivery_timeout_ms": int(delivery_timeout * 1000),
        }
        given: dict[str, Any] = {
            "security": security or Security(),
            "buffer": buffer,
            "max_block": max_block,
            "when_full": when_full,
            "on_error": on_error,
        }
        self._outbox: Outbox
        if spool is None:
            self._outbox = Outbox(settings, **given)
            self._outbox.open()
        else:
            self._outbox = SpoolingOutbox(settings, spool=spool, spool_after=spool_after, **given)

    @property
    def spooled(self) -> int:
        """Bytes of events on disk, to be delivered once a broker takes them."""
        return self._outbox.spooled

    def emit(
        self,
        event: AuditEvent | DeviceEvent | CloudTrailEvent | Mapping[str, Any] | bytes,
        *,
        source: str = "",
        topic: str = "",
        key: str = "",
        event_id: str = "",
    ) -> str:
        """Take one event and give its id. It is sent in the background.

        A plain dict is recognised by its shape, or named by ``source``; bytes, which are sent as they are, are always
        named. Of a source that is not known here, such as a table's, ``topic`` says where it goes. ``key``: events with
        the same one stay in order. Raises ValueError on what is no event, BufferFull where the broker takes less than
        is emitted.
        """
        record: Mapping[str, Any] | bytes
        if isinstance(event, bytes):
            record, name = event, source
        elif isinstance(event, Mapping):
            record, name = event, source or _recognise(event)
        else:
            record, name = event.record(), event.source
        topic = topic or TOPICS.get(name, "")
        if not topic:
            raise ValueError(f"source {name!r} is none of {', '.join(TOPICS)}")
        if isinstance(record, bytes):
            event_id, value = event_id or str(uuid.uuid4()), record
            if len(value) > _LARGEST - _FRAME:
                raise ValueError(f"the event has {len(value)} bytes where {_LARGEST - _FRAME} are taken")
        else:
            given = (record.get("id") or record.get("eventID")) if name in _OWN_IDS else None
            event_id, value = event_id or str(given or uuid.uuid4()), encoded(record)
        self._outbox.take(Outgoing(topic, value, key.encode() if key else None, event_id, name, record))
        return event_id

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all is delivered, or durably in the spool.

        Raises DeliveryError for what is not. After ``timeout`` seconds it raises TimeoutError, or, where there is a
        spool, puts there what waits still.
        """
        self._outbox.flush(timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Flush and let go. Raises DeliveryError if anything emitted was neither delivered nor is in the spool."""
        self._outbox.close(timeout)

    def __enter__(self) -> Emitter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _recognise(record: Mapping[str, Any]) -> str:
    if record.get("resourceType") == "AuditEvent":
        return SOURCE_OF[release_of(record)]
    if record.get("resourceType") == "Provenance":
        return "fhir-provenance"
    if isinstance(record.get("AuditMessage"), Mapping):
        return "atna"
    if isinstance(record.get("MSH"), Mapping):
        return "hl7v2"
    if str(record.get("schema", "")).startswith("wardwatch.device/"):
        return "device"
    if str(record.get("schema", "")).startswith("wardwatch.audit/"):
        return "wardwatch"
    if "eventSource" in record and "eventName" in record:
        return "cloudtrail"
    raise ValueError(f"no known shape of event; name it with source= (one of {', '.join(TOPICS)})")
