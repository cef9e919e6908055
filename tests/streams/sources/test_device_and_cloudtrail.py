"""What device events and CloudTrail records become."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from good_records import GOOD, TIME
from outside_cloudtrail import ACTORS, FAILED, KINDS, REFUSED, SESSIONS, lines

from streams.sources.base import BadRecord
from streams.sources.catalog import recognise
from streams.sources.cloudtrail import CLOUDTRAIL
from streams.sources.device import DEVICE


def device(**changes: Any) -> dict[str, Any]:
    return {**GOOD["device"][0], **changes}


def trail(**changes: Any) -> dict[str, Any]:
    return {**GOOD["cloudtrail"][0], **changes}


def test_a_device_event_becomes_ecs() -> None:
    draft = DEVICE.normalise(device(event="authentication", action="login", outcome="failure"))
    assert (draft.id, draft.time) == ("d-1", TIME)
    assert (draft.actor, draft.device, draft.address) == (
        "user:Practitioner/synthetic-p1",
        "device:pump-0001",
        "address:192.0.2.9",
    )
    assert draft.fields["event.category"] == ["authentication"]
    assert draft.fields["event.outcome"] == "failure"
    assert draft.fields["device.id"] == "pump-0001"
    assert draft.patients == ["Patient/synthetic-0001"]
    assert "synthetic-0001" in draft.identifiers


def test_without_an_operator_the_device_acts() -> None:
    record = device()
    del record["operator"]
    assert DEVICE.normalise(record).actor == "device:pump-0001"


@pytest.mark.parametrize(
    ("time", "want"),
    [
        ("2023-11-14T22:13:20.123456789Z", TIME + 123),
        ("2023-11-14t22:13:20z", TIME),
        ("2023-11-14T23:13:20+01:00", TIME),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999),
    ],
)
def test_times_of_devices(time: str, want: int) -> None:
    assert DEVICE.normalise(device(time=time)).time == want


@pytest.mark.parametrize(
    ("patient", "identifiers"),
    [
        ("https://ehr.example/fhir/Patient/synthetic-1/_history/2", {"Patient/synthetic-1", "synthetic-1"}),
        ("urn:oid:1.2|MRN-1", {"MRN-1"}),
        ("MRN-1", {"MRN-1"}),
    ],
)
def test_every_spelling_of_a_patient_is_listed(patient: str, identifiers: set[str]) -> None:
    draft = DEVICE.normalise(device(patient=patient))
    assert draft.identifiers == identifiers | {patient}


def test_a_patient_who_operates_a_device_is_a_patient() -> None:
    record = device(operator="Patient/synthetic-0002")
    draft = DEVICE.normalise(record)
    assert draft.actor == "patient:Patient/synthetic-0002"
    assert draft.fields["wardwatch.patient"] == ["Patient/synthetic-0002", "Patient/synthetic-0001"]
    assert {"synthetic-0001", "synthetic-0002"} <= draft.identifiers
    del record["patient"]
    assert DEVICE.normalise(record).patients == ["Patient/synthetic-0002"]


@pytest.mark.parametrize("mac", ["00:00:5e:00:53:01", "00-00-5E-00-53-01", "00005e005301", "0000.5e00.5301"])
def test_a_mac_has_one_spelling(mac: str) -> None:
    assert DEVICE.normalise(device(network={"mac": mac})).fields["source.mac"] == "00-00-5E-00-53-01"


def test_an_address_of_a_device_has_one_spelling() -> None:
    assert DEVICE.normalise(device(network={"ip": "2001:0DB8::0:7"})).address == "address:2001:db8::7"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": "wardwatch.device/2"}, "schema is not wardwatch.device/1"),
        ({"time": "2026-03-01T10:00:00"}, "time has no offset|time is no RFC 3339"),
        ({"time": "2026-13-01T10:00:00Z"}, "time is no RFC 3339"),
        ({"time": 7}, "time is no RFC 3339"),
        ({"time": None}, "time is missing"),
        ({"time": "2026-02-30t10:00:00z"}, "time is no RFC 3339"),
        ({"time": "2026-03-01T10:00:61Z"}, "time is no RFC 3339"),
        ({"device": []}, "device is no object"),
        ({"device": {"id": "x"}}, "device.type is missing"),
        ({"event": "party"}, "event is none of telemetry"),
        ({"outcome": "maybe"}, "outcome is none of"),
        ({"network": {"ip": "ward 7"}}, "network.ip is no IP address"),
        ({"network": {"mac": "c3ludGhldGlj"}}, "network.mac is no MAC address"),
        ({"network": {"port": True}}, "network.port is no port number"),
        ({"details": []}, "details is no object"),
    ],
)
def test_a_wrong_device_event_says_what_is_wrong(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        DEVICE.normalise(device(**changes))


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"type": "Root", "arn": "arn:aws:iam::1:root"}, "arn:aws:iam::1:root"),
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/x", "userName": "x"}, "arn:aws:iam::1:user/x"),
        # A sign-in that failed has no ARN, and is still the same person's.
        ({"type": "IAMUser", "principalId": "AIDA1", "accountId": "1", "userName": "x"}, "arn:aws:iam::1:user/x"),
        ({"type": "IAMUser", "accountId": "1", "accessKeyId": ""}, "1"),
        ({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/x"}, "arn:aws:sts::1:federated-user/x"),
        ({"type": "SAMLUser", "principalId": "k:idp:x", "userName": "x"}, "k:idp:x"),
        ({"type": "WebIdentityUser", "principalId": "idp:app:7", "userName": "7"}, "idp:app:7"),
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AIDA1", "accountId": "1"}, "AIDA1"),
        ({"type": "AWSAccount", "principalId": "AROA1:alice", "accountId": "1"}, "AROA1:alice"),
        ({"type": "AWSAccount", "principalId": "AROA1:i-0dbc91f429e48eeed", "accountId": "1"}, "AROA1"),
        ({"type": "Unknown"}, "Unknown"),
        ({"type": "Unknown", "principalId": "", "userName": "x"}, "x"),
        ({"type": 7, "arn": ["x"]}, "s3.amazonaws.com"),
        (
            {
                "type": "IdentityCenterUser",
                "accountId": "1",
                "onBehalfOf": {"userId": "544894e8", "identityStoreArn": "arn:aws:identitystore::1:identitystore/d-9"},
            },
            "arn:aws:identitystore::1:identitystore/d-9/user/544894e8",
        ),
        (None, "s3.amazonaws.com"),
    ],
)
def test_every_identity_names_an_actor(identity: Any, actor: str) -> None:
    assert CLOUDTRAIL.normalise(trail(userIdentity=identity)).actor == f"user:{actor}"


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_a_user_without_arn_has_the_one_of_the_partition(region: str, partition: str) -> None:
    identity = {"type": "IAMUser", "accountId": "1", "userName": "x"}
    draft = CLOUDTRAIL.normalise(trail(userIdentity=identity, awsRegion=region))
    assert draft.actor == f"user:arn:{partition}:iam::1:user/x"


@pytest.mark.parametrize(
    ("session", "kept"),
    [
        ("alice@hospital.example", True),
        ("alice", True),
        ("1234567893", True),  # ten digits alone may be somebody's NPI
        ("ConfigResourceCompositionSession", True),
        ("deadbeef", True),
        ("aws-go-sdk-1688990082523310002", False),
        ("botocore-session-1688990082", False),
        ("i-0dbc91f429e48eeed", False),
        ("MandoService2842426183934887787", False),
        ("0b9a6a1c-0000-4000-8000-000000000001", False),
        ("lambda-3f786850e387550fdab836ed7e6dc881", False),
        ("AWSCLI-Session", False),
    ],
)
def test_a_session_is_one_actor_for_as_long_as_its_name_means_somebody(session: str, kept: bool) -> None:
    role = "arn:aws:sts::1:assumed-role/synthetic-role"
    identity = {"type": "AssumedRole", "arn": f"{role}/{session}", "principalId": f"AROA1:{session}"}
    draft = CLOUDTRAIL.normalise(trail(userIdentity=identity))
    assert draft.actor == (f"user:{role}/{session}" if kept else f"user:{role}")
    assert draft.fields["user.id"] == f"{role}/{session}"


def test_a_person_is_the_same_through_every_role() -> None:
    """``sourceIdentity`` outlives role chaining; nothing else does."""
    drafts = [
        CLOUDTRAIL.normalise(
            trail(
                userIdentity={
                    "type": "AssumedRole",
                    "arn": f"arn:aws:sts::1:assumed-role/{role}/{session}",
                    "sessionContext": {"sourceIdentity": "alice", "sessionIssuer": {"userName": role}},
                }
            )
        )
        for role, session in (("a", "x"), ("b", "aws-go-sdk-1688990082523310002"))
    ]
    assert {draft.actor for draft in drafts} == {"user:alice"}
    assert [draft.fields["user.name"] for draft in drafts] == ["a", "b"]


def test_an_assumed_role_is_named_by_its_role() -> None:
    issuer = {"sessionIssuer": {"userName": "synthetic-role"}}
    identity = {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/r/s", "sessionContext": issuer}
    draft = CLOUDTRAIL.normalise(trail(userIdentity=identity))
    assert draft.fields["user.name"] == "synthetic-role"
    assert draft.fields["user.id"] == "arn:aws:sts::1:assumed-role/r/s"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "success"),
        ({"errorCode": ""}, "success"),
        ({"errorCode": "AccessDenied"}, "failure"),
        ({"errorMessage": "No"}, "failure"),
        ({"eventSource": "signin.amazonaws.com", "responseElements": {"ConsoleLogin": "Success"}}, "success"),
        ({"eventSource": "signin.amazonaws.com", "responseElements": {"SwitchRole": "Failure"}}, "failure"),
        (
            {
                "eventSource": "signin.amazonaws.com",
                "eventType": "AwsServiceEvent",
                "serviceEventDetails": {"CredentialVerification": "Failure"},
            },
            "failure",
        ),
        ({"responseElements": {"tagSet": "Failure"}}, "success"),
        ({"eventType": "AwsCloudTrailInsight", "userIdentity": None, "insightDetails": {"state": "Start"}}, "unknown"),
        ({"eventType": "AwsVpceEvent", "errorCode": "VpceAccessDenied"}, "failure"),
        ({"eventType": "AwsServiceEvent", "eventVersion": "1.11"}, "success"),
    ],
)
def test_the_outcome_of_every_kind_of_event(changes: dict[str, Any], outcome: str) -> None:
    assert CLOUDTRAIL.normalise(trail(**changes)).fields["event.outcome"] == outcome


@pytest.mark.parametrize(
    ("service", "name", "read_only", "category", "type_"),
    [
        ("ec2", "RunInstances", False, "host", "start"),
        ("ec2", "TerminateInstances", False, "host", "end"),
        ("ec2", "CreateVpc", False, "configuration", "creation"),
        ("rds", "CreateDBInstance", False, "database", "change"),
        ("lambda", "DeleteFunction20150331", False, "process", "change"),
        ("kms", "Decrypt", True, "configuration", "access"),
        ("kms", "Decrypt", None, "configuration", "change"),
        ("ecr", "BatchDeleteImage", False, "configuration", "deletion"),
        ("secretsmanager", "BatchGetSecretValue", True, "configuration", "access"),
        ("iam", "ListUsers", True, "iam", "info"),
        ("sts", "AssumeRoleWithSAML", True, "authentication", "start"),
        ("s3", "DeleteObject", False, "file", "deletion"),
    ],
)
def test_what_a_call_is_in_ecs(service: str, name: str, read_only: Any, category: str, type_: str) -> None:
    record = trail(eventSource=f"{service}.amazonaws.com", eventName=name, readOnly=read_only)
    fields = CLOUDTRAIL.normalise(record).fields
    assert (fields["event.category"], fields["event.type"]) == ([category], [type_])


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("2001:0DB8::0:7", "address:2001:db8::7"),
        ("EC2.amazonaws.com", "address:ec2.amazonaws.com"),
        ("AWS Internal", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_has_one_spelling(given: Any, address: str) -> None:
    assert CLOUDTRAIL.normalise(trail(sourceIPAddress=given)).address == address


@pytest.mark.parametrize(
    "time",
    ["2023-11-14T22:13:20Z", "2023-11-14 22:13:20", "2023-11-14 22:13:20.000000000", "2023-11-14t22:13:20z"],
)
def test_times_are_utc_as_cloudtrail_says(time: str) -> None:
    assert CLOUDTRAIL.normalise(trail(eventTime=time)).time == TIME


def test_outcome_comes_from_the_error_or_the_console_s_answer() -> None:
    assert CLOUDTRAIL.normalise(trail()).fields["event.outcome"] == "success"
    assert CLOUDTRAIL.normalise(trail(errorCode="AccessDenied")).fields["event.outcome"] == "failure"
    assert CLOUDTRAIL.normalise(GOOD["cloudtrail"][1]).fields["event.outcome"] == "failure"


def test_an_address_that_is_a_name_is_a_domain() -> None:
    draft = CLOUDTRAIL.normalise(trail(sourceIPAddress="ec2.amazonaws.com"))
    assert draft.fields["source.domain"] == "ec2.amazonaws.com"
    assert "source.ip" not in draft.fields


def test_request_parameters_stay_inside_but_for_the_bucket() -> None:
    request = {"bucketName": "synthetic-bucket", "key": "patients/synthetic-0001.pdf"}
    draft = CLOUDTRAIL.normalise(trail(requestParameters=request))
    assert draft.fields["wardwatch.bucket"] == "synthetic-bucket"
    assert "synthetic-0001" not in json.dumps(draft.fields)


def test_every_real_event_of_an_hour_has_its_actor_and_outcome(outside_data: Path) -> None:
    actors = Counter[str]()
    for file in sorted((outside_data / "cloudtrail").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            record = json.loads(line)["event"]
            source = recognise(record)
            draft = source.normalise(record)
            assert source.name == "cloudtrail"
            assert draft.id == record["eventID"]
            assert draft.fields["event.action"] == record["eventName"]
            assert (draft.fields["event.outcome"] == "failure") == ("errorCode" in record)
            assert draft.time == datetime.fromisoformat(record["eventTime"]).timestamp() * 1000
            address = record["sourceIPAddress"]
            assert draft.address == ("" if address == "AWS Internal" else f"address:{address}".lower())
            actors[draft.actor[5:]] += file.name.startswith("invictus")
    assert +actors == SESSIONS


def test_public_rules_unit_tests_are_what_the_table_says(outside_data: Path) -> None:
    actors = {line: actor for actor, spans in ACTORS.items() for line in lines(spans)}
    kinds = {line: kind for kind, spans in KINDS.items() for line in lines(spans)}
    refused = {line: reason for reason, spans in REFUSED.items() for line in lines(spans)}
    assert actors.keys() == kinds.keys()
    assert not actors.keys() & refused.keys()
    tried = 0
    for number, line in enumerate((outside_data / "panther" / "rule_unit_tests.jsonl").read_text().splitlines(), 1):
        case = json.loads(line)
        if case["log_type"] != "AWS.CloudTrail" and number not in refused:
            continue  # of another cloud: test_clouds.py
        tried += 1
        if number in refused:
            with pytest.raises(BadRecord) as said:
                recognise(case["event"]).normalise(case["event"])
            assert str(said.value).startswith(refused[number])
            continue
        draft = recognise(case["event"]).normalise(case["event"])
        assert draft.actor == f"user:{actors[number]}", number
        assert f"{draft.fields['event.category'][0]} {draft.fields['event.type'][0]}" == kinds[number], number
        assert (draft.fields["event.outcome"] == "failure") == (number in lines(FAILED)), number
    assert tried == len(actors) + len(refused)
