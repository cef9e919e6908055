"""What lies in a topic, for tests that hold it against what should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition

__all__ = ["partitions_of", "read_topic"]


def partitions_of(kafka: str, topic: str) -> Iterator[tuple[int, list[Any]]]:
    """As :func:`read_topic`, one partition at a time, so that no more than one is in memory."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    numbers = sorted(consumer.partitions_for_topic(topic) or ())
    consumer.close()
    for number in numbers:
        yield from read_topic(kafka, topic, only=number).items()


def read_topic(kafka: str, topic: str, *, only: int | None = None) -> dict[int, list[Any]]:
    """Every committed record from the log's start to its present end, by partition, in offset order.

    ``kafka``: bootstrap servers. ``only``: this partition alone.
    """
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, isolation_level="read_committed")
    try:
        numbers = sorted(consumer.partitions_for_topic(topic) or ()) if only is None else [only]
        partitions = [TopicPartition(topic, n) for n in numbers]
        assert partitions, f"there is no topic {topic}"
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        found: dict[int, list[Any]] = {tp.partition: [] for tp in partitions}
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            for tp, records in consumer.poll(timeout_ms=500, max_records=5000).items():
                found[tp.partition].extend(record for record in records if record.offset < ends[tp])
        return found
    finally:
        consumer.close()
