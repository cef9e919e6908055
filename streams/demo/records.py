"""The records a synthetic hospital's systems write, one function per kind. Names and numbers are made up and say so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["audit_event", "cloudtrail", "device_event", "iso"]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_REST = "http://hl7.org/fhir/restful-interaction"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ACTIONS = {"read": "R", "create": "C", "update": "U", "delete": "D", "search": "E"}


def iso(time: int) -> str:
    """``time`` (ms since the epoch) as RFC 3339 in UTC."""
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def audit_event(
    *,
    id: str,
    time: int,
    interaction: str,
    staff: str,
    address: str,
    patient: str,
    what: str = "Observation",
    outcome: str = "0",
    type_code: str = "rest",
    subtype: tuple[str, str, str] | None = None,
    purpose: str = "TREAT",
) -> dict[str, Any]:
    """A FHIR R4 AuditEvent in BALP's shape: ``staff`` did ``interaction`` to a ``what`` of ``patient``."""
    rest = type_code == "rest"
    type_system = "http://terminology.hl7.org/CodeSystem/audit-event-type" if rest else _DCM
    code = subtype or (_REST, interaction, interaction)
    return {
        "resourceType": "AuditEvent",
        "id": id,
        "meta": {
            "profile": [
                f"https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Patient{interaction.title()}"
            ]
        },
        "type": {"system": type_system, "code": type_code},
        "subtype": [{"system": code[0], "code": code[1], "display": code[2]}],
        "action": _ACTIONS.get(interaction, "E"),
        "recorded": iso(time),
        "outcome": outcome,
        "purposeOfEvent": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": purpose}]}
        ],
        "agent": [
            {
                "type": {"coding": [{"system": _DCM, "code": "110153", "display": "Source Role ID"}]},
                "who": {"display": "synthetic-ehr.hospital.example"},
                "requestor": False,
                "network": {"address": "ehr.hospital.example", "type": "1"},
            },
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                            "code": "IRCP",
                            "display": "information recipient",
                        }
                    ]
                },
                "who": {"reference": f"Practitioner/{staff}"},
                "requestor": True,
                "network": {"address": address, "type": "2"},
            },
        ],
        "source": {
            "site": "synthetic hospital",
            "observer": {"display": "synthetic-ehr.hospital.example"},
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
        },
        "entity": [
            {
                "what": {"identifier": {"type": {"text": "XrequestId"}, "value": f"request-{id}"}},
                "type": {
                    "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                    "code": "XrequestId",
                },
            },
            {
                "what": {"reference": f"Patient/{patient}"},
                "type": {"system": _TYPE, "code": "1", "display": "Person"},
                "role": {"system": _ROLE, "code": "1", "display": "Patient"},
                "name": f"Synthetic Patient {patient}",
            },
            {
                "what": {"reference": f"{what}/{what.lower()}-of-{patient}"},
                "type": {"system": _TYPE, "code": "2", "display": "System Object"},
                "role": {"system": _ROLE, "code": "4", "display": "Domain Resource"},
            },
        ],
    }


def cloudtrail(
    *,
    id: str,
    time: int,
    name: str,
    service: str,
    user: str,
    address: str,
    root: bool = False,
    request: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    error: str = "",
) -> dict[str, Any]:
    """One CloudTrail record of API call ``name``."""
    account = "123456789012"
    identity: dict[str, Any] = (
        {"type": "Root", "principalId": account, "arn": f"arn:aws:iam::{account}:root", "accountId": account}
        if root
        else {
            "type": "IAMUser",
            "principalId": f"AIDA{user.upper()}",
            "arn": f"arn:aws:iam::{account}:user/{user}",
            "accountId": account,
            "userName": user,
        }
    )
    record: dict[str, Any] = {
        "eventVersion": "1.09",
        "userIdentity": identity,
        "eventTime": iso(time)[:19] + "Z",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": address,
        "userAgent": "aws-cli/2.15.0 Python/3.11",
        "requestParameters": dict(request or {}),
        "responseElements": None,
        "requestID": f"request-{id}",
        "eventID": id,
        "readOnly": name.startswith(("Get", "List", "Describe")),
        "eventType": "AwsConsoleSignIn" if name == "ConsoleLogin" else "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    if error:
        record["errorCode"] = error
    record.update(extra or {})
    return record


def device_event(
    *,
    id: str,
    time: int,
    device: str,
    type: str,
    event: str,
    action: str,
    address: str,
    outcome: str = "success",
    operator: str = "",
    patient: str = "",
    measurements: tuple[tuple[str, float, str], ...] = (),
    firmware: str = "4.1.2",
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One record of our own device schema, ``docs/device-events.md``."""
    record: dict[str, Any] = {
        "schema": "wardwatch.device/1",
        "id": id,
        "time": iso(time),
        "device": {
            "id": device,
            "type": type,
            "vendor": "Synthetic Devices",
            "model": f"{type}-3000",
            "firmware": firmware,
        },
        "event": event,
        "action": action,
        "outcome": outcome,
        "network": {"ip": address},
    }
    if operator:
        record["operator"] = f"Practitioner/{operator}"
    if patient:
        record["patient"] = f"Patient/{patient}"
    if measurements:
        record["measurements"] = [{"name": n, "value": v, "unit": u} for n, v, u in measurements]
    if details:
        record["details"] = dict(details)
    return record
