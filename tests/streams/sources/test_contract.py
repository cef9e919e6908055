"""Every source keeps the contract, and a source built to break a rule is caught breaking it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from time import time as aliased_clock
from typing import Any

import pytest
from atna_records import message, participant, patient, query, rfc3881
from atna_records import record as audit_message
from broker_records import EMQX_EVENTS, MOSQUITTO_LINES
from cloud_records import CLOUDS
from fhir_other_records import DSTU2, PROVENANCE, R5, STU3
from hl7v2_records import DEMOGRAPHICS, OLD_QUERY, SMALL
from hl7v2_records import record as hl7_message
from test_azure_iot import SAID as AZURE_IOT_RECORDS

from streams.demo.records import audit_event, cloudtrail, device_event
from streams.emitter import TOPICS, _recognise
from streams.sources.base import BadRecord, Draft, LogSource, Source
from streams.sources.catalog import SOURCES, by_name, recognise
from streams.sources.checks import SourceCheckError, check_source

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


def others(name: str) -> list[dict[str, Any]]:
    return [record for other, records in GOOD.items() if other != name for record in records]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_source_keeps_the_contract(source: Source) -> None:
    check_source(source, GOOD[source.name], others(source.name))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_field_is_one_of_ecs(source: Source, outside_data: Path) -> None:
    with (outside_data / "ecs" / "ecs_fields.csv").open() as file:
        names = frozenset(row["Field"] for row in csv.DictReader(file))
    check_source(source, GOOD[source.name][:2], [], names)


def test_the_emitter_knows_each_by_its_shape_and_sends_it_where_it_is_read() -> None:
    read = {source.name: source.topic for source in SOURCES}
    ehr = {name: topic for name, topic in read.items() if topic == "audit.ehr"}
    assert ehr.items() <= TOPICS.items() <= read.items()
    for name in ehr:
        assert {_recognise(record) for record in GOOD[name] if "message" not in record} == {name}


class Fine:
    name = "fine"
    topic = "audit.fine"
    logsource = LogSource(product="fine")
    lateness = 0
    released = frozenset({"event.action"})
    subject = "actor"

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return "fine" in record

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if not isinstance(record.get("fine"), str):
            raise BadRecord("fine is no text")
        return Draft("1", 1, "user:a", self.fields())

    def fields(self) -> dict[str, Any]:
        return {
            "event.action": "x",
            "event.kind": "event",
            "event.category": ["host"],
            "event.type": ["info"],
            "event.outcome": "success",
        }


class Blind(Fine):
    def recognises(self, record: Mapping[str, Any]) -> bool:
        return False


class Greedy(Fine):
    def recognises(self, record: Mapping[str, Any]) -> bool:
        return True


class Refuses(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        raise BadRecord("no")


class Changes(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        record["seen"] = True  # type: ignore[index]
        return super().normalise(record)


class Counts(Fine):
    count = 0

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        Counts.count += 1
        draft = super().normalise(record)
        draft.time = Counts.count
        return draft


class Undated(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        draft = super().normalise(record)
        draft.time = 1.5  # type: ignore[assignment]
        return draft


class Nameless(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        draft = super().normalise(record)
        draft.actor = "user:"
        return draft


class Bare(Fine):
    def fields(self) -> dict[str, Any]:
        return {"event.action": "x"}


class Inventive(Fine):
    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "event.category": ["snooping"]}


class Unlisted(Fine):
    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "event.colour": "red"}


class Crashes(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        record["fine"].upper()
        return super().normalise(record)


class Quotes(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if record.get("name") == "Synthetic Patient" and len(str(record.get("fine"))) > 100:
            raise BadRecord(f"too long, {record['name']}")
        return super().normalise(record)


class Looks(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        aliased_clock()
        return super().normalise(record)


class Fragile(Fine):
    def recognises(self, record: Mapping[str, Any]) -> bool:
        return "fine" in record and record.get("schema", "") + "" == ""


class Vague(Fine):
    def recognises(self, record: Mapping[str, Any]) -> bool:
        return record.get("fine")  # type: ignore[return-value]


class Untimely(Fine):
    lateness = -1


class Elsewhere(Fine):
    topic = "events"


class Undecided(Fine):
    subject = "patient"


class QuotesPart(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if len(str(record.get("fine"))) > 100:
            raise BadRecord(f"too long, {str(record.get('name'))[:7]} ...")
        return super().normalise(record)


class Silent(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if record.get("fine") != "yes":
            raise BadRecord(" ")
        return super().normalise(record)


class Unexpected(Fine):
    def fields(self) -> dict[str, Any]:
        return {**super().fields(), "event.type": ["allowed"]}


class Careless(Fine):
    """Names a patient and lists nothing that gives the patient away."""

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        draft = super().normalise(record)
        draft.patients.append("Patient/synthetic-1")
        return draft


class Forgetful(Fine):
    def normalise(self, record: Mapping[str, Any]) -> Draft:
        draft = super().normalise(record)
        draft.actor = "patient:Patient/synthetic-1"
        return draft


def test_a_source_that_keeps_every_rule_passes() -> None:
    check_source(Fine(), [{"fine": "yes"}], [{"other": 1}], frozenset(Fine().fields()))


@pytest.mark.parametrize(
    ("source", "check"),
    [
        (Blind(), "recognises"),
        (Greedy(), "recognises"),
        (Refuses(), "reads"),
        (Changes(), "leaves the record alone"),
        (Counts(), "deterministic"),
        (Undated(), "time"),
        (Nameless(), "actor"),
        (Bare(), "fields"),
        (Inventive(), "ECS"),
        (Unlisted(), "ECS"),
        (Crashes(), "raises BadRecord"),
        (Quotes(), "quotes nothing"),
        (QuotesPart(), "quotes nothing"),
        (Silent(), "says why"),
        (Looks(), "pure"),
        (Fragile(), "recognises"),
        (Vague(), "recognises"),
        (Untimely(), "describes itself"),
        (Elsewhere(), "describes itself"),
        (Undecided(), "describes itself"),
        (Unexpected(), "ECS"),
        (Careless(), "identifiers"),
        (Forgetful(), "identifiers"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_a_source_that_breaks_a_rule_is_caught(source: Source, check: str) -> None:
    record = {"fine": "yes", "name": "Synthetic Patient"}
    with pytest.raises(SourceCheckError, match=f"^{check}: "):
        check_source(source, [record], [{"other": 1}], frozenset(Fine().fields()))


def test_the_catalog_knows_each_by_shape_and_by_name() -> None:
    for name, records in GOOD.items():
        assert by_name(name).name == name
        for record in records:
            assert recognise(record).name == name
            assert recognise(record, by_name(name).topic).name == name
    with pytest.raises(BadRecord, match=r"shape of no source known here: fhir, .*hl7v2"):
        recognise(GOOD["device"][0], "audit.ehr")
    with pytest.raises(ValueError, match="did you mean cloudtrail"):
        by_name("cloudtrial")
