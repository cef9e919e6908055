"""Attacks on the synthetic hospital, each a labelled story of a few minutes at most. The label is never sent.

A story is what an attacker does, told in records; which detector should see it is its :attr:`Story.seen_by`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streams.demo.combined import exported_store, guessed_password, silenced_ward, sold_record
from streams.demo.hospital import Emission, Hospital
from streams.demo.story import DCM, Story, cloud, device, ehr

__all__ = ["STORIES", "Story"]


def snooping(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """Somebody breaks the glass to read about one patient, then goes through a hundred others."""
    staff = hospital.staff[len(hospital.staff) // 2]
    patient = hospital.patients[-1]
    yield ehr(
        hospital,
        "snooping",
        begin,
        staff,
        patient,
        type_code="110113",
        subtype=(DCM, "110127", "Emergency Override Started"),
        purpose="ETREAT",
    )
    for number, patient in enumerate(hospital.patients[-150:]):
        yield ehr(hospital, "snooping", begin + 2000 + number * 400, staff, patient)


def export(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """Records are exported, one after another, to somewhere they have not gone before."""
    staff = hospital.staff[-1]
    for number in range(5):
        yield ehr(
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
    yield ehr(
        hospital,
        "covered tracks",
        begin,
        staff,
        patient,
        type_code="110100",
        subtype=(DCM, "110133", "Audit Recording Stopped"),
    )
    for number in range(3):
        yield ehr(hospital, "covered tracks", begin + 4000 + number * 2000, staff, patient, interaction="delete")


def pump_takeover(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """A pump is guessed open, its service port opened, its firmware changed, its dose limit overridden."""
    pump, type_ = next((d, t) for d, t in reversed(hospital.devices) if t == "infusion-pump")
    foreign: dict[str, Any] = {"address": "10.99.0.66"}
    for number in range(6):
        yield device(
            hospital,
            "pump takeover",
            begin + number * 700,
            pump,
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
        yield device(
            hospital,
            "pump takeover",
            later + number * 4000,
            pump,
            type_,
            event=event,
            action=action,
            details=details,
            **foreign,
        )


def cloud_takeover(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """Root logs in without a second factor, makes a key, opens a bucket, shares a snapshot and stops the trail."""
    yield cloud(
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
    yield cloud(
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
    yield cloud(
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
    yield cloud(
        hospital,
        "cloud takeover",
        begin + 13000,
        user,
        "ModifyDBSnapshotAttribute",
        "rds",
        request={"attributeName": "restore", "valuesToAdd": ["999999999999"], "dBSnapshotIdentifier": "synthetic-ehr"},
    )
    yield cloud(hospital, "cloud takeover", begin + 17000, user, "StopLogging", "cloudtrail", request={"name": "main"})


STORIES: tuple[Story, ...] = (
    Story("cloud takeover", ("Root logged in to the console without a second factor",), cloud_takeover),
    Story("pump takeover", ("Infusion past the hard limit of the drug library",), pump_takeover),
    Story("snooping", ("Emergency access to a record", "rate.actor"), snooping),
    Story("export", ("Patient data disclosed or exported",), export),
    Story(
        "covered tracks",
        ("Audit recording stopped", "Audit trail stopped or changed, then records deleted"),
        covered_tracks,
    ),
    Story("sold record", ("Emergency override, then an export of the same record by the same user",), sold_record),
    Story("guessed password", ("Logins refused, then a login and an export by the same user",), guessed_password),
    Story(
        "silenced ward",
        ("Alarms, limits or protection of several devices taken away from one address",),
        silenced_ward,
    ),
    Story(
        "exported store",
        ("Console login without a second factor, then a key, then a FHIR export",),
        exported_store,
    ),
)
