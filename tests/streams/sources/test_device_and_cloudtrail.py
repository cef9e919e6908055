"""What device events and CloudTrail records become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_contract import GOOD, TIME

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
    ("changes", "reason"),
    [
        ({"schema": "wardwatch.device/2"}, "schema is not wardwatch.device/1"),
        ({"time": "2026-03-01T10:00:00"}, "time has no offset|time is no RFC 3339"),
        ({"time": "2026-13-01T10:00:00Z"}, "time is no RFC 3339"),
        ({"time": 7}, "time is no RFC 3339"),
        ({"device": []}, "device is no object"),
        ({"device": {"id": "x"}}, "device.type is missing"),
        ({"event": "party"}, "event is none of telemetry"),
        ({"outcome": "maybe"}, "outcome is none of"),
        ({"network": {"ip": "ward 7"}}, "network.ip is no IP address"),
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
        ({"type": "Root", "arn": "arn:aws:iam::1:root"}, "user:arn:aws:iam::1:root"),
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "user:ec2.amazonaws.com"),
        ({"type": "AWSAccount", "principalId": "AIDA1", "accountId": "1"}, "user:AIDA1"),
        ({"type": "Unknown"}, "user:Unknown"),
        (None, "user:s3.amazonaws.com"),
    ],
)
def test_every_identity_names_an_actor(identity: Any, actor: str) -> None:
    assert CLOUDTRAIL.normalise(trail(userIdentity=identity)).actor == actor


def test_an_assumed_role_is_named_by_its_role() -> None:
    issuer = {"sessionIssuer": {"userName": "synthetic-role"}}
    identity = {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/r/s", "sessionContext": issuer}
    draft = CLOUDTRAIL.normalise(trail(userIdentity=identity))
    assert draft.fields["user.name"] == "synthetic-role"
    assert draft.fields["user.id"] == "arn:aws:sts::1:assumed-role/r/s"


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


def test_real_cloudtrail_normalises(outside_data: Path) -> None:
    count = 0
    for file in sorted((outside_data / "cloudtrail").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            record = json.loads(line)["event"]
            source = recognise(record)
            draft = source.normalise(record)
            assert source.name == "cloudtrail"
            assert draft.fields["event.action"] == record["eventName"]
            assert (draft.fields["event.outcome"] == "failure") == bool(record.get("errorCode"))
            count += 1
    assert count > 1000


def test_other_kinds_of_log_are_refused_by_shape(outside_data: Path) -> None:
    lines = (outside_data / "source_detection" / "raw_event_kind.jsonl").read_text().splitlines()
    for line in map(json.loads, lines):
        if line["source"] == "aws_cloudtrail":
            assert recognise(line["event"]).name == "cloudtrail"
        else:
            with pytest.raises(BadRecord, match="shape of no source"):
                recognise(line["event"])
