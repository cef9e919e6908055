"""How a step meets Kafka: what is sent before what is written before what is acknowledged.

:class:`IngestHandler` has no state: outputs are durable, then the batch is acknowledged. :class:`KeyedHandler`
follows rule 6 of ``docs/replay.md``: what a batch derived is acknowledged by the broker; then one transaction holds
every changed key and the position; only then may the group's commit pass the batch, as a hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from streams.blocks import address, unpack
from streams.changelog import Changelog
from streams.deadletters import DeadLetters
from streams.installation import KeyWatch
from streams.lineage import TopicReplaced
from streams.pipeline import Ingest
from streams.records import Output, RawRecord, Record
from streams.sender import Sender
from streams.state import BadDerived, KeyedStep, PartitionState
from streams.transport import Batch
from streams.vault import Vault
from streams.watermarks import InputClocks

__all__ = ["IngestHandler", "KeyedHandler"]

#: Seconds and batches after which what is staged becomes durable. Nobody waits for it: findings are out before. Rarely
#: is cheap, since a busy key is written once each time; often is little to do again.
FLUSH_SECONDS = 1.0
FLUSH_BATCHES = 6
#: Records between two chances for other tasks to run.
YIELD_EVERY = 100


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
        topic_id: bytes,
        name: str,
        now: Callable[[], float],
        keys: KeyWatch | None = None,
        vault: Vault | None = None,
    ) -> None:
        """``name``: the input as watermarks call it, ``topic/partition``. ``now``: seconds, only rising.

        ``keys``: asked before a batch which pseudonym keys it needs. ``vault``: what ``ingest`` learns goes there.
        """
        self._ingest = ingest
        self._sender = sender
        self._clocks = clocks
        self._topic_id = topic_id
        self._name = name
        self._now = now
        self._keys = keys
        self._vault = vault

    async def open(self) -> None:
        self._clocks.assigned(self._name, self._topic_id, self._now())

    async def process(self, batch: Batch) -> bool:
        self._clocks.taking(self._name)
        if self._keys is not None:
            await self._keys.ready(max(record.timestamp for record in batch.records))
        derived: list[tuple[int, Sequence[Output]]] = []
        latest: dict[str, int] = {}
        derive, append = self._ingest.derive, derived.append
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
            if ingested.clock > latest.get(ingested.source, 0):
                latest[ingested.source] = ingested.clock
            if not count % YIELD_EVERY:
                await asyncio.sleep(0)
        if self._vault is not None:  # before what names its patients by pseudonym alone
            await self._vault.settle(self._topic_id, batch.tp.partition, batch.first_offset)
        await self._sender.send(self._topic_id, batch.tp.partition, derived)
        # A clock moves once everything it speaks for lies downstream, so that its watermark comes after it.
        received = batch.records[-1].timestamp
        self._clocks.taken(self._name, batch.next_offset, latest, received=received, now=self._now())
        return True

    async def flush(self) -> None:
        """Every batch was durable when :meth:`process` returned."""

    async def close(self) -> None:
        self._clocks.released(self._name)


class KeyedHandler:
    """One partition of a step with state."""

    def __init__(
        self,
        step: KeyedStep,
        sender: Sender,
        changelog: Changelog,
        dead_letters: DeadLetters,
        *,
        stage: str,
        topic_id: bytes,
        now: Callable[[], float],
    ) -> None:
        self._step = step
        self._sender = sender
        self._changelog = changelog
        self._dead_letters = dead_letters
        self._stage = stage
        self._topic_id = topic_id
        self._now = now
        self._bad: dict[int, Sequence[Output]] = {}
        self._unflushed: list[Batch] = []
        self._flushed_at = 0.0
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
        self._unflushed.clear()
        self._flushed_at = self._now()
        return state.position

    async def process(self, batch: Batch) -> bool:
        await self._sender.send(self._topic_id, batch.tp.partition, self._fold(batch))
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
        while True:
            try:
                return self.state.fold(blocks, self._bad)
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
        changes = self.state.changes()
        if changes:
            await self._changelog.commit(changes)
            self.state.flushed()
        self._unflushed.clear()
        self._bad.clear()
        self._flushed_at = self._now()

    async def close(self) -> None:
        await self._changelog.close()
