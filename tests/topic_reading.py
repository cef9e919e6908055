"""What lies in a topic, for tests that hold it against what should."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition

__all__ = ["read_topic"]


def read_topic(kafka: str, topic: str) -> dict[int, list[Any]]:
    """Every committed record from the log's start to its present end, by partition, in offset order.

    ``kafka``: bootstrap servers.
    """
    consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, isolation_level="read_committed")
    try:
        partitions = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
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
