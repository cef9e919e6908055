"""``dead-letters``: what could not be processed, why, and sending it again once the reason is mended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from detectors.base import digest
from streams import topics
from streams.deadletters import DeadLetter, open_letter
from streams.pipeline import EVENT_ID
from streams.settings import Settings

__all__ = ["envelopes", "letter", "replay"]


def envelopes(settings: Settings) -> Iterator[dict[str, Any]]:
    """Every letter's clear part, oldest first within its partition; one that was written again comes once."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.split(","), enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topics.DEAD_LETTERS, n) for n in range(settings.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        seen: set[str] = set()
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            for tp, records in consumer.poll(timeout_ms=500).items():
                for record in records:
                    position = (record.key or b"").decode("utf-8", "replace")
                    if record.offset < ends[tp] and position not in seen:
                        seen.add(position)
                        yield {"position": position, **orjson.loads(record.value or b"{}")}
    finally:
        consumer.close()


def letter(envelope: dict[str, Any], private_key: bytes) -> DeadLetter:
    """One letter, opened. Raises ValueError where the key does not fit."""
    return open_letter(orjson.dumps(envelope), private_key)


def replay(settings: Settings, private_key: bytes, positions: set[str]) -> list[str]:
    """Send records again to where they came from, all where ``positions`` is empty; give the positions sent.

    Ids are kept, so what was processed meanwhile, or is sent again twice, counts once. An event without an id of its
    own is known by where it first lay. Deliveries given up are not records, and are left.
    """
    producer = KafkaProducer(bootstrap_servers=settings.kafka.split(","), acks="all")
    sent: list[tuple[str, Any]] = []
    try:
        for envelope in envelopes(settings):
            if positions and envelope["position"] not in positions:
                continue
            opened = letter(envelope, private_key)
            if opened.topic in topics.INPUTS:
                given = {EVENT_ID: digest(opened.topic, opened.partition, opened.offset), **opened.headers}
                headers = [(name, value.encode()) for name, value in given.items()]
                sent.append((envelope["position"], producer.send(opened.topic, opened.value, headers=headers)))
        producer.flush()
        for _, delivery in sent:
            delivery.get(timeout=30)
    finally:
        producer.close()
    return [position for position, _ in sent]
