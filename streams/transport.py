"""Faust, one message per batch of records: what makes it ten times faster and lets no record be skipped.

A topic declared with :class:`BatchSchema` is delivered as :class:`Batch` values: records of one partition in offset
order, at most so many and so many bytes. Its acknowledgement is the agent's own: :meth:`Batch.ack`, once the effects
are durable.

Promises:

- Offsets are committed for the acknowledged *prefix* of a partition only, as last offset + 1. Holes in the log
  (compaction, transaction markers) need no bookkeeping, and a batch never acknowledged holds the commit back.
- At most ``max_inflight`` unacknowledged batches of a partition are handed out, give or take what one fetch brought;
  then the partition rests while the others go on. A stopped partition costs nobody else anything.
- A batch fetched before a seek or a rebalance, and still on its way, says so: :attr:`Batch.stale`.
- Before partitions are given up, :attr:`BatchApp.on_release` is awaited and what it acknowledged is committed.

Topics without the schema behave as in Faust. The module reaches into faust-streaming 0.15.3, which is pinned for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import faust
from faust.exceptions import ImproperlyConfigured
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from faust.types.tuples import ConsumerMessage

__all__ = ["Batch", "BatchApp", "BatchSchema"]

#: Seconds a fetch may block while some partition rests, so that its room is noticed.
PRESSURE_POLL = 0.05
#: Bytes that one answer of the broker holds, of all partitions together. aiokafka asks for 50 MB: buffers of that size
#: are most of a worker's memory, and new pages for them a tenth of its CPU.
FETCH_BYTES = 1_000_000


class Batch:
    """Records of one topic partition in offset order, as aiokafka gives them. Never empty."""

    __slots__ = ("_consumer", "_epoch", "acked", "expected", "records", "tp")

    def __init__(
        self, tp: TP, records: list[Any], consumer: BatchConsumer, *, epoch: int = 0, expected: int | None = None
    ) -> None:
        self.tp = tp
        self.records = records
        self.acked = False
        self.expected = expected  #: offset at which the batch before it ended, or reading began; None where unknown
        self._consumer = consumer
        self._epoch = epoch

    @property
    def first_offset(self) -> int:
        return int(self.records[0].offset)

    @property
    def next_offset(self) -> int:
        """The offset to commit once this batch is done: that of its last record, plus one."""
        return int(self.records[-1].offset) + 1

    @property
    def stale(self) -> bool:
        """True once the partition was sent elsewhere, or taken away: what this holds is handed out again."""
        return self._consumer.is_stale(self.tp, self._epoch)

    def ack(self) -> None:
        """Say that every effect of this batch is durable. May be called again, or after the partition was lost."""
        if not self.acked:
            self.acked = True
            self._consumer.on_batch_acked(self.tp)

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Batch {self.tp.topic}[{self.tp.partition}] {self.first_offset}..{self.next_offset - 1}>"


class BatchSchema(faust.Schema):  # type: ignore[misc]
    """Marks a topic as delivered in batches; keys and values stay bytes.

    A batch has at most ``max_records`` records and, unless it is of one record, ``max_bytes`` of values; 0: any number.
    """

    def __init__(self, *, max_records: int = 500, max_bytes: int = 0, max_inflight: int = 4, **kwargs: Any) -> None:
        kwargs.setdefault("key_serializer", "raw")
        kwargs.setdefault("value_serializer", "raw")
        super().__init__(**kwargs)
        self.max_records = max_records
        self.max_bytes = max_bytes
        self.max_inflight = max_inflight

    def cut(self, fetched: list[Any]) -> list[list[Any]]:
        """What was fetched of one partition, as batches."""
        most, room = self.max_records, self.max_bytes
        if not room:
            return [fetched[start : start + most] for start in range(0, len(fetched), most)]
        batches: list[list[Any]] = []
        size = room + 1  # the first begins a batch, whatever it has
        for record in fetched:
            own = len(record.value or b"")
            size += own
            if size > room or len(batches[-1]) == most:
                batches.append([])
                size = own
            batches[-1].append(record)
        return batches

    def compile(self, app: Any, **_: Any) -> Any:
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return create_event(None, message.value, message.headers, message)

        return decode


class _Scheduler(DefaultSchedulingStrategy):  # type: ignore[misc]
    """Cuts each batched partition's records into chunks, then goes round-robin as Faust does."""

    def __init__(self, consumer: BatchConsumer) -> None:
        self.consumer = consumer

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        chunks: dict[TP, list[Any]] = {}
        for tp, fetched in records.items():
            schema = self.consumer.batch_schema(tp.topic)
            if schema is None:
                chunks[tp] = fetched
            else:
                chunks[tp] = schema.cut(fetched)
        round_robin: Iterator[tuple[TP, Any]] = super().iterate(chunks)
        return round_robin


class BatchConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's aiokafka consumer, keeping per partition a queue of the batches it handed out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._handed_out: dict[TP, deque[Batch]] = {}
        self._done: dict[TP, int] = {}
        self._schemas: dict[str, BatchSchema | None] = {}
        self._epochs: dict[TP, int] = {}
        self._expected: dict[TP, int] = {}
        self._wanted: dict[TP, int] = {}
        self._room = asyncio.Event()
        super().__init__(*args, **kwargs)
        self.scheduler = _Scheduler(self)

    def batch_schema(self, topic: str) -> BatchSchema | None:
        """The schema of a batched topic, None for any other. Raises ImproperlyConfigured where agents disagree."""
        if topic not in self._schemas:
            schemas = [channel.schema for channel in self.app.topics._topic_name_index.get(topic, ())]
            batched = [schema for schema in schemas if isinstance(schema, BatchSchema)]
            if batched and len(schemas) != 1:
                raise ImproperlyConfigured(f"batched topic {topic!r} is read by {len(schemas)} agents; one may")
            self._schemas[topic] = batched[0] if batched else None
        return self._schemas[topic]

    def _new_consumer_thread(self) -> Any:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # Delivery

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, list):
            return super()._to_message(tp, record)
        tp = TP(tp.topic, tp.partition)  # aiokafka's own type is equal, and refused by Faust's flow control
        batch = Batch(tp, record, self, epoch=self._epoch(tp), expected=self._expected.get(tp))
        self._expected[tp] = batch.next_offset
        queue = self._handed_out.setdefault(tp, deque())
        while queue and queue[-1].next_offset > batch.first_offset:
            queue.pop()  # the position went back: from here on everything is handed out again
        queue.append(batch)
        schema = self.batch_schema(tp.topic)
        if schema is not None and len(queue) >= schema.max_inflight:
            self.on_buffer_full(tp)
        # Faust drops what lies before the last offset it delivered: where a topic is made again, all of it, unseen.
        self._read_offset[tp] = None
        last = record[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            None if last.timestamp is None else last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            batch,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def _epoch(self, tp: TP) -> int:
        """Changes whenever what was handed out of ``tp`` will be handed out again."""
        return self._epochs.get(tp, 0)

    def is_stale(self, tp: TP, epoch: int) -> bool:
        """Whether a batch of ``epoch`` will be handed out again, or its partition is no longer ours."""
        return tp in self._wanted or self._epoch(tp) != epoch

    def on_batch_acked(self, tp: TP) -> None:
        queue = self._handed_out.get(tp)
        if queue is None:
            return
        while queue and queue[0].acked:
            self._done[tp] = queue.popleft().next_offset
        schema = self.batch_schema(tp.topic)
        if schema is None or len(queue) < schema.max_inflight:
            self.on_buffer_drop(tp)

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._room.set()

    # Offsets

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        for tp in list(self._done):
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        if tp in self._done:
            return self._done[tp]  # kept once committed; Consumer._should_commit drops repeats
        if self.batch_schema(tp.topic) is not None:
            return None
        offset: int | None = super()._new_offset(tp)
        return offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if self.batch_schema(tp.topic) is None:
            await super()._add_gap(tp, offset_from, offset_to)

    def _forget(self) -> None:
        for tp in {*self._epochs, *self._handed_out}:
            self._epochs[tp] = self._epoch(tp) + 1
        self._handed_out.clear()
        self._done.clear()
        self._schemas.clear()
        self._expected.clear()
        self._wanted.clear()

    async def seek(self, partition: TP, offset: int) -> None:
        """Read ``partition`` from ``offset`` on, from the next fetch; what was handed out until then is stale.

        Not at once: Faust notes how far it has read after it handed a record on, so that a seek in between would have
        it drop everything up to the record it was handing on.
        """
        self._wanted[TP(partition.topic, partition.partition)] = offset
        self._room.set()

    async def _seek_now(self) -> None:
        while self._wanted:
            tp, offset = self._wanted.popitem()
            self._epochs[tp] = self._epoch(tp) + 1
            self._handed_out.pop(tp, None)
            self._done.pop(tp, None)
            await super().seek(tp, offset)
            self._expected[tp] = offset
            self._committed_offset[tp] = None
            self.on_buffer_drop(tp)

    async def seek_to_committed(self) -> Mapping[TP, int | None]:
        """Go back to the commits; where there is none yet, to the start of the log.

        aiokafka leaves a partition without a commit where it stands. Faust seeks after it threw away what it fetched
        during a rebalance, so that would skip the first records of a new topic.
        """
        offsets: Mapping[TP, int | None] = await super().seek_to_committed()
        uncommitted = [tp for tp, offset in offsets.items() if not offset]
        self._expected = {TP(tp.topic, tp.partition): offset for tp, offset in offsets.items() if offset}
        if uncommitted:
            await self._thread.seek_wait(await self._thread.earliest_offsets(*uncommitted))
        return offsets

    async def log_start(self, tp: TP) -> int:
        """The oldest offset that the broker still has."""
        return int((await self._thread.earliest_offsets(tp))[tp])

    def log_end(self, tp: TP) -> int | None:
        """Where the log of ``tp`` ended at the last fetch; None before one, and where the partition is not ours."""
        state = self._fetch_state(tp)
        return None if state is None or state.highwater is None else int(state.highwater)

    def end_reached(self, tp: TP) -> int | None:
        """Where the log of ``tp`` ends, if all of it was fetched; None if not, or while that is unknown.

        By aiokafka's own position, which passes transaction markers where the last record's offset does not.
        """
        state, end = self._fetch_state(tp), self.log_end(tp)
        return end if end is not None and state.has_valid_position and state.position >= end else None

    def _fetch_state(self, tp: TP) -> Any:
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        return assignment.state_value(tp) if assignment is not None and tp in assignment.tps else None

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector crashes a worker whose position is being looked up; lanes say what stops them."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # The app lets its agents finish and make durable what they hold, so that the commit below covers it.
        self.stop_flow()
        await self.app.release(revoked)
        await self.commit()
        await super().on_partitions_revoked(revoked)
        self._forget()  # Faust rebalances eagerly: every partition starts again from its commit

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._forget()
        await super().on_partitions_assigned(assigned, generation_id)

    # Back-pressure. Stock Faust sleeps a full second when every partition is held back, and lets a fetch on
    # an idle partition block for a second while the others have long drained.

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        if self._buffered_partitions:
            timeout = min(timeout, PRESSURE_POLL)
        return await super()._getmany(active_partitions, timeout)

    async def _wait_next_records(self, timeout: float) -> Any:
        if self._wanted and self.flow_active:
            await self._seek_now()
        if self.flow_active and not self.app.client_only and self._buffered_partitions:
            if not self._get_active_partitions():
                self._room.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._room.wait(), PRESSURE_POLL)
            if not self._get_active_partitions():
                return {}, set()
        return await super()._wait_next_records(timeout)


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's, with a limit that Faust has no setting for."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_bytes = FETCH_BYTES
        return consumer


class BatchTransport(driver.Transport):  # type: ignore[misc]
    Consumer = BatchConsumer


class BatchApp(faust.App):  # type: ignore[misc]
    """A Faust app whose batched topics follow this module's promises."""

    #: Awaited with the partitions about to be given up, before their last commit.
    on_release: Callable[[Iterable[TP]], Awaitable[None]] | None = None

    async def release(self, revoked: Iterable[TP]) -> None:
        if self.on_release is not None:
            await self.on_release(revoked)

    def _new_transport(self) -> Any:
        return BatchTransport(self.conf.broker_consumer, self)
