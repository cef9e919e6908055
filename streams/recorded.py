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
from streams.sources.base import BadRecord, Source
from streams.sources.known import Sources
from streams.wrappers import DEEPEST, contents, written

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
    """What ingest would read in it: the record, or those in it."""
    whole = Item(f"{record.topic}/{record.partition}", record.offset, None, None)
    named = next((value.decode("utf-8", "replace") for key, value in record.headers if key == SOURCE), "")
    try:
        source = sources.by_name(named) if named else None
    except ValueError as exc:
        yield whole._replace(error=str(exc))
        return
    yield from _read(whole, record.value or b"", source)


def _read(item: Item, raw: bytes, source: Source | None, depth: int = 0) -> Iterator[Item]:
    try:
        record = parse(raw) if source is None else record_of(raw, source)
    except (BadRecord, ValueError) as exc:
        item, record = item._replace(error=str(exc)), None
    if record is not None and source is None:
        yield from opened(item._replace(record=record))
        return
    itself = record is not None and source is not None and source.recognises(record)
    held = None if itself or depth == DEEPEST else contents(raw)
    if held is None:
        yield item if record is None else item._replace(record=record, source=source)
        return
    for number, member in enumerate(held, 1):
        one = Item(item.file, item.line, None, None, member=f"{item.member}.{number}")
        try:
            yield from _read(one, written(member), source, depth + 1)
        except BadRecord as exc:
            yield one._replace(error=str(exc))
