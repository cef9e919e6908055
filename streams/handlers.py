"""How a step meets Kafka: what is sent before what is written before what is acknowledged.

:class:`IngestHandler` has no state: outputs are durable, then the batch is acknowledged. :class:`KeyedHandler`
follows rule 6 of ``docs/replay.md``: what a batch derived is acknowledged by the broker; then one transaction holds
every changed key and the position; only then may the group's commit pass the batch, as a hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import orjson

from streams import topics
from streams.blocks import address, unpack
from streams.changelog import Changelog
from streams.crashes import CrashJournal
from streams.deadletters import DeadLetters
from streams.installation import KeyWatch
from streams.lineage import TopicReplaced
from streams.pipeline import Ingest, Ingested
from streams.records import WATERMARK, Output, RawRecord, Record
from streams.sender import Sender
from streams.state import COUNTS, BadDerived, KeyedStep, PartitionState
from streams.tallies import Skews, Tally
from streams.transport import Batch
from streams.vault import Vault
from streams.watermarks import InputClocks

__all__ = ["HalfTaken", "IngestHandler", "KeyedHandler"]

#: Seconds and batches after which what is staged becomes durable. Nobody waits for it: findings are out before. Rarely
#: is cheap, since a busy key is written once each time; often is little to do again.
FLUSH_SECONDS = 1.0
FLUSH_BATCHES = 6
#: Records between two chances for other tasks to run.
YIELD_EVERY = 100
#: Reason of a record that :mod:`streams.crashes` condemned.
_KILLED = "the worker ended each time it read this record: a defect of the product, please report it"


class HalfTaken(Exception):
    """State that must not become durable. Nothing was written."""


#: A RawRecord of a tuple, without a Python call for each.
_RAW: Final = partial(tuple.__new__, RawRecord)


class IngestHandler:
    """One input partition of ``audit.*``."""

    def __init__(
        self,
        ingest: Ingest,
        sender: Sender,
        clocks: InputClocks,
        *,
        journal: CrashJournal,
        topic_id: bytes,
        name: str,
        now: Callable[[], float],
        keys: KeyWatch | None = None,
        vault: Vault | None = None,
        tally: Tally,
        skews: Skews,
    ) -> None:
        """``name``: the input as watermarks call it, ``topic/partition``. ``now``: seconds, only rising.

        ``keys``: asked before a batch which pseudonym keys it needs. ``vault``: what ``ingest`` learns goes there.
        """
        self._ingest = ingest
        self._sender = sender
        self._clocks = clocks
        self._journal = journal
        self._topic_id = topic_id
        self._name = name
        self._now = now
        self._keys = keys
        self._vault = vault
        self._tally = tally
        self._skews = skews
        self._again = 0  #: events of the batch in hand that are told twice
        self._records = 0  #: in the batch in hand, those in others one by one

    async def open(self) -> None:
        self._journal.open(self._topic_id)
        self._clocks.assigned(self._name, self._topic_id, self._now())

    async def process(self, batch: Batch) -> bool:
        self._clocks.taking(self._name)
        if self._keys is not None:
            await self._keys.ready(max(record.timestamp for record in batch.records))
        with self._journal.batch(batch.first_offset, batch.next_offset):
            derived, latest, untimely = await self._derive(batch)
        if self._vault is not None:  # before what names its patients by pseudonym alone
            await self._vault.settle(self._topic_id, batch.tp.partition, batch.first_offset)
        sent = await self._sender.send(self._topic_id, batch.tp.partition, derived)
        passed = sent.get(topics.EVENTS, 0) - self._again
        self._tally.add(taken=self._records, passed=passed, dead=sent.get(topics.DEAD_LETTERS, 0))
        # A clock moves once everything it speaks for lies downstream, so that its watermark comes after it.
        received = batch.records[-1].timestamp
        self._clocks.taken(self._name, batch.next_offset, latest, received=received, now=self._now())
        self._observe_skews(batch, derived, latest, untimely)
        return True

    async def _derive(self, batch: Batch) -> tuple[list[tuple[int, Sequence[Output]]], dict[str, int], dict[str, int]]:
        """Each record's offset and outputs, each source's latest time, and the number of its first untimely record."""
        self._again = self._records = unyielded = 0
        derived: list[tuple[int, Sequence[Output]]] = []
        latest: dict[str, int] = {}
        untimely: dict[str, int] = {}
        derive, append = self._ingest.derive, derived.append
        if self._journal.careful or self._journal.condemned:
            derive = self._carefully
        for count, record in enumerate(batch.records, 1):
            ingested = derive(
                _RAW(
                    (
                        record.topic,
                        record.partition,
                        record.offset,
                        record.timestamp,
                        record.value or b"",
                        dict(record.headers),
                        0,
                        record.key,
                    )
                )
            )
            append((record.offset, ingested.outputs))
            self._again += ingested.again
            self._records += ingested.records
            unyielded += ingested.records
            if ingested.clock > latest.get(ingested.source, 0):
                latest[ingested.source] = ingested.clock
            elif ingested.clocks:
                for source, clock in ingested.clocks.items():
                    latest[source] = max(clock, latest.get(source, 0))
            elif not ingested.clock and ingested.source not in untimely:
                untimely[ingested.source] = count
            if unyielded >= YIELD_EVERY:
                unyielded = 0
                await asyncio.sleep(0)
        return derived, latest, untimely

    def _carefully(self, raw: RawRecord) -> Ingested:
        journal = self._journal
        if raw.offset in journal.condemned:
            return self._ingest.refuse(raw, _KILLED)
        if not journal.careful:
            return self._ingest.derive(raw)
        journal.name(raw.offset)
        ingested = self._ingest.derive(raw)
        journal.rest()
        return ingested

    def _observe_skews(
        self,
        batch: Batch,
        derived: Sequence[tuple[int, Sequence[Output]]],
        latest: Mapping[str, int],
        untimely: Mapping[str, int],
    ) -> None:
        """Of each source, the newest event against the broker's time; ``untimely``: the first one's number, from 1."""
        received = batch.records[-1].timestamp
        for source, clock in latest.items():
            lateness = self._ingest.sources.by_name(source).lateness
            ahead = clock + lateness - received
            self._skews.observe(source, (ahead if ahead > 0 else min(0, ahead + lateness)) / 1000)
        for source, number in untimely.items():
            if source:  # a dead letter has none
                time = orjson.loads(derived[number - 1][1][0].value)["time"]
                self._skews.observe(source, max(0, time - batch.records[number - 1].timestamp) / 1000)

    async def flush(self) -> None:
        """Every batch was durable when :meth:`process` returned."""

    async def close(self) -> None:
        self._clocks.released(self._name)
        self._journal.close()


class KeyedHandler:
    """One partition of a step with state."""

    def __init__(
        self,
        step: KeyedStep,
        sender: Sender,
        changelog: Changelog,
        dead_letters: DeadLetters,
        *,
        journal: CrashJournal,
        stage: str,
        topic_id: bytes,
        now: Callable[[], float],
        tally: Tally,
    ) -> None:
        self._step = step
        self._sender = sender
        self._changelog = changelog
        self._dead_letters = dead_letters
        self._journal = journal
        self._stage = stage
        self._topic_id = topic_id
        self._now = now
        self._bad: dict[int, Sequence[Output]] = {}
        self._unflushed: list[Batch] = []
        self._flushed_at = 0.0
        self._tally = tally
        self._sound = True  #: False where the state holds part of a batch, or a batch whose outputs are not out
        self._taken = 0  #: records since the last flush
        self._counted: Mapping[str, int] = {}  #: the state's counts at that
        self.state = PartitionState(step)

    async def open(self) -> int:
        state = PartitionState(self._step)
        await self._changelog.open(state.restore)
        state.restored()
        if state.topic not in (b"", self._topic_id):
            raise TopicReplaced(
                f"the topic was deleted and made again since the state of {self._stage} was written: delete the topic "
                f"of that state as well ({self._changelog.topic}), run wardwatch setup and start the workers again"
            )
        state.topic = self._topic_id
        self.state = state
        self._journal.open(self._topic_id)
        self._unflushed.clear()
        self._flushed_at = self._now()
        self._taken, self._counted = 0, dict(state.counts)
        self._sound = True
        return state.position

    async def process(self, batch: Batch) -> bool:
        self._sound = False
        with self._journal.batch(batch.first_offset, batch.next_offset):
            derived = self._fold(batch)
        await self._sender.send(self._topic_id, batch.tp.partition, derived)
        self._sound = True
        self._unflushed.append(batch)
        if len(self._unflushed) < FLUSH_BATCHES and self._now() - self._flushed_at < FLUSH_SECONDS:
            return False
        await self._flush()
        return True

    def _fold(self, batch: Batch) -> list[tuple[int, Sequence[Output]]]:
        """What the batch derives. A record that cannot be taken costs itself: the rest is folded again without it."""
        blocks = [unpack(record) for record in batch.records]
        for block in blocks:
            if block.foreign:
                self._refuse(batch, block.records[0], "a foreign record on a topic that only Wardwatch writes to")
            if self._journal.condemned:
                for record in block.records:
                    if record.place in self._journal.condemned:
                        self._refuse(batch, record, _KILLED)
        self._taken += sum(
            len(block.records) for block in blocks if block.offset >= self.state.position and block.control != WATERMARK
        )
        before = self._journal.name if self._journal.careful else None
        while True:
            try:
                return self.state.fold(blocks, self._bad, before=before)
            except BadDerived as exc:
                reason = f"{type(exc.cause).__name__} in {self._stage}: a defect of the product, please report it"
                self._refuse(batch, exc.record, reason)
                # The state is back at its last flush: what came since is folded once more. Its outputs are out already.
                for earlier in self._unflushed:
                    self.state.fold([unpack(record) for record in earlier.records], self._bad)

    def _refuse(self, batch: Batch, record: Record, reason: str) -> None:
        offset, line = address(record.place)
        raw = RawRecord(batch.tp.topic, batch.tp.partition, offset, 0, record.value, {}, line)
        self._bad[record.place] = (self._dead_letters.output(raw, stage=self._stage, reason=reason),)

    async def flush(self) -> None:
        await self._flush()

    async def _flush(self) -> None:
        if not self._sound:
            raise HalfTaken("a batch failed half way, and what is durable is not read back yet")
        changes = self.state.changes()
        if changes:
            await self._changelog.commit(changes)
            self.state.flushed()
        self._count()
        self._unflushed.clear()
        self._bad.clear()
        self._flushed_at = self._now()

    def _count(self) -> None:
        """What was taken since the last flush is durable now, so it counts."""
        counts = self.state.counts
        filtered = {name: counts[name] - self._counted.get(name, 0) for name in COUNTS}
        passed = self._taken - len(self._bad) - sum(filtered.values())
        noted = {name: counts[name] - self._counted.get(name, 0) for name in counts.keys() - COUNTS}
        self._tally.add(taken=self._taken, passed=passed, dead=len(self._bad), filtered=filtered, noted=noted)
        self._taken, self._counted = 0, dict(counts)

    async def close(self) -> None:
        self._journal.close()
        await self._changelog.close()
