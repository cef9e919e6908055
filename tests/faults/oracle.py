"""What the topics must hold: the pure pipeline, single-threaded, over the records as they lie there after the run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from detectors.registry import registered
from detectors.rules import starter_rules
from streams import topics
from streams.admin import topic_ids
from streams.agents import VIEW_KINDS
from streams.blocks import Block, unpack
from streams.changelog import Changelog
from streams.deadletters import DeadLetters
from streams.keys import load_keys
from streams.lineage import Lineage, Marks
from streams.pipeline import Alerting, Behave, Ingest, Reader
from streams.privacy import Pseudonyms
from streams.records import Output, RawRecord
from streams.settings import Settings
from streams.state import KeyedStep, PartitionState

__all__ = ["Judgement", "judge", "read_topic"]

#: A derived record: the topic and position it came from, and what it says.
Derived = Counter[tuple[bytes, int, int, int, bytes, bytes]]


@dataclass
class Judgement:
    """Differences between what is and what must be; empty where all is well."""

    wrong: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def expect(self, what: str, got: Any, want: Any) -> None:
        if got == want:
            return
        if isinstance(want, Counter):
            lost, extra = want - got, got - want
            self.wrong.append(f"{what}: {lost.total()} lost, {extra.total()} too many of {want.total()}")
        else:
            self.wrong.append(f"{what} differ")


def read_topic(settings: Settings, topic: str) -> dict[int, list[Any]]:
    """Every record of a topic, by partition, in offset order."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka, enable_auto_commit=False, isolation_level="read_committed"
    )
    try:
        partitions = [TopicPartition(topic, n) for n in range(settings.partitions)]
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


def accepted(settings: Settings, topic: str) -> tuple[dict[int, list[Block]], Derived]:
    """The blocks of a topic, and the records in them that a reader takes."""
    logs = {p: [unpack(r) for r in rs] for p, rs in read_topic(settings, topic).items()}
    taken: Derived = Counter()
    for log in logs.values():
        marks = Marks()
        for block in log:
            if block.lineage:
                dropped = marks.accept(block.lineage, block.positions)
                for position, record in zip(block.positions[dropped:], block.records[dropped:], strict=True):
                    taken[_derived(block.lineage, position, record.key, record.value)] += 1
    return logs, taken


def _derived(
    lineage: Lineage, position: tuple[int, int], key: bytes, value: bytes
) -> tuple[bytes, int, int, int, bytes, bytes]:
    return (lineage.topic, lineage.partition, position[0], position[1], key, value)


def judge(settings: Settings) -> Judgement:
    """Compare every topic and every state with what the pure pipeline makes of the topics before it."""
    judgement = Judgement()
    ids = topic_ids(settings)
    keys = load_keys(settings.home)
    detectors = registered()
    ingest = Ingest(
        Reader(starter_rules(), Pseudonyms(keys.pseudonym, keys.pseudonym_id)),
        DeadLetters(keys.dead_letter_public),
        views=[kind for kind in VIEW_KINDS if any(d.entity == kind for d in detectors)],
    )
    want: dict[str, Derived] = {topic.name: Counter() for topic in topics.ALL}
    dead: set[str] = set()

    def expect(topic_id: bytes, partition: int, offset: int, outputs: Iterable[Output]) -> None:
        for number, output in enumerate(outputs):
            if output.topic == topics.DEAD_LETTERS:
                dead.add(output.key.decode())
            else:
                derived = (topic_id, partition, offset, number, output.key, output.value)
                want[output.topic][derived] += 1

    for topic in topics.INPUTS:
        for partition, records in read_topic(settings, topic).items():
            for r in records:
                raw = RawRecord(topic, partition, r.offset, r.timestamp, r.value or b"", dict(r.headers))
                expect(ids[topic], partition, r.offset, ingest.derive(raw).outputs)
            judgement.counts[topic] = judgement.counts.get(topic, 0) + len(records)

    steps: list[tuple[str, str, KeyedStep]] = [
        (topics.EVENTS, "behave", Behave(detectors, kinds=["actor"])),
        (topics.VIEWS, "behave", Behave(detectors, kinds=VIEW_KINDS)),
        (topics.FINDINGS, "alert", Alerting()),
    ]
    for topic, step, keyed in steps:
        logs, got = accepted(settings, topic)
        judgement.expect(topic, got, want[topic])
        judgement.counts[topic] = got.total()
        for partition, log in logs.items():
            state = PartitionState(keyed)
            for offset, outputs in state.fold(log, {}):
                expect(ids[topic], partition, offset, outputs)
            held = asyncio.run(_held(settings, keyed, step, topic, partition))
            judgement.expect(
                f"state of {step}.{topic}[{partition}]", _content(held), _content(state, held.position, log, keyed)
            )
    for topic in (topics.ALERTS, topics.NOTIFICATIONS):
        _, got = accepted(settings, topic)
        judgement.expect(topic, got, want[topic])
        judgement.counts[topic] = got.total()
    letters = {r.key.decode() for rs in read_topic(settings, topics.DEAD_LETTERS).values() for r in rs}
    judgement.expect("dead letters", letters, dead)
    judgement.counts[topics.DEAD_LETTERS] = len(letters)
    return judgement


async def _held(settings: Settings, keyed: KeyedStep, step: str, topic: str, partition: int) -> PartitionState:
    """The committed state of one partition, as a worker taking over would find it."""
    state = PartitionState(keyed)
    changelog = Changelog(
        client={"bootstrap_servers": settings.kafka},
        topic=topics.state_of(topic, step),
        partition=partition,
        transactional_id=f"{settings.application}.{step}.{topic}.{partition}",
    )
    await changelog.open(state.restore)
    await changelog.close()
    state.restored()
    return state


def _content(
    state: PartitionState, position: int | None = None, log: list[Block] | None = None, keyed: KeyedStep | None = None
) -> Any:
    """Everything a state holds, as the changelog would say it. With a position: as it was there."""
    if position is not None and log is not None and keyed is not None:
        state = PartitionState(keyed)
        state.fold([block for block in log if block.offset < position], {})
    dumped = {key: state._step.dump(key, value) for key, value in state.values.items()}
    return (
        position if position is None else None,
        dumped,
        state.marks.save(),
        state.watermarks.save(),
        state.counts,
        len(state.seen),
    )
