"""What lies in Kafka's ``audit.*`` topics at this moment, as records to try something on; no group, no commit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from streams import topics
from streams.admin import topic_ids
from streams.permissions import Acl
from streams.pipeline import SOURCE
from streams.reading import Item, opened, parse, record_of
from streams.settings import Settings
from streams.sources.base import BadRecord
from streams.sources.known import Sources

__all__ = ["recorded"]

_NEEDED = tuple(Acl("Read", "Topic", name) for name in topics.INPUTS)


def recorded(settings: Settings, sources: Sources, *, since: int) -> Iterator[Item]:
    """Every record that a broker took at ``since`` (ms since the epoch) or later; an Item's line is its offset.

    Raises SetupError where topics are missing or may not be read, and kafka's errors where no broker answers.
    """
    topic_ids(settings, only=list(topics.INPUTS), needed=_NEEDED)
    client = settings.security.kafka_python()
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.split(","), enable_auto_commit=False, **client)
    try:
        tps = [TopicPartition(topic, number) for topic in topics.INPUTS for number in range(settings.partitions)]
        ends = consumer.end_offsets(tps)
        begins = {
            tp: found.offset for tp, found in consumer.offsets_for_times(dict.fromkeys(tps, since)).items() if found
        }
        for tp, begin in begins.items():
            consumer.assign([tp])
            consumer.seek(tp, begin)
            while consumer.position(tp) < ends[tp]:
                for record in consumer.poll(timeout_ms=500, max_records=5000).get(tp, ()):
                    if record.offset < ends[tp]:
                        yield from _items(record, sources)
    finally:
        consumer.close()


def _items(record: Any, sources: Sources) -> Iterator[Item]:
    place = f"{record.topic}/{record.partition}"
    named = next((value.decode("utf-8", "replace") for key, value in record.headers if key == SOURCE), "")
    try:
        if named:
            source = sources.by_name(named)
            yield Item(place, record.offset, record_of(record.value or b"", source), None, source=source)
        else:
            yield from opened(Item(place, record.offset, parse(record.value or b""), None))
    except (BadRecord, ValueError) as exc:
        yield Item(place, record.offset, None, str(exc))
