"""The emitter on a real broker: delivered, reported, bounded, and alone."""

from __future__ import annotations

import gc
import itertools
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError
from packaging.requirements import Requirement
from topic_reading import read_topic

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

ROOT = Path(__file__).parents[2]


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
    records = itertools.chain.from_iterable(read_topic(kafka, topic).values())
    return [record for record in records if dict(record.headers).get("event-id") == event_id.encode()]


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
        pytest.raises(ValueError, match=r"none of fhir, fhir-r5, .*, cloudtrail, .*vpc-flow$"),
    ):
        emitter.emit({}, source="fax")


def test_bytes_are_sent_as_they_are_and_always_named(topics: str) -> None:
    xml = b"<AuditMessage>\xc3\xbc</AuditMessage>"
    with Emitter(topics, producer="tests") as emitter:
        event_id = emitter.emit(xml, source="atna")
        with pytest.raises(ValueError, match="source '' is none of"):
            emitter.emit(xml)
    (record,) = sent(topics, "audit.ehr", event_id)
    assert (record.value, dict(record.headers)["source"]) == (xml, b"atna")


def test_an_interaction_without_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="interaction is one of create"):
        AuditEvent(interaction="look", practitioner="p", patient="p", resource="r", observer="o").record()


@pytest.fixture(scope="module")
def mortal_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), port=0)
    broker.start()
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic(name, 1, 1) for name in set(TOPICS.values())])
    admin.close()
    yield broker
    broker.stop()


@pytest.fixture
def own_kafka(mortal_kafka: EmbeddedKafka) -> EmbeddedKafka:
    """Runs, whatever the test before did to it."""
    if not mortal_kafka.running():
        mortal_kafka.start()
    return mortal_kafka


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
    with pytest.raises(TimeoutError, match=r"\d+ bytes of events wait for the broker still"):
        emitter.flush(timeout=0.1)
    with pytest.raises(DeliveryError, match=f"{len(accepted)} events were not delivered"):
        emitter.flush()
    assert [failure.event_id for failure in told] == accepted
    assert told[0].record == DEVICE.record()
    emitter.close(timeout=1)
    del emitter
    gc.collect()


@pytest.mark.kafka
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_when_the_broker_is_back_it_goes_on(own_kafka: EmbeddedKafka) -> None:
    with Emitter(
        own_kafka.bootstrap,
        producer="tests",
        max_block=10,
        delivery_timeout=6,
        request_timeout_ms=1000,
        reconnect_backoff_max_ms=500,
    ) as emitter:
        emitter.emit(DEVICE)
        emitter.flush()
        own_kafka.kill()
        emitter.emit(DEVICE.record(), event_id="lost")
        with pytest.raises(DeliveryError) as caught:
            emitter.flush()
        own_kafka.start()
        (failure,) = caught.value.failures
        emitter.emit(failure.record, source=failure.source, event_id=failure.event_id)
        emitter.flush()
    assert len(sent(own_kafka.bootstrap, "audit.iot", "lost")) == 1
    gc.collect()


def test_every_thread_may_emit(topics: str, unique: str) -> None:
    with Emitter(topics, producer="tests") as emitter, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: emitter.emit({**DEVICE.record(), "id": f"{unique}-{n}"}), range(400)))
    for n in (0, 399):
        assert len(sent(topics, "audit.iot", f"{unique}-{n}")) == 1


FORK = """
import os, sys
from streams.emitter import DeviceEvent, Emitter
kafka, unique = sys.argv[1:]
def event(of):
    return DeviceEvent(device="pump-12", type="infusion-pump", event="alarm", action="occlusion", id=f"{unique}-{of}")
emitter = Emitter(kafka, producer="tests", linger_ms=1000)
emitter.emit(event("parent"))  # waits still when the process forks: the child must not send it too
child = os.fork()
emitter.emit(event("child" if child == 0 else "parent later"))
emitter.close()
if child:
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_each_process_of_a_fork_sends_its_own(topics: str, unique: str) -> None:
    # A fork among threads, of which the child uses none, is what is tested.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, topics, unique]
    done = subprocess.run(command, cwd=ROOT, check=True, timeout=60, capture_output=True, text=True)
    assert done.stderr == "", "the child let go of the parent's connection in peace"
    for of in ("parent", "parent later", "child"):
        assert len(sent(topics, "audit.iot", f"{unique}-{of}")) == 1, of


@pytest.mark.parametrize("setting", ["acks", "enable_idempotence", "max_request_size"])
def test_no_setting_weakens_it(topics: str, setting: str) -> None:
    with Emitter(topics, producer="tests", **{setting: 0}) as emitter:
        assert emitter._outbox.open().config[setting] in (-1, "all", True, 1024 * 1024 - 128)


def test_an_event_too_large_is_refused_and_ends_nothing(topics: str, unique: str) -> None:
    with Emitter(topics, producer="tests") as emitter:
        with pytest.raises(ValueError, match=r"the event has \d+ bytes where 1044352 are taken"):
            emitter.emit({**DEVICE.record(), "details": {"x": "x" * 1_044_352}})
        largest = {**DEVICE.record(), "id": unique, "details": {"x": "x" * 1_043_000}}
        emitter.emit(largest, key="k" * 1000)
    assert len(sent(topics, "audit.iot", unique)) == 1


ALONE = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [sys.argv[1]]
from streams import async_emitter, log_handler
from streams.emitter import DeviceEvent, Emitter
with Emitter(sys.argv[2], producer="tests") as emitter:
    emitter.emit(DeviceEvent(device="pump-12", type="infusion-pump", event="alarm", action="occlusion", id=sys.argv[3]))
print(sorted({name.partition(".")[0] for name, module in sys.modules.items()
              if (getattr(module, "__file__", None) or "").startswith(sys.argv[1])}))
"""


def test_the_base_install_is_its_client_and_a_checksum(topics: str, tmp_path: Path, unique: str) -> None:
    """In an interpreter that has what the base install brings and nothing else, it emits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (tmp_path / "streams").symlink_to(ROOT / "streams")
    for dependency in project["dependencies"]:
        for file in files(Requirement(dependency).name) or []:
            top = file.parts[0]
            if not top.endswith((".dist-info", "..")) and not (tmp_path / top).exists():
                (tmp_path / top).symlink_to(str(file.locate())[: -len(str(file))] + top)
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(tmp_path), topics, unique]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "['crc32c', 'kafka', 'streams']"
    assert len(sent(topics, "audit.iot", unique)) == 1
