"""Many events at once: few records of Kafka, each event under its own id, and none lost between the two."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError
from topic_reading import read_topic

from streams.async_emitter import AsyncEmitter
from streams.embedded.kafka import EmbeddedKafka
from streams.emitter import TOPICS, BufferFull, DeviceEvent, Emitter, Failure, Spool
from streams.outgoing import Outgoing, several

DEVICE = DeviceEvent(device="pump-12", type="infusion-pump", event="alarm", action="occlusion")


def pump(number: int, unique: str = "e") -> dict[str, Any]:
    return {**DEVICE.record(), "id": f"{unique}-{number}"}


def trail(number: int) -> dict[str, Any]:
    return {"eventID": f"t-{number}", "eventSource": "s3.amazonaws.com", "eventName": "GetObject"}


def joined(events: list[Any], **given: str) -> list[tuple[Outgoing, list[int]]]:
    return several(events, **{"source": "", "topic": "", "key": "", **given})


@pytest.fixture
def topics(kafka: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    for name in set(TOPICS.values()) - set(admin.list_topics()):
        with suppress(TopicAlreadyExistsError):
            admin.create_topics([NewTopic(name, 2, 1)])
    admin.close()
    return kafka


def arrived(kafka: str, topic: str, unique: str) -> list[tuple[str, Any]]:
    """Events by id, of the records whose ids begin so, in order within a partition."""
    found: list[tuple[str, Any]] = []
    for records in read_topic(kafka, topic).values():
        for record in records:
            header = dict(record.headers).get("event-id", b"").decode()
            if header.startswith(unique):
                value = json.loads(record.value)
                values = value if isinstance(value, list) else [value]
                found.extend(zip(header.split("\n"), values, strict=True))
    return found


def test_every_event_arrives_once_under_the_id_that_was_given_for_it(topics: str, unique: str) -> None:
    events = [pump(number, unique) for number in range(500)]
    with Emitter(topics, producer="tests") as emitter:
        given = emitter.emit_many(iter(events))
    assert given == [event["id"] for event in events]
    assert sorted(arrived(topics, "audit.iot", unique)) == sorted(zip(given, events, strict=True))


async def test_the_asyncio_twin_has_it(topics: str, unique: str) -> None:
    async with AsyncEmitter(topics, producer="tests") as emitter:
        given = await emitter.emit_many([pump(1, unique), pump(2, unique)])
    assert [event_id for event_id, _ in arrived(topics, "audit.iot", unique)] == given


def test_kinds_do_not_mix_and_each_id_is_at_the_place_of_its_event() -> None:
    made = joined([pump(0), trail(0), pump(1), trail(1)])
    assert [(sent.source, sent.topic, sent.ids, places) for sent, places in made] == [
        ("device", "audit.iot", ["e-0", "e-1"], [0, 2]),
        ("cloudtrail", "audit.cloud", ["t-0", "t-1"], [1, 3]),
    ]


def test_with_a_key_the_order_is_that_of_the_events() -> None:
    made = joined([pump(0), trail(0), trail(1), pump(1)], key="pump-12", topic="audit.iot")
    assert [places for _, places in made] == [[0], [1, 2], [3]]
    assert {sent.key for sent, _ in made} == {b"pump-12"}


def test_a_record_of_kafka_holds_so_many_events_and_bytes() -> None:
    made = joined([pump(number) for number in range(300)])
    assert [len(places) for _, places in made] == [128, 128, 44]
    large = [{**pump(number), "details": {"note": "x" * 90_000}} for number in range(5)]
    made = joined([*large, {**pump(9), "details": {"note": "x" * 500_000}}])
    assert sorted(place for _, places in made for place in places) == list(range(6))
    assert all(len(sent.value) <= 384 * 1024 or len(sent.ids) == 1 for sent, _ in made)
    assert json.loads(made[-1][0].value)["id"] == "e-9"  # alone, it lies there as emit() sends it


def test_bytes_go_as_text_beside_their_like_and_alone_where_they_are_none() -> None:
    texts = [b"<AuditMessage>\xc3\xbc</AuditMessage>", b"<AuditMessage/>"]
    both, *others = joined([*texts, b"\xff\xfe", b"\xff"], source="atna")
    assert json.loads(both[0].value) == [text.decode() for text in texts]
    assert [sent.value for sent, _ in others] == [b"\xff\xfe", b"\xff"]
    assert [failure.record for failure in both[0].failures("x")] == texts


@pytest.mark.parametrize("own", ["a\nb", "i" * 300])
def test_an_id_that_would_not_stand_in_a_line_has_a_record_to_itself(own: str) -> None:
    made = joined([pump(0), {**pump(1), "id": own}, pump(2)])
    assert [sent.ids for sent, _ in made] == [["e-0"], [own], ["e-2"]]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"hello": "world"}, "event 140: no known shape of event"),
        ({"resourceType": "AuditEvent", "x": {1, 2}}, "event 140: the event is not JSON"),
        ({**pump(0), "x": float("nan")}, "event 140: the event is not JSON"),
        ({**pump(0), "x": "x" * 1024 * 1024}, r"event 140: the event has \d+ bytes"),
        (b"x" * 1024 * 1024, r"event 140: the event has \d+ bytes"),
    ],
)
def test_one_that_is_no_event_is_named_and_none_is_taken(topics: str, event: Any, reason: str, unique: str) -> None:
    events = [*(pump(number, unique) for number in range(140)), event, pump(141, unique)]
    with Emitter(topics, producer="tests") as emitter, pytest.raises(ValueError, match=reason):
        emitter.emit_many(events, source="device" if isinstance(event, bytes) else "")
    assert arrived(topics, "audit.iot", unique) == []


def test_a_record_read_back_is_what_was_written() -> None:
    for (sent, _), count in zip(joined([*map(pump, range(3)), trail(1)], topic="t", key="k"), (3, 1), strict=True):
        again = Outgoing.unpack(sent.pack())
        assert [getattr(again, name) for name in Outgoing.__slots__] == [getattr(sent, n) for n in Outgoing.__slots__]
        assert len(list(again.failures("x"))) == count
    array = Outgoing.unpack(Outgoing("t", b"[1, 2]", None, "one", "s", b"[1, 2]").pack())
    assert [failure.record for failure in array.failures("x")] == [b"[1, 2]"]


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), port=0)
    broker.start()
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic("audit.iot", 1, 1), NewTopic("audit.cloud", 1, 1)])
    admin.close()
    yield broker
    broker.stop()


@pytest.mark.kafka
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kafka-python leaves sockets open
def test_without_a_broker_what_is_taken_is_told_and_what_is_not_is_still_the_caller_s(
    mortal: EmbeddedKafka, tmp_path: Path
) -> None:
    told: list[Failure] = []
    emitter = Emitter(
        mortal.bootstrap,
        producer="tests",
        buffer=30_000,
        when_full="raise",
        delivery_timeout=3,
        request_timeout_ms=1000,
        on_error=told.append,
    )
    emitter.emit_many([trail(0), pump(0)])
    emitter.flush()
    events = [pump(number, "lost") if number % 2 else trail(number) for number in range(500)]
    spooling = Emitter(mortal.bootstrap, producer="tests", spool=Spool(tmp_path, key="A" * 43 + "="), spool_after=0.5)
    spooling.emit(pump(0))
    spooling.flush()
    mortal.kill()
    with pytest.raises(BufferFull) as full:
        emitter.emit_many(events)
    left = list(full.value.left)
    places = [events.index(event) for event in left]
    assert 0 < len(left) < len(events)
    assert places == sorted(places)
    with pytest.raises(BufferFull) as full:  # noqa: PT012  # which of them it is depends on the buffer
        for _ in range(1000):
            emitter.emit(events[0])
    assert full.value.left == [events[0]]
    with suppress(Exception):
        emitter.close(timeout=5)
    assert {failure.event_id for failure in told} >= {
        event.get("id") or event["eventID"] for event in events if event not in left
    }
    for failure in told:
        assert isinstance(failure.record, dict)
        assert failure.event_id in (failure.record.get("id"), failure.record.get("eventID"))
    spooling.emit_many([pump(number, "spooled") for number in range(100)])
    spooling.flush(timeout=1)
    assert spooling.spooled > 0
    mortal.start()
    spooling.close()
    assert [event_id for event_id, _ in arrived(mortal.bootstrap, "audit.iot", "spooled")] == [
        f"spooled-{number}" for number in range(100)
    ]
    gc.collect()
