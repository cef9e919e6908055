"""Records that each source takes, by its name; synthetic."""

from __future__ import annotations

from typing import Any

from atna_records import message, participant, patient, query, rfc3881
from atna_records import record as audit_message
from broker_records import EMQX_EVENTS, MOSQUITTO_LINES
from cloud_records import CLOUDS
from fhir_other_records import DSTU2, PROVENANCE, R5, STU3
from hl7v2_records import DEMOGRAPHICS, OLD_QUERY, SMALL
from hl7v2_records import record as hl7_message
from test_azure_iot import SAID as AZURE_IOT_RECORDS

from streams.demo.records import audit_event, cloudtrail, device_event

__all__ = ["GOOD", "TIME"]

TIME = 1_700_000_000_000
GOOD: dict[str, list[dict[str, Any]]] = {
    "fhir": [
        audit_event(
            id=f"a-{interaction}",
            time=TIME,
            interaction=interaction,
            staff="synthetic-p1",
            address="192.0.2.7",
            patient="synthetic-0001",
        )
        for interaction in ("read", "create", "update", "delete", "search")
    ],
    "device": [
        device_event(
            id="d-1",
            time=TIME,
            device="pump-0001",
            type="infusion-pump",
            event=event,
            action="measurement",
            address="192.0.2.9",
            operator="synthetic-p1",
            patient="synthetic-0001",
            measurements=(("8867-4", 72.0, "/min"),),
            details={"limit": "hard"},
        )
        for event in ("telemetry", "authentication", "firmware", "command", "alarm", "connection", "lifecycle")
    ],
    "cloudtrail": [
        cloudtrail(id="c-1", time=TIME, name="GetObject", service="s3", user="synthetic-admin1", address="192.0.2.1"),
        cloudtrail(
            id="c-2",
            time=TIME,
            name="ConsoleLogin",
            service="signin",
            user="root",
            root=True,
            address="192.0.2.1",
            extra={"responseElements": {"ConsoleLogin": "Failure"}},
        ),
        cloudtrail(
            id="c-3",
            time=TIME,
            name="CreateUser",
            service="iam",
            user="synthetic-admin1",
            address="cloudformation.amazonaws.com",
            error="AccessDenied",
            request={"bucketName": "synthetic-bucket"},
        ),
    ],
}
GOOD["wardwatch"] = [
    {
        "schema": "wardwatch.audit/1",
        "id": f"w-{action}",
        "time": "2026-01-05T08:00:00Z",
        "action": action,
        "outcome": "success",
        "operator": "synthetic-analyst",
        "host": "soc-1.hospital.example",
        **more,
    }
    for action, more in (
        ("reveal-identity", {"reason": "case 4711", "patient": "Patient/synthetic-0001"}),
        ("list-accesses", {"reason": "case 4712", "subject": "patient:0123abcd.aaaabbbbccccddddeeeeffff"}),
        ("show-timeline", {"entity": "user:synthetic-p1"}),
        ("rotate-key", {"key": "0123abcd"}),
    )
]

GOOD["fhir"].append(
    {
        "resourceType": "AuditEvent",
        "type": {"code": "110113"},
        "subtype": [{"code": "110127"}],
        "recorded": "2026-01-05T08:00:00Z",
        "contained": [
            {
                "resourceType": "Patient",
                "id": "p1",
                "identifier": [{"system": "urn:oid:1.2", "value": "MRN-0001"}],
                "name": [{"family": "Synthetic", "given": ["Ada"]}],
            },
            {"resourceType": "Device", "id": "d1", "deviceName": [{"name": "synthetic-gateway"}]},
        ],
        "agent": [
            {
                "who": {"reference": "#p1"},
                "requestor": True,
                "role": [{"coding": [{"code": "PAT"}]}],
                "network": {"address": "https://App.hospital.example/x", "type": "5"},
                "purposeOfUse": [{"coding": [{"code": "ETREAT"}]}],
            },
            {"who": {"reference": "RelatedPerson/r-0001", "display": "Synthetic Relative"}, "requestor": False},
        ],
        "source": {"observer": {"reference": "#d1"}},
        "entity": [
            {"what": {"type": "Patient", "identifier": {"value": "MRN-0002^^^&1.2&ISO"}}, "role": {"code": "1"}},
            {"type": {"code": "2"}, "query": "GET /Observation?patient=synthetic-0003,synthetic-0004"},
        ],
    }
)
GOOD["device"].append(
    device_event(
        id="d-2",
        time=TIME,
        device="meter-0001",
        type="glucose-meter",
        event="configuration",
        action="clock_set",
        address="2001:db8::9",
        details={"offset_seconds": -90},
    )
    | {"operator": "Patient/synthetic-0002", "network": {"ip": "2001:db8::9", "mac": "0000.5e00.5301", "port": 443}}
)
GOOD["cloudtrail"].append(
    cloudtrail(id="c-4", time=TIME, name="AssumeRole", service="sts", user="x", address="AWS Internal")
    | {
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROA1:aws-go-sdk-1688990082523310002",
            "arn": "arn:aws:sts::1:assumed-role/synthetic-role/aws-go-sdk-1688990082523310002",
            "onBehalfOf": {"userId": "u-1", "identityStoreArn": "arn:aws:identitystore::1:identitystore/d-1"},
            "sessionContext": {"sessionIssuer": {"userName": "synthetic-role"}, "sourceIdentity": "synthetic-person"},
        },
        "serviceEventDetails": {"x": "y"},
    }
)


GOOD |= {
    "fhir-r5": [
        R5,
        {
            "resourceType": "AuditEvent",
            "code": {"coding": [{"system": "urn:synthetic", "code": "X-1"}]},
            "occurredDateTime": "2026-01-05T08:00:00Z",
            "encounter": {"reference": "Encounter/e-1"},
            "agent": [{"who": {"reference": "Practitioner/p-1"}}],
        },
    ],
    "fhir-stu3": [STU3],
    "fhir-dstu2": [DSTU2],
    "fhir-provenance": [PROVENANCE],
    "atna": [
        audit_message(message(objects=patient())),
        {"@timestamp": "2026-01-05T08:00:01Z", "message": message()},
        audit_message(
            rfc3881(
                message(
                    "110112",
                    "ITI-18",
                    action="E",
                    people=participant("app", "110153", more='NetworkAccessPointID="192.0.2.1"') + participant("nurse"),
                    objects=query("<Query><Value>('syn-0001^^^&amp;1.2.3&amp;ISO')</Value></Query>"),
                )
            )
        ),
    ],
    "hl7v2": [hl7_message(text) for text in (SMALL, OLD_QUERY, DEMOGRAPHICS)],
}
GOOD |= CLOUDS
GOOD["azure-iot"] = [record for record, _ in AZURE_IOT_RECORDS]
GOOD["emqx"] = [record for record, _ in EMQX_EVENTS]
GOOD["mosquitto"] = [{"message": f"1772352000: {line}"} for line, act, *_ in MOSQUITTO_LINES if act != "mqtt-log"]
