"""Events of medical devices, in the schema of ``docs/device-events.md``: telemetry, logs, what was done to the device.

The actor is the operator where the event names one, else the device itself. Measurements are health data of whoever is
connected: rules may read them, and none is released.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.times import milliseconds

__all__ = ["DEVICE", "SCHEMA", "DeviceEvent"]

SCHEMA: Final = "wardwatch.device/1"

#: Kind of event to ECS category and type.
_KINDS: Final[dict[str, tuple[str, str]]] = {
    "telemetry": ("host", "info"),
    "alarm": ("host", "info"),
    "authentication": ("authentication", "start"),
    "configuration": ("configuration", "change"),
    "firmware": ("package", "change"),
    "command": ("process", "change"),
    "connection": ("network", "connection"),
    "lifecycle": ("host", "change"),
    "log": ("host", "info"),
}
_OPTIONAL: Final = (
    ("vendor", "device.manufacturer"),
    ("model", "device.model.name"),
    ("firmware", "wardwatch.firmware"),
)
_OUTCOMES: Final = frozenset({"success", "failure", "unknown"})
_KEPT: Final = 16_384


class DeviceEvent:
    """The source ``device``; see :class:`streams.sources.base.Source`."""

    name = "device"
    topic = "audit.iot"
    logsource = LogSource(product="wardwatch", service="device", category="device")
    lateness = 10_000
    subject = "device"
    released = frozenset(
        {
            "device.id",
            "device.manufacturer",
            "device.model.name",
            "device.type",
            "event.action",
            "event.category",
            "event.dataset",
            "event.kind",
            "event.outcome",
            "event.type",
            "source.ip",
            "source.mac",
            "source.port",
            "user.id",
            "wardwatch.firmware",
            "wardwatch.patient",
        }
    )

    def __init__(self) -> None:
        self._addresses: dict[str, bool] = {}

    def recognises(self, record: Mapping[str, Any]) -> bool:
        schema = record.get("schema")
        return isinstance(schema, str) and schema.startswith("wardwatch.device/")

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if record.get("schema") != SCHEMA:
            raise BadRecord(f"schema is not {SCHEMA}, the one this version reads")
        device = record.get("device")
        if not isinstance(device, dict):
            raise BadRecord("device is no object")
        device_id = _text(device, "id", "device.id")
        kind = _text(record, "event", "event")
        if kind not in _KINDS:
            raise BadRecord(f"event is none of {', '.join(_KINDS)}")
        category, type_ = _KINDS[kind]
        outcome = record.get("outcome", "unknown")
        if not isinstance(outcome, str) or outcome not in _OUTCOMES:
            raise BadRecord("outcome is none of success, failure, unknown")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.dataset": f"device.{kind}",
            "event.category": [category],
            "event.type": [type_],
            "event.action": _text(record, "action", "action"),
            "event.outcome": outcome,
            "device.id": device_id,
            "device.type": _text(device, "type", "device.type"),
        }
        for name, field in _OPTIONAL:
            if name in device:
                fields[field] = _text(device, name, f"device.{name}")
        key = f"device:{device_id}"
        draft = Draft(
            id=_text(record, "id", "id") if "id" in record else "",
            time=milliseconds(record.get("time"), "time"),
            actor=key,
            fields=fields,
            device=key,
        )
        if "network" in record:
            self._network(record["network"], draft)
        if "operator" in record:
            operator = _text(record, "operator", "operator")
            draft.actor = f"user:{operator}"
            fields["user.id"] = operator
        if "patient" in record:
            patient = _text(record, "patient", "patient")
            draft.patients.append(patient)
            draft.identifiers.update((patient, patient.rpartition("/")[2]))
            fields["wardwatch.patient"] = [patient]
        if not isinstance(record.get("details", {}), dict):
            raise BadRecord("details is no object")
        if not isinstance(record.get("measurements", []), list):
            raise BadRecord("measurements is no list")
        return draft

    def _network(self, network: Any, draft: Draft) -> None:
        if not isinstance(network, dict):
            raise BadRecord("network is no object")
        if "ip" in network:
            address = _text(network, "ip", "network.ip")
            known = self._addresses.get(address)
            if known is None:
                if len(self._addresses) >= _KEPT:
                    self._addresses.clear()
                known = self._addresses[address] = _is_address(address)
            if not known:
                raise BadRecord("network.ip is no IP address")
            draft.fields["source.ip"] = address
            draft.address = f"address:{address}"
        if "mac" in network:
            draft.fields["source.mac"] = _text(network, "mac", "network.mac").upper().replace(":", "-")
        if "port" in network:
            port = network["port"]
            if type(port) is not int or not 0 <= port <= 65535:
                raise BadRecord("network.port is no port number")
            draft.fields["source.port"] = port


def _text(record: Mapping[str, Any], name: str, field: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise BadRecord(f"{field} is missing" if value is None else f"{field} is no text")
    return value


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


DEVICE: Final = DeviceEvent()
