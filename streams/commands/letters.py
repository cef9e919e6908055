"""``dead-letters``: what could not be processed, why, and sending it again once the reason is mended.

A letter sent again is answered by a record under its name and without a value, so that whoever looks next sees what is
still open. Memory is bounded by the names of letters answered, and by one batch of letters on their way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import MessageSizeTooLargeError

from detectors.base import digest
from streams import topics
from streams.admin import topic_ids
from streams.deadletters import DeadLetter, open_letter
from streams.permissions import roles
from streams.settings import Settings

__all__ = ["Envelope", "Replay", "envelopes", "open_envelope", "replay"]

#: Bytes of a record; a batch's own are left of the topics' megabyte. A larger one would end the producer for all.
_LARGEST = 1024 * 1024 - 128
#: Letters, and bytes of them, that are sent before the broker has to have them all.
_BATCH = 500
_BATCH_BYTES = 16 * 1024 * 1024
#: What whoever runs these commands must be allowed.
OPERATOR = roles()["operator"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One letter, closed: everything but what the record says."""

    name: str  #: what the commands call it: topic, partition and offset of the record, or the delivery's own id
    partition: int  #: of ``dead.letters``
    replayed: bool
    value: bytes
    clear: dict[str, Any]  #: the parts that are not sealed

    @property
    def producer(self) -> str:
        return str(self.clear["headers"].get("producer", ""))

    def json(self) -> dict[str, Any]:
        return {"position": self.name, **self.clear, "replayed": self.replayed}


def envelopes(settings: Settings) -> Iterator[Envelope]:
    """Every letter, oldest first within its partition; one that was written twice comes once.

    Raises SetupError where the topic is missing, and kafka's errors where no broker answers.
    """
    topic_ids(settings, only=[topics.DEAD_LETTERS], needed=[acl for acl in OPERATOR if acl.operation == "Read"])
    answered: set[bytes] = set()
    for record in _records(settings):
        if record.value is None:
            answered.add(record.key)
    seen: set[bytes] = set()
    for record in _records(settings):
        if record.value is None:
            continue
        clear = orjson.loads(record.value)
        sealed = [clear.pop(part, "") for part in ("sealed", "sealed_key", "sealed_headers")]
        assert sealed[0]
        if record.key not in seen:
            seen.add(record.key)
            name = record.key.decode("utf-8", "replace")
            yield Envelope(name, record.partition, record.key in answered, record.value, clear)


def _records(settings: Settings) -> Iterator[Any]:
    """What lies in ``dead.letters`` at this moment."""
    client = settings.security.kafka_python()
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.split(","), enable_auto_commit=False, **client)
    try:
        partitions = [TopicPartition(topics.DEAD_LETTERS, n) for n in range(settings.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            for tp, records in consumer.poll(timeout_ms=500).items():
                yield from (record for record in records if record.offset < ends[tp])
    finally:
        consumer.close()


def open_envelope(envelope: Envelope, private_key: bytes) -> DeadLetter:
    """What it holds. Raises ValueError where the key does not fit."""
    return open_letter(envelope.value, private_key)


@dataclass
class Replay:
    """What became of letters that were to be sent again."""

    sent: set[str] = field(default_factory=set)  #: names
    kept: Counter[str] = field(default_factory=Counter)  #: reasons not to send, and how often
    kept_names: set[str] = field(default_factory=set)

    def keep(self, envelope: Envelope, reason: str) -> None:
        self.kept[reason] += 1
        self.kept_names.add(envelope.name)


def replay(settings: Settings, private_key: bytes, wanted: Callable[[Envelope], bool]) -> Replay:
    """Send what is ``wanted`` to where it came from, under its key, headers and event id, and answer its letters.

    What counted meanwhile counts once: a record without an id of its own gets the one it would have had where it lay.
    Raises SetupError where Kafka does not allow it, and kafka's errors where the broker does not take them; what is not
    answered by then stays open.
    """
    done = Replay()
    topic_ids(settings, only=[topics.DEAD_LETTERS, *topics.INPUTS], needed=OPERATOR)
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.split(","),
        acks="all",
        enable_idempotence=True,
        linger_ms=20,
        max_request_size=_LARGEST,
        **settings.security.kafka_python(),
    )
    batch: list[tuple[Envelope, Any]] = []
    size = 0

    def settle() -> None:
        """Answered only once the broker has what was sent: a failure between the two sends it twice, never not."""
        nonlocal size
        producer.flush()
        for envelope, delivery in batch:
            delivery.get(timeout=30)
            producer.send(topics.DEAD_LETTERS, None, key=envelope.name.encode(), partition=envelope.partition)
            done.sent.add(envelope.name)
        producer.flush()
        batch.clear()
        size = 0

    try:
        for envelope in envelopes(settings):
            if not wanted(envelope):
                continue
            if envelope.clear["topic"] not in topics.INPUTS:
                done.keep(
                    envelope, f"step {envelope.clear['stage']} gave up on it, and only services' records are replayed"
                )
                continue
            try:
                letter = open_envelope(envelope, private_key)
            except ValueError:
                done.keep(envelope, "it was sealed to another key than this installation's")
                continue
            try:
                batch.append((envelope, _send(producer, letter)))
            except MessageSizeTooLargeError:
                done.keep(envelope, "it is larger than its topic takes")
                continue
            size += len(letter.value)
            if len(batch) >= _BATCH or size >= _BATCH_BYTES:
                settle()
        settle()
    finally:
        producer.close()
    return done


def _send(producer: KafkaProducer, letter: DeadLetter) -> Any:
    headers = [(name, value.encode()) for name, value in letter.headers.items()]
    if "event-id" not in letter.headers:
        headers.append(("event-id", digest(letter.topic, letter.partition, letter.offset).encode()))
    return producer.send(letter.topic, letter.value, key=letter.key, partition=letter.partition, headers=headers)
