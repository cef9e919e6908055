"""What services go by in other languages demands what ingest demands, and lies in the tree as it is generated."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

sys.path.insert(0, str(Path(__file__).parent / "sources"))
from good_records import GOOD

from streams import topics
from streams.commands.schemas import text, write
from streams.emitter import AuditEvent, CloudTrailEvent, DeviceEvent
from streams.schemas import documents, schema
from streams.sources.base import BadRecord
from streams.sources.catalog import SOURCES, by_name
from streams.sources.checks import mutations
from streams.sources.times import milliseconds

ROOT = Path(__file__).parents[2]
FORMATS = FormatChecker(["ipv4", "ipv6"])
TYPED = [
    DeviceEvent(device="pump-12", type="infusion-pump", event="alarm", action="occlusion", address="2001:db8::9"),
    AuditEvent(
        interaction="read",
        practitioner="Practitioner/synthetic-1",
        patient="Patient/synthetic-1",
        resource="Observation/1",
        observer="synthetic-ehr",
    ),
    CloudTrailEvent(content=GOOD["cloudtrail"][0]),
]


@FORMATS.checks("date-time", BadRecord)
def is_instant(value: object) -> bool:
    return not isinstance(value, str) or milliseconds(value, "", utc=value.endswith("Z")) is not None


def validator(name: str) -> Draft202012Validator:
    found = schema(name)
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found, format_checker=FORMATS)


def readable(name: str, record: dict[str, Any]) -> bool:
    try:
        by_name(name).normalise(record)
    except BadRecord:
        return False
    return True


@pytest.mark.parametrize("name", ["device", "cloudtrail"])
def test_a_schema_refuses_nothing_that_ingest_reads(name: str) -> None:
    valid = validator(name).is_valid
    refused = 0
    for record in GOOD[name][:4]:
        assert valid(record)
        for broken in mutations(record):
            right = valid(broken)
            refused += not right
            assert right or not readable(name, broken), broken
    assert refused > 100


@pytest.mark.parametrize(
    "broken",
    [
        {"resourceType": "Patient"},
        {"recorded": "2026-03-01"},
        {"agent": []},
        {"agent": [{"who": {}}]},
        {"type": {}},
        {"source": {"observer": {}}},
        {"action": "X"},
        {"outcome": "5"},
        {"outcome": None},
    ],
)
def test_an_auditevent_that_r4_does_not_allow_is_refused_by_both(broken: dict[str, Any]) -> None:
    for record in GOOD["fhir"]:
        assert validator("fhir").is_valid(record)
        assert not validator("fhir").is_valid({**record, **broken})
        assert not readable("fhir", {**record, **broken})


def test_a_device_event_is_right_by_its_schema_exactly_where_ingest_reads_it() -> None:
    valid = validator("device").is_valid
    for record in GOOD["device"]:
        for broken in mutations(record):
            assert valid(broken) == readable("device", broken), broken


@pytest.mark.parametrize("event", TYPED, ids=lambda event: event.source)
def test_what_the_emitter_s_types_make_is_right_by_its_schema(
    event: DeviceEvent | AuditEvent | CloudTrailEvent,
) -> None:
    assert not list(validator(event.source).iter_errors(event.record()))


def test_what_lies_in_the_tree_is_what_is_generated(tmp_path: Path) -> None:
    folder = ROOT / "deploy" / "schemas"
    made = {name: text(content) for name, content in documents().items()}
    told = "make it anew: ./wardwatch schemas --out deploy/schemas"
    assert {path.name: path.read_text() for path in folder.iterdir()} == made, told
    assert sorted(write(tmp_path / "new" / "folder")) == [
        str(tmp_path / "new" / "folder" / name) for name in sorted(made)
    ]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def test_the_asyncapi_document_says_which_source_goes_where() -> None:
    found = documents()["asyncapi.json"]
    assert found["asyncapi"] == "3.0.0"
    channels = {channel["address"]: channel for channel in found["channels"].values()}
    assert set(channels) == set(topics.INPUTS)
    for source in SOURCES:
        if source.name == "wardwatch":
            continue  # no service sends it
        where = [name for name, channel in channels.items() if source.name in channel["messages"]]
        assert where == [source.topic]
    for operation in found["operations"].values():
        assert operation["action"] == "receive"
    followed = list(references(found))
    for reference in followed:
        at: Any = found
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]
    assert len(followed) > 20
    assert json.loads(text(found)) == found
