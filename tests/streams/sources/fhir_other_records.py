"""Synthetic records of FHIR releases beside R4, and Provenance, with whatever each may carry."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

__all__ = ["DSTU2", "PROVENANCE", "R5", "STU3"]

_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"

R5: Final[dict[str, Any]] = {
    "resourceType": "AuditEvent",
    "id": "r5-0001",
    "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"}]}],
    "code": {"coding": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}], "text": "Read"},
    "action": "R",
    "occurredPeriod": {"start": "2026-01-05T08:00:00Z", "end": "2026-01-05T08:00:01Z"},
    "recorded": "2026-01-05T08:00:02Z",
    "outcome": {
        "code": {"system": "http://hl7.org/fhir/issue-severity", "code": "success"},
        "detail": [{"text": "ok"}],
    },
    "authorization": [{"coding": [{"code": "ETREAT"}]}],
    "patient": {"reference": "Patient/synthetic-0001", "display": "Ada Synthetic"},
    "encounter": {"reference": "Encounter/e-1"},
    "basedOn": [{"reference": "CarePlan/c-1"}],
    "contained": [{"resourceType": "Endpoint", "id": "n1", "address": "https://Desk.hospital.example/x"}],
    "agent": [
        {
            "type": {"coding": [{"system": _DCM, "code": "110153"}]},
            "who": {"display": "gateway.example"},
            "networkUri": "https://gateway.example/",
        },
        {
            "role": [{"coding": [{"code": "nurse"}]}],
            "who": {"reference": "Practitioner/p-1", "display": "A nurse"},
            "requestor": True,
            "networkReference": {"reference": "#n1"},
            "authorization": [{"coding": [{"code": "TREAT"}]}],
        },
    ],
    "source": {"site": {"display": "a site"}, "observer": {"reference": "Device/ehr-1"}, "type": []},
    "entity": [
        {
            "what": {"reference": "Observation/o-1"},
            "role": {"coding": [{"code": "4"}]},
            "agent": [{"who": {"reference": "Patient/synthetic-0002"}, "networkString": "192.0.2.77"}],
        },
        {
            "what": {"identifier": {"system": "urn:oid:1.2.3", "value": "syn-0003"}},
            "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"}]},
            "detail": [{"type": {"text": "alias"}, "valueString": "Ada the Third"}],
            "query": b64encode(b"GET /Observation?patient=synthetic-0004").decode(),
        },
    ],
}

STU3: Final[dict[str, Any]] = {
    "resourceType": "AuditEvent",
    "id": "stu3-0001",
    "type": {"system": _DCM, "code": "110110"},
    "subtype": [{"code": "read-chart"}],
    "action": "U",
    "recorded": "2026-01-05T08:00:00Z",
    "outcome": "4",
    "purposeOfEvent": [{"coding": [{"code": "TREAT"}]}],
    "agent": [
        {"role": [{"coding": [{"system": _DCM, "code": "110153"}]}], "userId": {"value": "ws-1"}},
        {
            "role": [{"coding": [{"code": "nurse"}]}, {"text": "Logon"}],
            "reference": {"reference": "Practitioner/p-1"},
            "userId": {"system": "urn:oid:1.2.9", "value": "nurse-7"},
            "altId": "n7",
            "name": "A nurse",
            "network": {"address": "192.0.2.7", "type": "2"},
        },
    ],
    "source": {"site": "Cloud", "identifier": {"value": "synthetic-ehr"}, "type": [{"code": "4"}]},
    "entity": [
        {
            "identifier": {"value": "syn-0001^^^&1.2.3&ISO"},
            "reference": {"reference": "Patient/synthetic-0001"},
            "type": {"code": "1"},
            "role": {"code": "1"},
            "name": "Ada Synthetic",
            "detail": [{"type": "alias", "value": b64encode(b"Ada the Third").decode()}],
        },
        {"reference": {"reference": "Observation/o-1"}, "type": {"code": "2"}},
    ],
}

DSTU2: Final[dict[str, Any]] = {
    "resourceType": "AuditEvent",
    "id": "dstu2-0001",
    "event": {
        "type": STU3["type"],
        "subtype": STU3["subtype"],
        "action": "U",
        "dateTime": STU3["recorded"],
        "outcome": "4",
        "purposeOfEvent": [{"code": "TREAT"}],
    },
    "participant": [
        STU3["agent"][0] | {"requestor": False},
        STU3["agent"][1] | {"requestor": True, "purposeOfUse": [{"code": "ETREAT"}]},
    ],
    "source": STU3["source"],
    "object": STU3["entity"],
}

PROVENANCE: Final[dict[str, Any]] = {
    "resourceType": "Provenance",
    "id": "prov-0001",
    "target": [{"reference": "Observation/o-1/_history/2"}, {"reference": "Patient/synthetic-0001"}],
    "occurredDateTime": "2026-01-05T08:00:00Z",
    "recorded": "2026-01-05T08:05:00Z",
    "reason": [{"coding": [{"code": "TREAT"}]}],
    "activity": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "UPDATE"}]},
    "agent": [
        {"type": {"coding": [{"code": "assembler"}]}, "who": {"reference": "Device/ehr-1"}},
        {
            "type": {"coding": [{"code": "author"}]},
            "who": {"reference": "Practitioner/p-1", "display": "A nurse"},
            "onBehalfOf": {"reference": "Organization/org-1", "display": "A clinic"},
        },
        {
            "type": {"coding": [{"code": "informant"}]},
            "who": {"reference": "RelatedPerson/r-1"},
            "onBehalfOf": {"reference": "Patient/synthetic-0001", "display": "Ada Synthetic"},
        },
    ],
    "entity": [{"role": "source", "what": {"reference": "DocumentReference/d-1"}}],
    "signature": [{"who": {"reference": "Patient/synthetic-0002", "display": "Bert Synthetic"}}],
}
