"""Records that are told by their bytes are those that their source reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from detectors.rules.projection import ANYTHING, OBJECT, projection
from streams.demo.records import cloudtrail
from streams.sources.base import Source
from streams.sources.catalog import SOURCES, recognise
from streams.sources.checks import SourceCheckError, check_source, mutations
from streams.sources.cloudtrail import CLOUDTRAIL, CloudTrail
from streams.sources.plain import Plain

PLAIN = [source for source in SOURCES if hasattr(source, "plain")]
RECORD: dict[str, Any] = {
    **cloudtrail(
        id="c-1", time=1_767_600_000_000, name="GetObject", service="s3", user="synthetic-admin1", address="192.0.2.1"
    ),
    "recipientAccountId": "000000000000",
    "userAgent": "synthetic",
    "errorCode": "AccessDenied",
    "requestParameters": {"bucketName": "synthetic-images"},
}


def told(source: Any, record: dict[str, Any]) -> bool:
    plainly = projection(source.plain.fields, source.plain.required, (), lambda line, rules: False)
    assert plainly is not None
    return plainly(memoryview(json.dumps(record).encode()))


def test_a_record_of_cloudtrail_is_plain() -> None:
    assert PLAIN == [CLOUDTRAIL]
    assert told(CLOUDTRAIL, RECORD)


@pytest.mark.parametrize(
    "change",
    [
        {"eventTime": "yesterday"},
        {"eventTime": None},
        {"eventTime": "2026-02-30T00:00:00Z"},
        {"eventName": ""},
        {"eventSource": 7},
        {"errorCode": 403},
        {"userIdentity": "root"},
        {"sourceIPAddress": ["192.0.2.1"]},
        {"resourceType": "AuditEvent"},
        {"message": "{}"},
        {"userIdentity.type": "Root"},
    ],
    ids=str,
)
def test_what_may_be_refused_or_another_s_is_not_plain(change: dict[str, Any]) -> None:
    assert not told(CLOUDTRAIL, {**RECORD, **change})


@pytest.mark.parametrize("source", PLAIN, ids=lambda source: source.name)
def test_no_source_before_it_takes_a_plain_record(source: Source) -> None:
    taken = [one for one in mutations(RECORD) if told(source, one)]
    assert len(taken) > 100
    for record in taken:
        assert recognise(record) is source


class Wrong(CloudTrail):
    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.plain = CLOUDTRAIL.plain._replace(**changes)  # type: ignore[misc]


FIELDS = CLOUDTRAIL.plain.fields


@pytest.mark.parametrize(
    ("plain", "fault"),
    [
        ({"fields": {**FIELDS, "errorCode": ANYTHING}}, "it takes a record that the source refuses"),
        ({"fields": {**FIELDS, "eventTime": str}}, "it takes a record that the source refuses"),
        ({"required": frozenset({"eventTime", "eventName"})}, "it takes a record that the source"),
        ({"copies": {"event.action": ("eventSource",)}}, "event.action is none of eventSource"),
        ({"fields": {"eventName": OBJECT}, "required": frozenset()}, "it takes no record of the source"),
    ],
    ids=["anything", "any text", "too little", "another field", "another shape"],
)
def test_a_source_that_declares_more_plain_than_it_reads_is_caught(plain: dict[str, Any], fault: str) -> None:
    with pytest.raises(SourceCheckError, match=f"plain: {fault}"):
        check_source(Wrong(**plain), [RECORD], [])


def test_a_source_that_keeps_fields_back_cannot_be_plain() -> None:
    class Reserved(CloudTrail):
        released = CLOUDTRAIL.released - {"user.name"}

    with pytest.raises(SourceCheckError, match="plain: a field is not released"):
        check_source(Reserved(), [RECORD], [])


def test_it_keeps_its_own_promise() -> None:
    assert isinstance(CLOUDTRAIL.plain, Plain)
    check_source(CLOUDTRAIL, [RECORD], [])
