"""Attacks on the synthetic hospital, each a labelled story of a few minutes at most. The label is never sent.

A story is what an attacker does, told in records; which detector should see it is its :attr:`Story.seen_by`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from streams.demo.hospital import Emission, Hospital
from streams.demo.records import audit_event, cloudtrail, device_event

__all__ = ["STORIES", "Story"]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"


@dataclass(frozen=True)
class Story:
    name: str
    #: Titles of rules, or names of detectors, that must see it.
    seen_by: tuple[str, ...]
    tell: Callable[[Hospital, int], Iterator[Emission]]

    @property
    def summary(self) -> str:
        """What happens in it, in a sentence."""
        return (self.tell.__doc__ or "").strip()


def _ehr(hospital: Hospital, story: str, time: int, staff: str, patient: str, **kwargs: Any) -> Emission:
    kwargs.setdefault("interaction", "read")
    kwargs.setdefault("address", hospital.address_of(staff))
    record = audit_event(id=hospital.event_id(), time=time, staff=staff, patient=patient, **kwargs)
    return Emission("audit.ehr", "fhir", staff.encode(), time, record, story)


def _cloud(hospital: Hospital, story: str, time: int, user: str, name: str, service: str, **kwargs: Any) -> Emission:
    kwargs.setdefault("address", "198.51.100.23")
    record = cloudtrail(id=hospital.event_id(), time=time, user=user, name=name, service=service, **kwargs)
    return Emission("audit.cloud", "cloudtrail", user.encode(), time, record, story)


def _device(hospital: Hospital, story: str, time: int, device: str, type_: str, **kwargs: Any) -> Emission:
    kwargs.setdefault("address", hospital.address_of(device))
    record = device_event(id=hospital.event_id(), time=time, device=device, type=type_, **kwargs)
    return Emission("audit.iot", "device", device.encode(), time, record, story)


def snooping(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """Somebody breaks the glass to read about one patient, then goes through a hundred others."""
    staff = hospital.staff[len(hospital.staff) // 2]
    patient = hospital.patients[-1]
    yield _ehr(
        hospital,
        "snooping",
        begin,
        staff,
        patient,
        type_code="110113",
        subtype=(_DCM, "110127", "Emergency Override Started"),
        purpose="ETREAT",
    )
    for number, patient in enumerate(hospital.patients[-150:]):
        yield _ehr(hospital, "snooping", begin + 2000 + number * 400, staff, patient)


def export(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """Records are exported, one after another, to somewhere they have not gone before."""
    staff = hospital.staff[-1]
    for number in range(5):
        yield _ehr(
            hospital,
            "export",
            begin + number * 3000,
            staff,
            hospital.patients[-2 - number],
            type_code="110106",
            subtype=("http://hl7.org/fhir/audit-event-type", "Disclosure", "HIPAA disclosure"),
            purpose="HMARKT",
            address="203.0.113.77",
        )


def covered_tracks(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """The audit trail is switched off, and records are deleted while it is."""
    staff = hospital.staff[-2]
    patient = hospital.patients[-9]
    yield _ehr(
        hospital,
        "covered tracks",
        begin,
        staff,
        patient,
        type_code="110100",
        subtype=(_DCM, "110133", "Audit Recording Stopped"),
    )
    for number in range(3):
        yield _ehr(hospital, "covered tracks", begin + 4000 + number * 2000, staff, patient, interaction="delete")


def pump_takeover(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """A pump is guessed open, its service port opened, its firmware changed, its dose limit overridden."""
    device, type_ = next((d, t) for d, t in reversed(hospital.devices) if t == "infusion-pump")
    foreign: dict[str, Any] = {"address": "10.99.0.66"}
    for number in range(6):
        yield _device(
            hospital,
            "pump takeover",
            begin + number * 700,
            device,
            type_,
            event="authentication",
            action="login",
            outcome="failure",
            details={"account": "biomed"},
            **foreign,
        )
    later = begin + 6000
    steps: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("authentication", "login", {"account": "biomed", "default_credentials": True}),
        ("configuration", "debug_port_opened", {"port": 23}),
        ("firmware", "firmware_downgrade", {"from": "4.1.2", "to": "2.0.0"}),
        ("command", "limit_override", {"limit": "hard", "drug": "synthetic opioid"}),
    )
    for number, (event, action, details) in enumerate(steps):
        yield _device(
            hospital,
            "pump takeover",
            later + number * 4000,
            device,
            type_,
            event=event,
            action=action,
            details=details,
            **foreign,
        )


def cloud_takeover(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """Root logs in without a second factor, makes a key, opens a bucket, shares a snapshot and stops the trail."""
    yield _cloud(
        hospital,
        "cloud takeover",
        begin,
        "root",
        "ConsoleLogin",
        "signin",
        root=True,
        extra={"responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "No"}},
    )
    user = hospital.admins[-1]
    yield _cloud(
        hospital,
        "cloud takeover",
        begin + 5000,
        user,
        "CreateAccessKey",
        "iam",
        request={"userName": "synthetic-backup"},
        extra={
            "responseElements": {"accessKey": {"accessKeyId": "AKIASYNTHETIC0000001", "userName": "synthetic-backup"}}
        },
    )
    yield _cloud(
        hospital,
        "cloud takeover",
        begin + 9000,
        user,
        "PutBucketPolicy",
        "s3",
        request={
            "bucketName": "synthetic-imaging",
            "bucketPolicy": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]},
        },
    )
    yield _cloud(
        hospital,
        "cloud takeover",
        begin + 13000,
        user,
        "ModifyDBSnapshotAttribute",
        "rds",
        request={"attributeName": "restore", "valuesToAdd": ["999999999999"], "dBSnapshotIdentifier": "synthetic-ehr"},
    )
    yield _cloud(hospital, "cloud takeover", begin + 17000, user, "StopLogging", "cloudtrail", request={"name": "main"})


STORIES: tuple[Story, ...] = (
    Story("cloud takeover", ("Root logged in to the console without a second factor",), cloud_takeover),
    Story("pump takeover", ("Infusion past the hard limit of the drug library",), pump_takeover),
    Story("snooping", ("Emergency access to a record", "rate.actor"), snooping),
    Story("export", ("Patient data disclosed or exported",), export),
    Story("covered tracks", ("Audit recording stopped",), covered_tracks),
)
