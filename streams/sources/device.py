"""Events of medical devices, in the schema of ``docs/device-events.md``: telemetry, logs, what was done to the device.

The actor is the operator where the event names one, else the device itself. Measurements are health data of whoever is
connected: rules may read them, and none is released.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from re import compile as regex
from typing import Any, Final

from streams.pseudonyms import canonical
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
#: EUI-48 and EUI-64, as pairs or, as some write it, in fours: ``0000.5e00.5301``.
_MAC: Final = regex(
    r"(?:[0-9A-Fa-f]{2}([:-]?))(?:[0-9A-Fa-f]{2}\1){4}(?:[0-9A-Fa-f]{2}\1){0,2}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2,3}[0-9A-Fa-f]{4}"
)
_PAIR: Final = regex(r"[0-9A-Fa-f]{2}")
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
        self._addresses: dict[str, str] = {}

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
                value = device[name]
                fields[field] = value if type(value) is str and value else _text(device, name, f"device.{name}")
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
        self._people(record, draft)
        if not isinstance(record.get("details", {}), dict):
            raise BadRecord("details is no object")
        if not isinstance(record.get("measurements", []), list):
            raise BadRecord("measurements is no list")
        return draft

    def _people(self, record: Mapping[str, Any], draft: Draft) -> None:
        if "operator" in record:
            operator = _text(record, "operator", "operator")
            draft.actor = f"user:{operator}"
            draft.fields["user.id"] = operator
            if "Patient/" in operator and canonical(operator).startswith("Patient/"):
                draft.actor = f"patient:{operator}"
                _patient(operator, draft)
        if "patient" in record:
            patient = record["patient"]
            if type(patient) is str and patient[:8] == "Patient/" and patient.find("/", 8) < 0 and patient[8:]:
                if patient not in draft.patients:  # most of them
                    draft.patients.append(patient)
                    draft.identifiers |= {patient, patient[8:]}
            else:
                _patient(_text(record, "patient", "patient"), draft)
        if draft.patients:
            draft.fields["wardwatch.patient"] = draft.patients

    def _network(self, network: Any, draft: Draft) -> None:
        if not isinstance(network, dict):
            raise BadRecord("network is no object")
        if "ip" in network:
            address = _text(network, "ip", "network.ip")
            known = self._addresses.get(address)
            if known is None:
                if len(self._addresses) >= _KEPT:
                    self._addresses.clear()
                known = self._addresses[address] = _address(address)
            draft.fields["source.ip"] = known
            draft.address = f"address:{known}"
        if "mac" in network:
            mac = _text(network, "mac", "network.mac")
            if not _MAC.fullmatch(mac):
                raise BadRecord("network.mac is no MAC address such as 00:00:5e:00:53:01")
            draft.fields["source.mac"] = "-".join(pair.upper() for pair in _PAIR.findall(mac))
        if "port" in network:
            port = network["port"]
            if type(port) is not int or not 0 <= port <= 65535:
                raise BadRecord("network.port is no port number")
            draft.fields["source.port"] = port


def _patient(patient: str, draft: Draft) -> None:
    """Note a patient by reference (``Patient/7``, also absolute), by identifier (``system|value``), or by number."""
    if patient in draft.patients:
        return
    draft.patients.append(patient)
    known = canonical(patient)
    draft.identifiers |= {patient, known, known.rpartition("|")[2]} - {""}
    if known.startswith("Patient/"):
        draft.identifiers.add(known[8:])


def _text(record: Mapping[str, Any], name: str, field: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise BadRecord(f"{field} is missing" if value is None else f"{field} is no text")
    return value


def _address(text: str) -> str:
    """An IP address in its one spelling, so that every source writes the same."""
    try:
        return str(ip_address(text))
    except ValueError:
        raise BadRecord("network.ip is no IP address") from None


DEVICE: Final = DeviceEvent()
