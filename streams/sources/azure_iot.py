"""Azure IoT Hub and IoT Central: telemetry as their exports and iomt-fhir take it, and what happened to devices.

- IoT Hub's messages, ``{"Body", "Properties", "SystemProperties"}``, with the system properties of an event hub
  (``iothub-connection-device-id``) or of routing to storage (``connectionDeviceId``); the normalised messages of
  iomt-fhir, whose body alone names device and time, are the same.
- IoT Central's data export: telemetry, properties, connectivity and lifecycle of devices.
- IoT Hub's events through Event Grid (``Microsoft.Devices.*``), and its resource logs (``Connections`` and the like).

The time of a message is when the device made it, where it says so, else when the hub took it: as iomt-fhir has it.
Measurements are health data, and none is released. Sources: Azure IoT Hub and IoT Central documentation, *message
format*, *export data*, *monitoring data reference*; microsoft/iomt-fhir, *Configuration*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

import orjson

from streams.pseudonyms import canonical
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.times import milliseconds

__all__ = ["AZURE_IOT", "AzureIot"]

_HUB: Final = "/providers/microsoft.devices/iothubs/"
_GRID: Final = "Microsoft.Devices."
#: ECS category and type of each act of a device's life; for others what they were read from tells.
_MEANINGS: Final = {
    "connected": ("network", "connection"),
    "disconnected": ("network", "end"),
    "connect": ("authentication", "start"),
    "disconnect": ("network", "end"),
    "registered": ("iam", "creation"),
    "created": ("iam", "creation"),
    "create": ("iam", "creation"),
    "deleted": ("iam", "deletion"),
    "delete": ("iam", "deletion"),
    "provisioned": ("iam", "creation"),
    "enabled": ("iam", "change"),
    "disabled": ("iam", "change"),
    "update": ("iam", "change"),
    "measurement": ("host", "info"),
}
#: Event Grid's names, and those of the resource logs, for the same.
_EVENTS: Final = {
    "DeviceConnected": "connected",
    "DeviceDisconnected": "disconnected",
    "DeviceCreated": "created",
    "DeviceDeleted": "deleted",
    "DeviceTelemetry": "measurement",
}
_OPERATIONS: Final = {"deviceConnect": "connect", "deviceDisconnect": "disconnect"}
#: Names of a body's device, patient and time, without regard to case and underscores.
_DEVICE: Final = ("deviceid", "device")
_PATIENT: Final = ("patientid", "patient")
_TIME: Final = ("enddate", "measurementdatetime", "timestamp", "time", "date", "startdate")
_SENT: Final = ("iothub-creation-time-utc", "creationTimeUtc")
_TAKEN: Final = ("iothub-enqueuedtime", "enqueuedTime", "iothub-enqueued-time")
_WHO: Final = ("iothub-connection-device-id", "connectionDeviceId", "iothub-connection-deviceid")
_HOW: Final = ("iothub-connection-auth-method", "connectionAuthMethod")
#: Words that are released in small letters: whatever else stood there would escape the look for identifiers.
_KINDS: Final = frozenset({"sas", "x509", "x509thumbprint", "x509ca", "tpm", "symmetrickey", "none"})
_PROTOCOLS: Final = frozenset({"mqtt", "mqtt-ws", "mqttws", "amqp", "amqp-ws", "amqpws", "amqps", "http", "https"})
#: Of measurements within one message that are looked through for its latest time.
_MOST: Final = 10_000


class AzureIot:
    """The source ``azure-iot``; see :class:`streams.sources.base.Source`."""

    name = "azure-iot"
    topic = "audit.iot"
    logsource = LogSource(product="azure", service="iot", category="device")
    lateness = 300_000
    subject = "device"
    released = frozenset(
        {
            "cloud.provider",
            "device.id",
            "error.code",
            "event.action",
            "event.category",
            "event.dataset",
            "event.kind",
            "event.outcome",
            "event.type",
            "network.protocol",
            "source.ip",
            "wardwatch.authentication",
            "wardwatch.patient",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return _kind(record) != ""

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        kind = _kind(record)
        if kind == "message":
            return _message(record)
        if kind == "central":
            return _central(record)
        if kind == "grid":
            return _grid(record)
        if kind == "log":
            return _log(record)
        raise BadRecord("the record is no message of IoT Hub, no export of IoT Central and no event of a hub")


def _kind(record: Mapping[str, Any]) -> str:
    if isinstance(record.get("SystemProperties"), dict):
        return "message"
    if "messageSource" in record and "applicationId" in record:
        return "central"
    if _starts(record.get("eventType", record.get("type")), _GRID):
        return "grid"
    resource = record.get("resourceId")
    return "log" if "operationName" in record and isinstance(resource, str) and _HUB in resource.lower() else ""


def _message(record: Mapping[str, Any]) -> Draft:
    system, own, body = record["SystemProperties"], record.get("Properties"), _body(record.get("Body"))
    own = own if isinstance(own, dict) else {}
    device = _first(system, _WHO) or _first(own, _WHO) or _text(_named(body, _DEVICE), "the body's deviceId")
    sent = _first(own, _SENT) or _first(system, _SENT) or _first(system, _TAKEN) or record.get("EnqueuedTimeUtc")
    time = milliseconds(sent, "the message's time", utc=True) if sent else _latest(body)
    draft = _draft("message", "measurement", device, time, "success")
    draft.id = _first(system, ("message-id", "messageId"))
    draft.id = f"{device}/{draft.id}" if draft.id else ""  # unique for its device alone
    if how := _authentication(_first(system, _HOW)):
        draft.fields["wardwatch.authentication"] = how
    _people(body, draft)
    return draft


def _body(body: Any) -> Mapping[str, Any]:
    """What a device sent. Routing to storage has it as text, base64 where the device did not call it JSON."""
    if isinstance(body, dict):
        return body
    if body is None:
        raise BadRecord("Body is missing")
    if not isinstance(body, str | list):
        raise BadRecord("Body is no object")
    return {}


def _central(record: Mapping[str, Any]) -> Draft:
    source = _text(record.get("messageSource"), "messageSource")
    device = _text(record.get("deviceId"), "deviceId")
    time = milliseconds(record.get("enqueuedTime"), "enqueuedTime", utc=True)
    action = "measurement" if source == "telemetry" else _text(record.get("messageType", source), "messageType")
    draft = _draft(source, action, device, time, "success")
    for part in ("telemetry", "properties", "enrichments", "messageProperties"):
        held = record.get(part, {})
        if not isinstance(held, dict | list):
            raise BadRecord(f"{part} is no object")
        _people(held if isinstance(held, dict) else {}, draft)
    return draft


def _grid(record: Mapping[str, Any]) -> Draft:
    event = _text(record.get("eventType", record.get("type")), "eventType").removeprefix(_GRID)
    data = record.get("data")
    if not isinstance(data, dict):
        raise BadRecord("data is no object")
    system = data.get("systemProperties")
    device = data.get("deviceId") or (_first(system, _WHO) if isinstance(system, dict) else "")
    time = milliseconds(record.get("eventTime", record.get("time")), "eventTime", utc=True)
    action = event.removeprefix("Device").lower()
    draft = _draft(
        "event", "measurement" if action == "telemetry" else action, _text(device, "data.deviceId"), time, "success"
    )
    if "id" in record:
        draft.id = _text(record["id"], "id")
    if isinstance(body := data.get("body"), dict):
        _people(body, draft)
    return draft


def _log(record: Mapping[str, Any]) -> Draft:
    held = record.get("properties", {})
    if isinstance(held, str):
        try:
            held = orjson.loads(held)
        except orjson.JSONDecodeError:
            raise BadRecord("properties is no JSON") from None
    if not isinstance(held, dict):
        raise BadRecord("properties is no object")
    operation = _text(record.get("operationName"), "operationName")
    device = _first(held, ("deviceId",)) or "unknown"
    code = record.get("resultType", record.get("statusCode"))
    refused = isinstance(code, str | int) and str(code)[:1] in ("4", "5")
    failed = refused or _starts(record.get("level"), ("Err", "Crit"))
    action = _OPERATIONS.get(operation, operation)
    time = milliseconds(record.get("time"), "time", utc=True)
    draft = _draft("log", action, device, time, "failure" if failed else "success")
    if failed and str(code).isdecimal() and len(str(code)) <= 9:
        draft.fields["error.code"] = str(code)
    if how := _authentication(_first(held, ("authType",))):
        draft.fields["wardwatch.authentication"] = how
    if (protocol := _first(held, ("protocol",)).lower()) in _PROTOCOLS:
        draft.fields["network.protocol"] = protocol
    try:  # the hub masks an address's last part, and then it is none
        address = str(ip_address(_first(held, ("maskedIpAddress", "ipAddress"))))
    except ValueError:
        return draft
    draft.fields["source.ip"] = address
    draft.address = f"address:{address}"
    return draft


def _draft(dataset: str, action: str, device: str, time: int, outcome: str) -> Draft:
    category, type_ = _MEANINGS.get(action.lower(), ("host", "change"))
    key = f"device:{device}"
    fields: dict[str, Any] = {
        "event.kind": "event",
        "event.category": [category],
        "event.type": [type_],
        "event.action": action,
        "event.outcome": outcome,
        "event.dataset": f"azure-iot.{dataset}",
        "cloud.provider": "azure",
        "device.id": device,
    }
    return Draft(id="", time=time, actor=key, fields=fields, device=key)


def _people(held: Mapping[str, Any], draft: Draft) -> None:
    """Patients that a body names: by id, and as words in whatever else of it would leave."""
    patient = _named(held, _PATIENT)
    if isinstance(patient, int) and not isinstance(patient, bool):
        patient = str(patient)
    if not isinstance(patient, str) or not patient.strip():
        return
    if patient not in draft.patients:
        draft.patients.append(patient)
    known = canonical(patient)
    draft.identifiers |= {patient, known, known.removeprefix("Patient/"), patient.rpartition("|")[2]} - {""}
    draft.fields["wardwatch.patient"] = draft.patients


def _named(held: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    found = {name.replace("_", "").lower(): value for name, value in held.items() if isinstance(name, str)}
    return next((found[name] for name in names if found.get(name)), None)


def _latest(body: Mapping[str, Any]) -> int:
    """The latest time in a body: a message with several measurements is sent after the last."""
    times = [milliseconds(value, "a time in the body", utc=True) for value in _times(body)]
    if not times:
        raise BadRecord("the message has no time, neither of the hub nor in its body")
    return max(times)


def _times(body: Mapping[str, Any]) -> Iterator[Any]:
    if (own := _named(body, _TIME)) is not None:
        yield own
    for value in body.values():
        for member in value[:_MOST] if isinstance(value, list) else ():
            if isinstance(member, dict) and (held := _named(member, _TIME)) is not None:
                yield held


def _authentication(text: str) -> str:
    """``sas``, ``x509`` or the like, from the hub's word or its JSON about it; "" where it is none that is known."""
    if text.startswith("{"):
        try:
            held = orjson.loads(text)
        except orjson.JSONDecodeError:
            return ""
        text = _first(held, ("type",)) if isinstance(held, dict) else ""
    return text.lower() if text.lower() in _KINDS else ""


def _first(held: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := held.get(name), str) and value), "")


def _starts(value: Any, prefix: str | tuple[str, ...]) -> bool:
    return isinstance(value, str) and value.startswith(prefix)


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadRecord(f"{field} is missing" if value is None else f"{field} is no text")
    return value


AZURE_IOT: Final = AzureIot()
