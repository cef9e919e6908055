"""Every place of a whole record in which another text may stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from whole_records import (
    NAME,
    NUMBER,
    PATIENT,
    SECRETS,
    SHORT,
    atna_record,
    azure_record,
    cloud_record,
    device_record,
    dstu2_record,
    fhir_record,
    hl7v2_record,
    provenance_record,
    r5_record,
    stu3_record,
    table_record,
)

__all__ = ["PLACES", "RECORDS"]


def _paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, str):
        yield path
    for name, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _paths(inner, (*path, name))


#: Topic, record, the secrets that it names itself, and where nothing is planted: what says whom it is about.
RECORDS: dict[str, tuple[str, Callable[[], dict[str, Any]], tuple[str, ...], set[tuple[Any, ...]]]] = {
    "fhir": (
        "audit.ehr",
        fhir_record,
        SECRETS,
        {
            ("entity", 1, "what", "reference"),
            ("entity", 1, "what", "identifier", "value"),
            ("entity", 1, "name"),
            ("entity", 1, "detail", 0, "valueString"),
            ("recorded",),
        },
    ),
    "device": ("audit.iot", device_record, (PATIENT, f"Patient/{PATIENT}"), {("patient",), ("time",)}),
    "azure-iot": (
        "audit.iot",
        azure_record,
        (PATIENT, f"Patient/{PATIENT}"),
        {
            ("Body", "patientId"),
            ("Properties", "iothub-creation-time-utc"),
            ("SystemProperties", "iothub-enqueuedtime"),
        },
    ),
    "table": (
        "audit.ehr",
        table_record,
        (NUMBER, NAME, SHORT, f"Patient/{PATIENT}"),
        {("AT",), ("MRN",), ("NAME",), ("ALIAS",), ("REF",)},
    ),
    # CloudTrail names no patient: what may leave is the caller's, and all the rest stays.
    "cloudtrail": (
        "audit.cloud",
        cloud_record,
        SECRETS,
        {
            *((name,) for name in ("eventID", "eventName", "eventSource", "awsRegion", "userAgent")),
            *((name,) for name in ("sourceIPAddress", "recipientAccountId", "eventTime")),
            *(("userIdentity", name) for name in ("arn", "userName", "type")),
            ("requestParameters", "bucketName"),
        },
    ),
}
#: By whichever of these a patient is known, nothing is planted there.
_STU3_ABOUT = [("reference", "reference"), ("identifier", "value"), ("name",), ("detail", 0, "value")]
_OBJECTS = ("AuditMessage", "ParticipantObjectIdentification")
RECORDS |= {
    "fhir-r5": (
        "audit.ehr",
        r5_record,
        SECRETS,
        {
            *((name,) for name in ("resourceType", "recorded", "occurredDateTime")),
            *(("patient", name) for name in ("reference", "display")),
            ("entity", 0, "what", "reference"),
            ("entity", 0, "what", "identifier", "value"),
            ("entity", 0, "detail", 0, "valueString"),
            ("entity", 0, "role", "coding", 0, "code"),
        },
    ),
    "fhir-stu3": (
        "audit.ehr",
        stu3_record,
        SECRETS,
        {*(("entity", 0, *path) for path in _STU3_ABOUT), ("entity", 0, "role", "code"), ("recorded",)},
    ),
    "fhir-dstu2": (
        "audit.ehr",
        dstu2_record,
        SECRETS,
        {*(("object", 0, *path) for path in _STU3_ABOUT), ("object", 0, "role", "code"), ("event", "dateTime")},
    ),
    "fhir-provenance": (
        "audit.ehr",
        provenance_record,
        SECRETS,
        {
            ("target", 1, "reference"),
            ("patient", "identifier", "value"),
            ("patient", "display"),
            *(("signature", 0, "who", name) for name in ("reference", "display")),
            ("recorded",),
        },
    ),
    "atna": (
        "audit.ehr",
        atna_record,
        SECRETS,
        {
            *((*_OBJECTS, number, "ParticipantObjectID") for number in (0, 1)),
            *((*_OBJECTS, number, "ParticipantObjectTypeCodeRole") for number in (0, 1)),
            (*_OBJECTS, 1, "ParticipantObjectName"),
            (*_OBJECTS, 1, "ParticipantObjectDetail", "value"),
            ("AuditMessage", "EventIdentification", "EventDateTime"),
        },
    ),
    "hl7v2": (
        "audit.ehr",
        hl7v2_record,
        (PATIENT, NUMBER, NAME, SHORT),
        {("PID", "3", number, "1") for number in (0, 1)}
        | {("PID", "5", "1"), ("PID", "18", "1"), ("MSH", "7", "1"), ("EVN", "2", "1"), ("MSH", "9", "1")},
    ),
}
PLACES = [
    (source, path)
    for source, (_, make, _, kept) in RECORDS.items()
    for path in sorted(set(_paths(make())) - kept, key=str)
]
