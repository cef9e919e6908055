"""Typed events, for services that would rather not write the record themselves; each becomes a dict as it is sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

__all__ = ["AuditEvent", "CloudTrailEvent", "DeviceEvent"]


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
