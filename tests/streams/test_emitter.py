"""The emitter on a real broker: delivered, reported, bounded, and alone."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError

from streams.embedded.kafka import EmbeddedKafka
from streams.emitter import (
    TOPICS,
    AuditEvent,
    BufferFull,
    CloudTrailEvent,
    DeliveryError,
    DeviceEvent,
    Emitter,
    Failure,
)


@pytest.fixture
def topics(kafka: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    present = set(admin.list_topics())
    for name in set(TOPICS.values()) - present:
        with suppress(TopicAlreadyExistsError):
            admin.create_topics([NewTopic(name, 2, 1)])
    admin.close()
    return kafka


def sent(kafka: str, topic: str, event_id: str) -> list[Any]:
    """The records of a topic that carry this event id."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    try:
        tps = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))]
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        ends = consumer.end_offsets(tps)
        found: list[Any] = []
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for records in consumer.poll(timeout_ms=500).values():
                found += [r for r in records if dict(r.headers).get("event-id") == event_id.encode()]
        return found
    finally:
        consumer.close()


DEVICE = DeviceEvent(device="pump-12", type="infusion-pump", event="alarm", action="occlusion", address="192.0.2.9")
AUDIT = AuditEvent(
    interaction="read",
    practitioner="Practitioner/synthetic-1",
    patient="Patient/synthetic-1",
    resource="Observation/1",
    observer="synthetic-ehr",
)
TRAIL = CloudTrailEvent(content={"eventID": "e-1", "eventSource": "s3.amazonaws.com", "eventName": "GetObject"})


@pytest.mark.parametrize("event", [DEVICE, AUDIT, TRAIL], ids=["device", "audit", "cloudtrail"])
def test_typed_events_arrive_whole_under_their_id(topics: str, event: Any) -> None:
    with Emitter(topics, producer="tests") as emitter:
        event_id = emitter.emit(event)
    (record,) = sent(topics, TOPICS[event.source], event_id)
    assert json.loads(record.value) == event.record()
    assert dict(record.headers)["producer"] == b"tests"
    assert dict(record.headers)["source"] == event.source.encode()


@pytest.mark.parametrize("event", [DEVICE, AUDIT, TRAIL], ids=["device", "audit", "cloudtrail"])
def test_plain_dicts_are_recognised(topics: str, event: Any, unique: str) -> None:
    with Emitter(topics, producer="tests") as emitter:
        event_id = emitter.emit(event.record(), event_id=unique)
    assert event_id == unique
    assert len(sent(topics, TOPICS[event.source], unique)) == 1


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"hello": "world"}, "no known shape of event"),
        ({"resourceType": "AuditEvent", "x": {1, 2}}, "not JSON"),
        ({"resourceType": "AuditEvent", "x": float("nan")}, "not JSON"),
    ],
)
def test_what_is_no_event_is_refused_at_once(topics: str, event: dict[str, Any], reason: str) -> None:
    with Emitter(topics, producer="tests") as emitter, pytest.raises(ValueError, match=reason):
        emitter.emit(event)


def test_an_unknown_source_names_the_known(topics: str) -> None:
    with (
        Emitter(topics, producer="tests") as emitter,
        pytest.raises(ValueError, match="none of fhir, device, cloudtrail"),
    ):
        emitter.emit({}, source="fax")


def test_an_interaction_without_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="interaction is one of create"):
        AuditEvent(interaction="look", practitioner="p", patient="p", resource="r", observer="o").record()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path / "kafka", port=0)
    broker.start()
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(name, 1, 1) for name in TOPICS.values()])
    admin.close()
    yield broker
    broker.stop()


@pytest.mark.kafka
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kafka-python leaves sockets open
def test_a_broker_that_goes_away_is_never_silent(own_kafka: EmbeddedKafka) -> None:
    told: list[Failure] = []
    emitter = Emitter(
        own_kafka.bootstrap,
        producer="tests",
        buffer=2000,
        max_block=1,
        delivery_timeout=3,
        request_timeout_ms=1000,
        on_error=told.append,
    )
    emitter.emit(DEVICE)
    emitter.flush()
    own_kafka.kill()
    accepted = []
    with pytest.raises(BufferFull):  # noqa: PT012  # which of them it is depends on the buffer
        for _ in range(100):
            accepted.append(emitter.emit(DEVICE.record(), event_id=f"e{len(accepted)}"))
    assert accepted, "the buffer took some"
    with pytest.raises(DeliveryError, match=f"{len(accepted)} events were not delivered"):
        emitter.flush()
    assert [failure.event_id for failure in told] == accepted
    assert told[0].record == DEVICE.record()
    emitter.close(timeout=1)
    del emitter
    gc.collect()


def test_it_imports_nothing_but_its_client() -> None:
    """The base install is the emitter: it must not pull in what only the server extra brings."""
    code = """
import sys
import streams.emitter
heavy = {"faust", "aiokafka", "river", "numpy", "orjson", "pydantic", "elasticsearch", "nacl", "detectors"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
