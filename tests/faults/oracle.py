"""What the topics must hold: the pure pipeline, single-threaded, over the records as they lie there after the run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from unittest.mock import patch

import orjson
from defects import Fragile
from topic_reading import partitions_of, read_topic

from detectors import registry
from detectors.base import Alert
from detectors.registry import registered
from detectors.rules import Links, RuleSet, load
from streams import topics
from streams.admin import topic_ids
from streams.agents import VIEW_KINDS
from streams.alerting import Alerting
from streams.blocks import Block, address, unpack
from streams.changelog import Changelog
from streams.codecs import decode_alert
from streams.correlate import Correlate
from streams.deadletters import DeadLetters
from streams.epochs import Epochs
from streams.installation import agree
from streams.keys import load_keys
from streams.lineage import Marks
from streams.notify import Notify
from streams.numbering import numbered
from streams.pipeline import Behave, Ingest, Ingested, Reader
from streams.records import Output, RawRecord
from streams.routing import Routes
from streams.settings import Settings
from streams.sources.base import BadRecord
from streams.state import BadDerived, KeyedStep, PartitionState

__all__ = ["Judgement", "judge", "reader"]

#: Kafka records folded at a time; the state is flushed after each lot, as a worker does it.
LOT = 25

#: Derived records, each as a digest of the topic and position it came from and of what it says: a day has millions.
Derived = Counter[bytes]


def digest_of(topic_id: bytes, partition: int, offset: int, number: int, key: bytes, value: bytes) -> bytes:
    place = b"%b %d %d %d %d " % (topic_id, partition, offset, number, len(key))
    return blake2b(place + key + value, digest_size=16).digest()


@dataclass
class Judgement:
    """Differences between what is and what must be; :attr:`wrong` is empty where all is well."""

    wrong: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    felt: Counter[str] = field(default_factory=Counter)  #: what workers said, see chaos.py
    events: Counter[str] = field(default_factory=Counter)  #: ids in ``events``, as often as readers take them
    findings: Counter[bytes] = field(default_factory=Counter)  #: their values, as often as readers take them
    alerts: dict[str, Alert] = field(default_factory=dict)
    deliveries: dict[str, bytes] = field(default_factory=dict)  #: webhook id to body
    bad: Counter[str] = field(default_factory=Counter)  #: records that no step could take, by topic
    counted: int = 0  #: events that the fragile detector counted
    late: int = 0  #: and those that were too late for it

    def expect(self, what: str, got: Any, want: Any) -> None:
        if got == want:
            return
        if isinstance(want, Counter):
            lost, extra = want - got, got - want
            self.wrong.append(f"{what}: {lost.total()} lost, {extra.total()} too many of {want.total()}")
        elif isinstance(want, dict):
            lost, extra = want.keys() - got.keys(), got.keys() - want.keys()
            other = sorted(str(key) for key in want.keys() & got.keys() if want[key] != got[key])
            self.wrong.append(f"{what}: {len(lost)} lost, {len(extra)} too many, {len(other)} differ {other[:3]}")
        elif isinstance(want, set):
            self.wrong.append(f"{what}: {len(want - got)} lost, {len(got - want)} too many of {len(want)}")
        else:
            self.wrong.append(f"{what}: {got!r:.80}, not {want!r:.80}")


def reader(settings: Settings) -> Reader:
    """The product's own, with the installation's keys."""
    keys = load_keys(settings.home)
    return Reader(rules(settings), Epochs(agree(settings, keys), keys.held), Links(settings.rules_url))


def rules(settings: Settings) -> RuleSet:
    """Those that its workers have."""
    return load(settings.rules, beside_starter=True)


def judge(
    settings: Settings, *, fragile: bool = False, refused: Callable[[RawRecord], bool] = lambda _: False
) -> Judgement:
    """Compare every topic and every state with what the pure pipeline makes of the topics before it.

    ``fragile``: the workers had the fragile detector. ``refused``: which source records a defect made dead letters.
    """
    detectors = (*registered(), Fragile()) if fragile else registered()
    with patch.object(registry, "_REGISTERED", detectors):
        return _Judge(settings, refused).judge()


class _Defective(Ingest):
    """Refuses what a defect refused, also where it lay among others in one record."""

    refused: Callable[[RawRecord], bool]

    def _one(self, raw: RawRecord, *args: Any) -> Ingested:
        if self.refused(raw):
            raise BadRecord("a defect refused it")
        return super()._one(raw, *args)


class _Judge:
    def __init__(self, settings: Settings, refused: Callable[[RawRecord], bool]) -> None:
        self.settings = settings
        self.refused = refused
        self.judgement = Judgement()
        self.ids = topic_ids(settings)
        self.letters = DeadLetters(load_keys(settings.home).dead_letter_public)
        self.want: dict[str, Derived] = {topic.name: Counter() for topic in topics.ALL}
        self.dead: set[str] = set()

    def judge(self) -> Judgement:
        detectors = registered()
        self._inputs([kind for kind in VIEW_KINDS if any(d.entity == kind for d in detectors)])
        self._step(topics.EVENTS, "behave", Behave(detectors, kinds=["actor"]))
        self._step(topics.VIEWS, "behave", Behave(detectors, kinds=VIEW_KINDS))
        self._step(topics.MATCHES, "correlate", Correlate(rules(self.settings), Links(self.settings.rules_url)))
        self._step(topics.FINDINGS, "alert", Alerting(Routes(self.settings.receivers).of))
        self._step(
            topics.NOTIFICATIONS,
            "notify",
            Notify(self.settings.receivers, self.letters, public_url=self.settings.public_url),
        )
        for _ in self._accepted(topics.ALERTS):
            pass
        letters = {r.key.decode() for rs in read_topic(self.settings.kafka, topics.DEAD_LETTERS).values() for r in rs}
        self.judgement.expect("dead letters", letters, self.dead)
        self.judgement.counts[topics.DEAD_LETTERS] = len(letters)
        return self.judgement

    def _expect(self, topic_id: bytes, partition: int, derived: Iterable[tuple[int, Sequence[Output]]]) -> None:
        for offset, outputs in derived:
            for number, output in numbered(outputs):
                if output.topic == topics.DEAD_LETTERS:
                    self.dead.add(output.key.decode())
                else:
                    derivation = digest_of(topic_id, partition, offset, number, output.key, output.value)
                    self.want[output.topic][derivation] += 1

    def _inputs(self, views: Sequence[Any]) -> None:
        ingest = _Defective(reader(self.settings), self.letters, views=views)
        ingest.refused = self.refused
        for topic in topics.INPUTS:
            for partition, records in partitions_of(self.settings.kafka, topic):
                for r in records:
                    raw = RawRecord(topic, partition, r.offset, r.timestamp, r.value or b"", dict(r.headers))
                    self._expect(self.ids[topic], partition, [(r.offset, ingest.derive(raw).outputs)])
                self.judgement.counts[topic] = self.judgement.counts.get(topic, 0) + len(records)

    def _accepted(self, topic: str) -> Iterator[tuple[int, list[Block]]]:
        """The log of each partition; what readers take of all of them is compared with what is wanted."""
        taken: Derived = Counter()
        for partition, records in partitions_of(self.settings.kafka, topic):
            log = [unpack(record) for record in records]
            records.clear()
            marks = Marks()
            for block in log:
                if block.lineage:
                    source = block.lineage.topic, block.lineage.partition
                    dropped = marks.accept(block.lineage, block.positions)
                    for at, record in zip(block.positions[dropped:], block.records[dropped:], strict=True):
                        taken[digest_of(*source, *at, record.key, record.value)] += 1
                        self._look_at(topic, record.value)
            yield partition, log
        self.judgement.expect(topic, taken, self.want.pop(topic))
        self.judgement.counts[topic] = taken.total()

    def _look_at(self, topic: str, value: bytes) -> None:
        if topic == topics.EVENTS:
            self.judgement.events[orjson.loads(value)["id"]] += 1
        elif topic == topics.FINDINGS:
            self.judgement.findings[value] += 1
        elif topic == topics.ALERTS:
            self._alert(decode_alert(value))

    def _alert(self, alert: Alert) -> None:
        known = self.judgement.alerts.get(alert.id)
        if known is not None and known.revision == alert.revision:
            self.judgement.wrong.append("an alert was made twice")
        if known is None or known.revision < alert.revision:
            self.judgement.alerts[alert.id] = alert

    def _step(self, topic: str, step: str, keyed: KeyedStep) -> None:
        for partition, log in self._accepted(topic):
            name = f"state of {step}.{topic}[{partition}]"
            held = asyncio.run(self._held(keyed, step, topic, partition))
            last = max((block.offset for block in log if block.lineage), default=-1)
            if held.position <= last:
                self.judgement.wrong.append(f"{name}: at {held.position}, and {last} is there to be taken")
            state = PartitionState(keyed)
            derived = self._fold(
                state, [block for block in log if block.offset < held.position], topic, partition, step
            )
            self.judgement.expect(name, *self._comparable(held, state, keyed))
            derived += self._fold(
                # What a worker said of the pipeline when it was told to end waits for the next.
                state,
                [b for b in log if b.offset >= held.position and b.lineage],
                topic,
                partition,
                step,
            )
            self._expect(self.ids[topic], partition, derived)

    def _fold(
        self, state: PartitionState, log: list[Block], topic: str, partition: int, step: str
    ) -> list[tuple[int, Sequence[Output]]]:
        """What a log derives. What cannot be taken is a dead letter and nothing else."""
        bad: dict[int, Sequence[Output]] = {}
        derived: list[tuple[int, Sequence[Output]]] = []
        for start in range(0, len(log), LOT):
            lot = log[start : start + LOT]
            while True:
                try:
                    derived += state.fold(lot, bad)
                    break
                except BadDerived as exc:
                    offset, line = address(exc.record.place)
                    raw = RawRecord(topic, partition, offset, 0, exc.record.value, {}, line)
                    self.judgement.bad[topic] += 1
                    bad[exc.record.place] = (self.letters.output(raw, stage=step, reason="defect"),)
            state.changes()
            state.flushed()
        return derived

    def _comparable(self, held: PartitionState, state: PartitionState, keyed: KeyedStep) -> tuple[Any, Any]:
        got, want = _content(held, keyed), _content(state, keyed)
        if isinstance(keyed, Notify):
            # What is delivered is forgotten: nothing may be left of what the alerts asked for.
            waiting = [delivery for _, delivery in state.values.items()]
            waiting += [delivery.follower() for delivery in waiting if delivery.end]
            self.judgement.deliveries |= {delivery.webhook_id: delivery.body for delivery in waiting}
            want["values"] = {}
            want["counts"] = {name: 0 if "." in name else count for name, count in want["counts"].items()}
        elif isinstance(keyed, Behave):
            self.judgement.counts["entities"] = self.judgement.counts.get("entities", 0) + len(got["values"])
            if keyed._actor is not None:
                self.judgement.late += held.counts["late"]
                self.judgement.counted += sum(
                    memory[0]
                    for _, entity in held.values.items()
                    for detector, memory in zip(keyed._actor, entity.states, strict=True)
                    if isinstance(detector, Fragile)
                )
        return got, want

    async def _held(self, keyed: KeyedStep, step: str, topic: str, partition: int) -> PartitionState:
        """The committed state of one partition, as a worker taking over would find it."""
        state = PartitionState(keyed)
        changelog = Changelog(
            client={"bootstrap_servers": self.settings.kafka},
            topic=topics.state_of(topic, step),
            partition=partition,
            transactional_id=f"{self.settings.application}.{step}.{topic}.{partition}",
        )
        await changelog.open(state.restore)
        await changelog.close()
        state.restored()
        return state


def _content(state: PartitionState, keyed: KeyedStep) -> dict[str, Any]:
    """Everything a state holds but its position."""
    return {
        "values": {key: keyed.dump(key, value) for key, value in state.values.items()},
        "marks": state.marks.save(),
        "watermarks": state.watermarks.save(),
        "counts": dict(state.counts),
        "seen": {
            number: {*bucket.base.tolist(), *bucket.recent}
            for number, bucket in state.seen._buckets.items()
            if len(bucket.base) or bucket.recent
        },
    }
