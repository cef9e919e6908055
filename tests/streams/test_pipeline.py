"""The steps as plain calls: one event counts once for every entity it is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from nacl.public import PrivateKey
from synthetic_alerts import alert

from detectors.registry import registered
from detectors.rules import Links, starter_rules
from streams import topics
from streams.agents import VIEW_KINDS
from streams.alerting import Alerting, alert_of
from streams.blocks import Block
from streams.codecs import decode_finding, encode_finding
from streams.deadletters import DeadLetters, open_letter
from streams.demo.records import audit_event, cloudtrail, device_event
from streams.lineage import NO_POSITION, Lineage, Position
from streams.notify import alert_body
from streams.pipeline import Behave, Ingest, Reader
from streams.privacy import Pseudonyms
from streams.records import Output, RawRecord, Record
from streams.state import PartitionState

NOW = 1_790_000_000_000


PRIVATE = PrivateKey.generate()


def ingest_all() -> Ingest:
    return Ingest(
        Reader(starter_rules(), Pseudonyms(bytes(32), "k1")), DeadLetters(bytes(PRIVATE.public_key)), views=VIEW_KINDS
    )


def views(offset: int) -> list[Output]:
    """What one and the same device event becomes in ``views`` when it lies at ``offset``."""
    ingest = ingest_all()
    record = device_event(
        id="synthetic-1",
        time=NOW,
        device="infusion-pump-0001",
        type="infusion-pump",
        event="telemetry",
        action="measurement",
        address="192.0.2.7",
        patient="synthetic-000001",
    )
    raw = RawRecord("audit.iot", 0, offset, NOW, json.dumps(record).encode(), {"source": b"device"})
    return [output for output in ingest.derive(raw).outputs if output.topic == topics.VIEWS]


def test_an_event_counts_for_each_of_its_entities_where_they_share_a_partition() -> None:
    state = PartitionState(Behave(registered(), kinds=VIEW_KINDS))
    log = []
    for place, (source, out) in enumerate((number, view) for number in (0, 1) for view in views(number)):
        position = Position(source, place)
        lineage = Lineage(bytes(16), 0, position, NO_POSITION, 0)
        log.append(Block(place, lineage, (position,), (Record(place, out.key, out.value, out.event, out.time),)))
    kinds = {"device", "address", "patient"}
    assert {block.records[0].key.partition(b":")[0].decode() for block in log[:3]} == kinds
    state.fold(log[:3], {})
    assert {key.partition(b":")[0].decode() for key, _ in state.values.items()} == kinds
    assert state.counts["repeated"] == 0
    state.fold(log[3:], {})
    assert state.counts["repeated"] == 3, "the same event sent again counts for none of them"


def about(patients: int, **changes: Any) -> Sequence[Output]:
    """What a FHIR AuditEvent about so many synthetic patients becomes. ``changes`` go to the agents' ``who``."""
    record = audit_event(
        id="synthetic-many",
        time=NOW,
        interaction="read",
        staff="synthetic-p1",
        address="192.0.2.4",
        patient="synthetic-000000",
        purpose="TREAT",
    )
    entity = next(e for e in record["entity"] if "synthetic-000000" in json.dumps(e))
    for number in range(1, patients):
        record["entity"].append(json.loads(json.dumps(entity).replace("synthetic-000000", f"synthetic-{number:06}")))
    for agent in record["agent"]:
        agent["who"] |= changes
    raw = RawRecord("audit.ehr", 0, 0, NOW, json.dumps(record).encode(), {"source": b"fhir"})
    return ingest_all().derive(raw).outputs


def test_an_event_about_thousands_of_patients_grows_with_their_number_not_its_square() -> None:
    """A bulk export may name as many as fit one record: copies of all of them for each would be gigabytes."""
    outputs = about(3000)
    seen = [output for output in outputs if output.topic == topics.VIEWS and output.key.startswith(b"patient:")]
    assert len({output.key for output in seen}) == 3000
    assert max(len(output.value) for output in seen) < 2000
    for output in seen[:: len(seen) - 1]:
        said = json.loads(output.value)
        assert said["patients"] == said["fields"]["wardwatch.patient"] == [output.key.decode()]
    (event,) = [json.loads(output.value) for output in outputs if output.topic == topics.EVENTS]
    assert len(event["patients"]) == 3000


def test_an_alert_is_queued_once_for_each_receiver_that_wants_it() -> None:
    finding = alert("a").findings[0]
    state = PartitionState(Alerting(lambda one: ["chat", "pager"] if one.severity == "high" else []))
    outputs = [
        [
            (output.topic, output.key)
            for output in state._step.fold(Record(n, found.entity.encode(), encode_finding(found), n + 1), True, state)
        ]
        for n, found in enumerate([finding, replace(finding, severity="low")])
    ]
    entity = finding.entity.encode()
    assert outputs == [
        [(topics.ALERTS, entity), (topics.NOTIFICATIONS, b"chat"), (topics.NOTIFICATIONS, b"pager")],
        [(topics.ALERTS, entity)],
    ]


@pytest.mark.parametrize(
    ("patients", "bytes_of_name", "reason"),
    [
        (1, 600_000, "an event of 1"),
        (200, 200_000, "too much to be taken"),
    ],
)
def test_what_would_not_fit_downstream_is_a_dead_letter(patients: int, bytes_of_name: int, reason: str) -> None:
    (output,) = about(patients, reference="Practitioner/" + "x" * bytes_of_name)
    letter = open_letter(output.value, bytes(PRIVATE))
    assert reason in letter.reason


def test_a_finding_says_where_its_rule_is_read() -> None:
    links = Links("https://git.hospital.example/rules/{path}?id={id}")
    ingest = Ingest(Reader(starter_rules(), Pseudonyms(bytes(32), "k1"), links), DeadLetters(bytes(PRIVATE.public_key)))
    record = cloudtrail(
        id="c-1", time=NOW, name="StopLogging", service="cloudtrail", user="synthetic-admin", address="192.0.2.1"
    )
    outputs = ingest.derive(RawRecord("audit.cloud", 0, 0, NOW, json.dumps(record).encode(), {})).outputs
    (finding,) = [decode_finding(output.value) for output in outputs if output.topic == topics.FINDINGS]
    assert finding.rule["path"] == "packs/cloud/trail_stopped.yml"
    assert finding.rule["reference"] == (
        f"https://git.hospital.example/rules/packs/cloud/trail_stopped.yml?id={finding.rule['id']}"
    )
    webhook = json.loads(alert_body(alert_of(finding)))
    assert webhook["data"]["findings"][0]["rule"]["reference"] == finding.rule["reference"]
    assert webhook["data"]["findings"][0]["evidence"]["event.action"] == "StopLogging"
