"""Azure IoT: each kind of payload says which device, when and what; what is none is refused by shape or by reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.privacy import Pseudonyms, release
from streams.sources.azure_iot import AZURE_IOT
from streams.sources.base import BadRecord
from streams.sources.catalog import recognise

CENTRAL: dict[str, Any] = {
    "applicationId": "a-1",
    "deviceId": "synthetic-pump-1",
    "enqueuedTime": "2026-03-01T08:00:00.125Z",
}
GRID: dict[str, Any] = {
    "id": "e-1",
    "eventTime": "2026-03-01T08:00:00.125Z",
    "data": {"deviceId": "synthetic-pump-1", "hubName": "h"},
}
LOG: dict[str, Any] = {
    "time": "2026-03-01T08:00:00.125Z",
    "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.DEVICES/IOTHUBS/H",
    "category": "Connections",
    "level": "Information",
    "operationName": "deviceConnect",
    "properties": '{"deviceId":"synthetic-pump-1","protocol":"Mqtt","authType":"sas","maskedIpAddress":"192.0.2.XXX"}',
}
MESSAGE: dict[str, Any] = {
    "Body": {"heartrate": 72},
    "Properties": {},
    "SystemProperties": {
        "iothub-connection-device-id": "synthetic-pump-1",
        "iothub-enqueuedtime": "2026-03-01T08:00:00.125Z",
        "message-id": "m-1",
    },
}
#: A record; action, category, type, outcome.
SAID = [
    (MESSAGE, ("measurement", "host", "info", "success")),
    (
        {
            "EnqueuedTimeUtc": "2026-03-01T08:00:00.1250000Z",
            "Properties": {},
            "SystemProperties": {"connectionDeviceId": "synthetic-pump-1"},
            "Body": "eyJoIjo3Mn0=",
        },
        ("measurement", "host", "info", "success"),
    ),
    ({**CENTRAL, "messageSource": "telemetry", "telemetry": {}}, ("measurement", "host", "info", "success")),
    (
        {**CENTRAL, "messageSource": "deviceConnectivity", "messageType": "disconnected"},
        ("disconnected", "network", "end", "success"),
    ),
    (
        {**CENTRAL, "messageSource": "deviceLifecycle", "messageType": "registered"},
        ("registered", "iam", "creation", "success"),
    ),
    (
        {**CENTRAL, "messageSource": "properties", "messageType": "devicePropertyReportedChange", "properties": []},
        ("devicePropertyReportedChange", "host", "change", "success"),
    ),
    ({**GRID, "eventType": "Microsoft.Devices.DeviceCreated"}, ("created", "iam", "creation", "success")),
    ({**GRID, "type": "Microsoft.Devices.DeviceConnected"}, ("connected", "network", "connection", "success")),
    ({**GRID, "eventType": "Microsoft.Devices.DeviceTelemetry"}, ("measurement", "host", "info", "success")),
    (LOG, ("connect", "authentication", "start", "success")),
    (
        {**LOG, "level": "Error", "resultType": "401", "resultDescription": "401003"},
        ("connect", "authentication", "start", "failure"),
    ),
    (
        {**LOG, "category": "DeviceIdentityOperations", "operationName": "delete", "resultType": "204"},
        ("delete", "iam", "deletion", "success"),
    ),
]


@pytest.mark.parametrize(("record", "said"), SAID)
def test_each_kind_says_what_it_says(record: dict[str, Any], said: tuple[str, ...]) -> None:
    assert recognise(record) is AZURE_IOT
    draft = AZURE_IOT.normalise(record)
    fields = draft.fields
    assert (fields["event.action"], *fields["event.category"], *fields["event.type"], fields["event.outcome"]) == said
    assert draft.actor == draft.device == "device:synthetic-pump-1"
    assert draft.time == 1772352000125


#: By line of the public file: device, time and how it signed in; worked out from the records by hand. The other two
#: are templates of a mapping, which are no record.
PUBLIC = {
    3: ("device123", 1549061161875, ""),
    4: ("device123", 1626197341061, ""),
    5: ("device123", 1549061161875, ""),
    6: ("1vzb5ghlsg1", 1596666415455, ""),
    7: ("ev-d795-1d04-55ae", 1548888302607, "sas"),
    8: ("ev-d795-1d04-55ae", 1548888302607, "sas"),
}


def test_public_payloads_are_what_the_table_says(outside_data: Path) -> None:
    lines = (outside_data / "iot" / "iomt_fhir_device_payloads.jsonl").read_text().splitlines()
    assert len(lines) == 8
    for number, line in enumerate(lines, 1):
        record = json.loads(line)["json"]
        if number not in PUBLIC:
            with pytest.raises(BadRecord, match="shape of no source"):
                recognise(record)
            with pytest.raises(BadRecord, match="no message of IoT Hub"):
                AZURE_IOT.normalise(record)
            continue
        assert recognise(record) is AZURE_IOT
        draft = AZURE_IOT.normalise(record)
        how = draft.fields.get("wardwatch.authentication", "")
        assert (draft.device, draft.time, how) == (f"device:{PUBLIC[number][0]}", *PUBLIC[number][1:])
        assert draft.fields["event.action"] == "measurement"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**MESSAGE, "Body": None}, "Body is missing"),
        ({**MESSAGE, "Body": 7}, "Body is no object"),
        ({"Body": {"deviceId": "d"}, "SystemProperties": {}}, "has no time"),
        ({"Body": {"date": "2026-03-01T08:00:00Z"}, "SystemProperties": {}}, "deviceId is missing"),
        ({**CENTRAL, "messageSource": "telemetry", "enqueuedTime": 1}, "enqueuedTime is no RFC 3339"),
        ({**CENTRAL, "messageSource": "telemetry", "telemetry": 1}, "telemetry is no object"),
        ({**LOG, "properties": "{"}, "properties is no JSON"),
        ({**GRID, "eventType": "Microsoft.Devices.DeviceCreated", "data": 1}, "data is no object"),
    ],
)
def test_what_is_malformed_is_refused_with_its_reason(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        AZURE_IOT.normalise(record)


def test_a_patient_of_a_message_leaves_as_a_pseudonym() -> None:
    record = {**MESSAGE, "Body": {"patient_id": "Patient/synthetic-0001", "heartrate": 72}}
    record["SystemProperties"] = {**MESSAGE["SystemProperties"], "message-id": "for synthetic-0001"}
    pseudonyms = Pseudonyms(bytes(16), "k")
    event = release(AZURE_IOT.normalise(record), AZURE_IOT, pseudonyms, fallback_id=str, received=1772352000125)
    assert event.patients == (pseudonyms.patient("Patient/synthetic-0001"),)
    assert "synthetic-0001" not in repr(event)
    assert "72" not in repr(event.fields)
