"""A whole record of every source, each about the same patient in all its names; synthetic."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from streams.demo.records import audit_event, cloudtrail, device_event

__all__ = [
    "NAME",
    "NOW",
    "NUMBER",
    "PATIENT",
    "SECRETS",
    "SHORT",
    "TABLE",
    "atna_record",
    "azure_record",
    "cloud_record",
    "device_record",
    "dstu2_record",
    "fhir_record",
    "hl7v2_record",
    "provenance_record",
    "r5_record",
    "stu3_record",
    "table_record",
]

NOW = 1_767_600_000_000
PATIENT = "synthetic-0001"
NUMBER = "77-31-MRN-40"
NAME = "Quillön Synthetic-Planted"
SHORT = "s-47110"
SECRETS = (PATIENT, f"Patient/{PATIENT}", NUMBER, NAME, SHORT)


def fhir_record() -> dict[str, Any]:
    record = audit_event(
        id="a1b2",
        time=NOW,
        interaction="read",
        staff="p-001",
        address="192.0.2.7",
        patient=PATIENT,
        purpose="ETREAT",
    )
    patient = record["entity"][1]
    patient["name"] = NAME
    patient["what"]["identifier"] = {"system": "urn:oid:1.2", "value": NUMBER}
    patient["detail"] = [{"type": "alias", "valueString": SHORT}]
    human = record["agent"][1]
    human["name"], human["altId"] = "A member of staff", "staff-7"
    human["role"] = [{"coding": [{"system": "http://example.org/roles", "code": "nurse"}], "text": "nurse"}]
    clinic = {"reference": "Organization/o-1", "display": "A clinic", "identifier": {"value": "org-77"}}
    record["agent"].append({"type": {"coding": [{"code": "PROV"}]}, "who": clinic, "requestor": False})
    record["entity"].append({"type": {"code": "2"}, "role": {"code": "24"}, "query": b64encode(b"GET /x").decode()})
    record["text"], record["outcomeDesc"] = {"status": "generated", "div": f"<div>{NAME}</div>"}, "a reason"
    return record


def device_record() -> dict[str, Any]:
    record = device_event(
        id="d-1",
        time=NOW,
        device="pump-0001",
        type="infusion-pump",
        event="command",
        action="limit_override",
        address="192.0.2.9",
        operator="p-001",
        patient=PATIENT,
        measurements=(("8867-4", 72.0, "/min"),),
        details={"limit": "hard", "note": "a note"},
    )
    record["network"] |= {"mac": "00:00:5e:00:53:01"}
    return record


def cloud_record() -> dict[str, Any]:
    return cloudtrail(
        id="c-1",
        time=NOW,
        name="PutBucketPolicy",
        service="s3",
        user="synthetic-admin1",
        address="192.0.2.1",
        request={
            "bucketName": "synthetic-images",
            "key": "a key",
            "bucketPolicy": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]},
        },
        extra={
            "responseElements": {"x": "a"},
            "resources": [{"ARN": "arn:aws:s3:::b/key", "type": "AWS::S3::Object"}],
            "additionalEventData": {"SignatureVersion": "SigV4"},
            "tlsDetails": {"clientProvidedHostHeader": "h"},
            "sharedEventID": "s",
        },
    )


def r5_record() -> dict[str, Any]:
    record = fhir_record()
    clinic = record["agent"].pop()
    agents = [
        {name: agent[name] for name in ("type", "role", "who", "requestor") if name in agent}
        for agent in record["agent"]
    ]
    agents[1]["networkString"] = "192.0.2.7"
    agents[1]["authorization"] = [{"coding": [{"code": "ETREAT"}]}]
    about = {"what": record["entity"][1]["what"], "role": {"coding": [{"code": "1"}]}}
    about["detail"] = [{"type": {"text": "alias"}, "valueString": SHORT}]
    return {
        "resourceType": "AuditEvent",
        "id": "a1b2",
        "category": [{"coding": [{"code": "rest"}]}],
        "code": {"coding": [{"code": "read", "display": "Read"}], "text": "a text"},
        "occurredDateTime": record["recorded"],
        "recorded": record["recorded"],
        "outcome": {"code": {"code": "0"}, "detail": [{"text": "a reason"}]},
        "patient": {"reference": f"Patient/{PATIENT}", "display": NAME},
        "encounter": {"reference": "Encounter/e-1", "display": "an encounter"},
        "agent": [*agents, {"type": clinic["type"], "who": clinic["who"]}],
        "source": {"site": {"display": "a site"}, "observer": {"display": "an EHR"}},
        "entity": [about, {"what": {"reference": "Observation/o-1"}, "query": b64encode(b"GET /x").decode()}],
    }


def stu3_record() -> dict[str, Any]:
    human = {
        "role": [{"coding": [{"code": "nurse"}], "text": "nurse"}],
        "reference": {"reference": "Practitioner/p-001", "display": "A member of staff"},
        "userId": {"system": "urn:oid:1.2.9", "value": "n-7"},
        "altId": "staff-7",
        "name": "A nurse",
        "requestor": True,
        "network": {"address": "192.0.2.7", "type": "2"},
    }
    about = {
        "reference": {"reference": f"Patient/{PATIENT}"},
        "identifier": {"value": f"{NUMBER}^^^&1.2&ISO"},
        "type": {"code": "1"},
        "role": {"code": "1"},
        "name": NAME,
        "detail": [{"type": "alias", "value": b64encode(SHORT.encode()).decode()}],
    }
    return {
        "resourceType": "AuditEvent",
        "id": "a1b2",
        "type": {"system": "urn:x", "code": "rest", "display": "a text"},
        "subtype": [{"code": "read"}],
        "action": "R",
        "recorded": "2026-01-05T08:00:00Z",
        "outcome": "0",
        "outcomeDesc": "a reason",
        "agent": [human],
        "source": {"site": "a site", "identifier": {"value": "an EHR"}},
        "entity": [
            about,
            {"reference": {"reference": "Observation/o-1"}, "description": "a text", "type": {"code": "2"}},
        ],
    }


def dstu2_record() -> dict[str, Any]:
    record = stu3_record()
    event = {name: record[name] for name in ("type", "subtype", "action", "outcome", "outcomeDesc")}
    parts = {"participant": record["agent"], "source": record["source"], "object": record["entity"]}
    event["dateTime"] = record["recorded"]
    return {"resourceType": "AuditEvent", "id": "a1b2", "event": event, **parts}


def provenance_record() -> dict[str, Any]:
    author = {"reference": "Practitioner/p-001", "display": "A member of staff"}
    return {
        "resourceType": "Provenance",
        "id": "a1b2",
        "target": [{"reference": "Observation/o-1", "display": "a thing"}, {"reference": f"Patient/{PATIENT}"}],
        "recorded": "2026-01-05T08:00:00Z",
        "activity": {"coding": [{"code": "UPDATE"}], "text": "a text"},
        "patient": {"identifier": {"system": "urn:oid:1.2", "value": NUMBER}, "display": NAME},
        "agent": [
            {"type": {"coding": [{"code": "author"}]}, "who": author, "role": [{"coding": [{"code": "nurse"}]}]},
            {"type": {"coding": [{"code": "custodian"}]}, "who": {"display": "an EHR"}},
            {"who": author, "onBehalfOf": {"reference": "Organization/o-1", "display": "A clinic"}},
        ],
        "signature": [{"who": {"reference": "RelatedPerson/r-1", "display": SHORT}}],
    }


def atna_record() -> dict[str, Any]:
    def coded(code: str) -> dict[str, str]:
        return {"csd-code": code, "codeSystemName": "DCM", "originalText": "a text"}

    def about(number: str, **more: Any) -> dict[str, Any]:
        codes = {"ParticipantObjectTypeCode": "1", "ParticipantObjectTypeCodeRole": "1"}
        return {"ParticipantObjectID": number, "ParticipantObjectIDTypeCode": coded("2"), **codes, **more}

    detail = {"type": "alias", "value": b64encode(SHORT.encode()).decode()}
    thing = {"ParticipantObjectID": "1.2.3.4", "ParticipantObjectTypeCode": "2", "ParticipantObjectTypeCodeRole": "3"}
    return {
        "syslog": {"hostname": "pacs.example", "appname": "an app", "timestamp": "2026-01-05T08:00:00Z"},
        "AuditMessage": {
            "EventIdentification": {
                "EventActionCode": "R",
                "EventDateTime": "2026-01-05T08:00:00Z",
                "EventOutcomeIndicator": "0",
                "EventOutcomeDescription": "a reason",
                "EventID": coded("110110"),
                "EventTypeCode": [coded("of-a-vendor")],
                "PurposeOfUse": coded("ETREAT"),
            },
            "ActiveParticipant": [
                {
                    "UserID": "nurse-7",
                    "AlternativeUserID": "n7",
                    "UserName": "A nurse",
                    "UserIsRequestor": "true",
                    "NetworkAccessPointID": "desk-7.example",
                    "RoleIDCode": coded("HCP"),
                },
                {"UserID": "archive", "UserIsRequestor": "false", "RoleIDCode": coded("110152")},
            ],
            "AuditSourceIdentification": {"AuditSourceID": "a PACS", "AuditEnterpriseSiteID": "a site"},
            "ParticipantObjectIdentification": [
                about(f"Patient/{PATIENT}"),
                about(f"{NUMBER}^^^&1.2&ISO", ParticipantObjectName=NAME, ParticipantObjectDetail=detail),
                {**thing, "ParticipantObjectIDTypeCode": coded("110180"), "ParticipantObjectName": "a study"},
            ],
        },
    }


def azure_record() -> dict[str, Any]:
    return {
        "Body": {"patientId": f"Patient/{PATIENT}", "deviceId": "pump-0001", "note": "a note", "heartrate": "72"},
        "Properties": {"iothub-creation-time-utc": "2026-01-05T08:00:00Z", "ward": "3"},
        "SystemProperties": {
            "iothub-connection-device-id": "pump-0001",
            "iothub-connection-auth-method": '{"type":"sas"}',
            "iothub-enqueuedtime": "2026-01-05T08:00:01Z",
            "message-id": "m-1",
        },
    }


def hl7v2_record() -> dict[str, Any]:
    return {
        "MSH": {
            **{
                number: {"1": text} for number, text in (("3", "AN-APP"), ("4", "A-SITE"), ("7", "20260105090000+0100"))
            },
            "9": {"1": "ADT", "2": "A01"},
            "10": {"1": "c-1"},
        },
        "EVN": {"2": {"1": "20260105085900"}, "5": {"1": "op-7", "2": "Staff", "3": "Nora", "9": {"2": "1.2.9"}}},
        "PID": {
            "3": [{"1": PATIENT, "4": {"1": "HOSP", "2": "1.2.3", "3": "ISO"}}, {"1": NUMBER, "4": "X"}],
            "5": {"1": NAME},
            "18": {"1": SHORT},
        },
        "PV1": {"2": {"1": "I"}, "3": {"1": "WARD-3"}, "7": {"1": "dr-9"}},
        "OBX": {"5": {"1": "a finding"}},
    }


#: A table that releases as much as it may.
TABLE = """
name = "attacked"
recognise = ["AT", "WHO", "MRN"]
identifies = ["NAME", "ALIAS", "REF"]
released = ["source.ip", "user.name", "user.roles", "event.reason", "device.id", "wardwatch.own"]
time = {column = "AT"}
actor = {column = "WHO"}
action = {column = "DOES", otherwise = {category = "database", type = "access"}}
outcome = {column = "ENDED", values = {ok = "success"}, otherwise = "failure"}
patients = [{column = "MRN", system = "urn:oid:1.2"}]
id = {columns = ["AT", "NUMBER"]}
[fields]
"source.ip" = {column = "IP", unreadable = "leave out"}
"user.name" = "LOGIN"
"user.roles" = {column = "ROLES", separator = ";"}
"event.reason" = "NOTE"
"device.id" = "STATION"
"wardwatch.own" = "OWN.deep"
"""


def table_record() -> dict[str, Any]:
    row = dict(
        zip(("WHO", "DOES", "ENDED", "NUMBER", "IP"), ("p-001", "a look", "ok", "n-1", "192.0.2.7"), strict=True)
    )
    row |= {"LOGIN": "a.nurse", "ROLES": "nurse;clerk", "NOTE": "a note", "STATION": "ws-1", "UNREAD": "a text"}
    about = {"MRN": NUMBER, "NAME": NAME, "ALIAS": SHORT, "REF": f"Patient/{PATIENT}"}
    return {"AT": "2026-01-05T08:00:00Z", **row, **about, "OWN": {"deep": "a text"}}
