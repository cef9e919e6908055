"""The batch driver on a real broker: what is delivered, what is committed, and what rests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from faust.types import TP
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from streams.transport import Batch, BatchApp, BatchSchema

Receive = Callable[[Batch], Awaitable[None]]


def fill(kafka: str, topic: str, count: int, *, partitions: int = 2, transactional: bool = False) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    if topic not in admin.list_topics():
        admin.create_topics([NewTopic(topic, partitions, 1)])
    admin.close()
    extra: dict[str, Any] = {"transactional_id": f"fill-{topic}"} if transactional else {}
    producer = KafkaProducer(bootstrap_servers=kafka, **extra)
    if transactional:
        producer.init_transactions()
    for start in range(0, count, 50):
        if transactional:
            producer.begin_transaction()
        for number in range(start, min(start + 50, count)):
            producer.send(topic, b"%d" % number, partition=number % partitions)
        if transactional:
            producer.commit_transaction()
    producer.flush()
    producer.close()


def committed(kafka: str, group: str, topic: str) -> dict[int, int]:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    offsets = admin.list_group_offsets(group).get(group, {})
    admin.close()
    return {tp.partition: found.offset for tp, found in offsets.items() if tp.topic == topic}


@asynccontextmanager
async def running(
    kafka: str, topic: str, receive: Receive, *, max_records: int = 10, max_inflight: int = 4
) -> AsyncIterator[BatchApp]:
    app = BatchApp(
        f"app-{topic}",
        broker=f"aiokafka://{kafka}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=2,
        broker_session_timeout=6,
        broker_commit_interval=0.3,
        stream_wait_empty=False,
        datadir="/nonexistent",
    )
    app.finalize()

    async def agent(stream: Any) -> None:
        async for batch in stream.noack():
            await receive(batch)

    channel = app.topic(topic, schema=BatchSchema(max_records=max_records, max_inflight=max_inflight), maxsize=16384)
    app.agent(channel, name=f"agent-{topic}")(agent)
    await app.maybe_start()
    try:
        yield app
    finally:
        await app.stop()


async def until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def values(batches: list[Batch]) -> list[int]:
    return [int(record.value) for batch in batches for record in batch.records]


async def test_every_record_comes_once_in_order_and_in_batches(kafka: str, unique: str) -> None:
    await asyncio.to_thread(fill, kafka, unique, 200)
    got: list[Batch] = []

    async def receive(batch: Batch) -> None:
        got.append(batch)
        batch.ack()

    async with running(kafka, unique, receive):
        await until(lambda: sum(map(len, got)) == 200)
    assert sorted(values(got)) == list(range(200))
    assert all(len(batch) <= 10 for batch in got)
    for partition in (0, 1):
        assert values([b for b in got if b.tp.partition == partition]) == list(range(partition, 200, 2))


async def test_only_the_acknowledged_prefix_is_committed(kafka: str, unique: str) -> None:
    await asyncio.to_thread(fill, kafka, unique, 100, partitions=1)
    got: list[Batch] = []

    async def receive(batch: Batch) -> None:
        got.append(batch)
        if batch.first_offset != 20:
            batch.ack()

    async with running(kafka, unique, receive, max_inflight=100):
        await until(lambda: sum(map(len, got)) == 100)
        await asyncio.sleep(1)  # three commit intervals
        assert await asyncio.to_thread(committed, kafka, f"app-{unique}", unique) == {0: 20}
        next(batch for batch in got if batch.first_offset == 20).ack()
        await asyncio.sleep(1)
        assert await asyncio.to_thread(committed, kafka, f"app-{unique}", unique) == {0: 100}


async def test_a_batch_never_acknowledged_comes_again_after_a_restart(kafka: str, unique: str) -> None:
    await asyncio.to_thread(fill, kafka, unique, 60, partitions=1)
    first: list[Batch] = []
    again: list[Batch] = []

    async def hold(batch: Batch) -> None:
        first.append(batch)
        if batch.first_offset < 30:
            batch.ack()

    async def take(batch: Batch) -> None:
        again.append(batch)
        batch.ack()

    async with running(kafka, unique, hold, max_inflight=100):
        await until(lambda: sum(map(len, first)) == 60)
    async with running(kafka, unique, take):
        await until(lambda: sum(map(len, again)) == 30)
    assert values(again) == list(range(30, 60))


async def test_a_partition_that_does_not_acknowledge_rests_alone(kafka: str, unique: str) -> None:
    await asyncio.to_thread(fill, kafka, unique, 400)
    got: dict[int, list[Batch]] = {0: [], 1: []}

    async def receive(batch: Batch) -> None:
        got[batch.tp.partition].append(batch)
        if batch.tp.partition == 1:
            batch.ack()

    async with running(kafka, unique, receive) as app:
        await until(lambda: sum(map(len, got[1])) == 200)
        held = len(got[0])
        assert app.consumer.end_reached(TP(unique, 1)) == 200
        await asyncio.to_thread(fill, kafka, unique, 400)
        await until(lambda: sum(map(len, got[1])) == 400)
        assert len(got[0]) == held, "a resting partition was read on"
        assert app.consumer.end_reached(TP(unique, 1)) == 400
        for batch in got[0]:
            batch.ack()
        await until(lambda: len(got[0]) > held)


async def test_transaction_markers_are_no_gaps(kafka: str, unique: str) -> None:
    await asyncio.to_thread(fill, kafka, unique, 200, partitions=1, transactional=True)
    got: list[Batch] = []

    async def receive(batch: Batch) -> None:
        got.append(batch)
        batch.ack()

    async with running(kafka, unique, receive) as app:
        await until(lambda: sum(map(len, got)) == 200)
        last = got[-1].next_offset
        assert last > 200, "the markers take offsets too"
        await until(lambda: app.consumer.end_reached(TP(unique, 0)) == last + 1)  # beyond the last marker
        await asyncio.sleep(1)
        assert await asyncio.to_thread(committed, kafka, f"app-{unique}", unique) == {0: last}


async def test_seek_hands_out_again_what_was_not_acknowledged(kafka: str, unique: str) -> None:
    await asyncio.to_thread(fill, kafka, unique, 40, partitions=1)
    got: list[Batch] = []

    async def receive(batch: Batch) -> None:
        got.append(batch)

    async with running(kafka, unique, receive, max_inflight=100) as app:
        await until(lambda: sum(map(len, got)) == 40)
        await app.consumer.seek(TP(unique, 0), 10)
        await until(lambda: sum(map(len, got)) == 70)
        assert values(got)[40:] == list(range(10, 40))
        assert [batch.stale for batch in got] == [batch.first_offset < 40 and n < 4 for n, batch in enumerate(got)]


async def test_a_seek_while_records_are_on_their_way_loses_none(kafka: str, unique: str) -> None:
    """Faust keeps how far it has read, and drops what comes below: a seek must not fall between the two."""
    await asyncio.to_thread(fill, kafka, unique, 3000, partitions=1)
    fresh: list[int] = []
    sought = False

    async def receive(batch: Batch) -> None:
        nonlocal sought
        if not sought and batch.first_offset == 100:
            sought = True
            await app.consumer.seek(batch.tp, 20)
        elif not batch.stale:
            fresh.extend(int(record.value) for record in batch.records)
            batch.ack()

    async with running(kafka, unique, receive, max_inflight=1000) as app:
        await until(lambda: fresh[-1:] == [2999])
    assert fresh == [*range(100), *range(20, 3000)]


async def test_what_retention_took_while_nobody_read_is_seen(kafka: str, unique: str) -> None:
    await asyncio.to_thread(fill, kafka, unique, 40, partitions=1)
    got: list[Batch] = []

    async def receive(batch: Batch) -> None:
        got.append(batch)
        batch.ack()

    async with running(kafka, unique, receive):
        await until(lambda: sum(map(len, got)) == 40)
    await asyncio.to_thread(fill, kafka, unique, 60, partitions=1)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({TopicPartition(unique, 0): 70})
    admin.close()
    got.clear()
    async with running(kafka, unique, receive) as app:
        await until(lambda: sum(map(len, got)) == 30)
        assert (got[0].expected, got[0].first_offset) == (40, 70)
        assert await app.consumer.log_start(TP(unique, 0)) == 70
        assert [batch.expected for batch in got[1:]] == [80, 90]


async def test_offsets_that_begin_again_are_handed_out(kafka: str, unique: str) -> None:
    """As those of a topic that was deleted and made again: aiokafka goes to its start, and Faust is not asked."""
    await asyncio.to_thread(fill, kafka, unique, 40, partitions=1)
    got: list[Batch] = []

    async def receive(batch: Batch) -> None:
        got.append(batch)

    async with running(kafka, unique, receive, max_inflight=100) as app:
        await until(lambda: sum(map(len, got)) == 40)
        app.consumer._thread.seek(TP(unique, 0), 10)
        await until(lambda: sum(map(len, got)) == 70)
        assert values(got)[40:] == list(range(10, 40))


async def test_without_a_commit_it_goes_back_to_the_start(kafka: str, unique: str) -> None:
    """After a rebalance Faust seeks to the commits; a partition that has none must not go on where it stood."""
    await asyncio.to_thread(fill, kafka, unique, 40, partitions=1)
    got: list[Batch] = []

    async def receive(batch: Batch) -> None:
        got.append(batch)

    async with running(kafka, unique, receive, max_inflight=100) as app:
        await until(lambda: sum(map(len, got)) == 40)
        await app.consumer.perform_seek()
        await until(lambda: sum(map(len, got)) == 80)
        assert values(got)[40:] == list(range(40))


async def test_what_is_released_before_a_rebalance_is_committed(kafka: str, unique: str) -> None:
    await asyncio.to_thread(fill, kafka, unique, 100)
    got: list[Batch] = []
    second: list[Batch] = []

    async def receive(batch: Batch) -> None:
        got.append(batch)

    async def other(batch: Batch) -> None:
        second.append(batch)
        batch.ack()

    async with running(kafka, unique, receive, max_inflight=100) as app:
        await until(lambda: sum(map(len, got)) == 100)

        async def release(_: Any) -> None:
            for batch in got:
                batch.ack()

        app.on_release = release
        async with running(kafka, unique, other):
            await asyncio.sleep(3)
        assert second == [], "what was acknowledged on release was handed out again"


def test_a_batch_is_as_large_as_it_may_be_and_no_larger() -> None:
    def lengths(schema: BatchSchema, *sizes: int) -> list[list[int]]:
        batches = schema.cut([SimpleNamespace(value=b"x" * size or None) for size in sizes])
        return [[len(record.value or b"") for record in batch] for batch in batches]

    schema = BatchSchema(max_records=3, max_bytes=10)
    assert lengths(schema, 4, 6, 1, 9, 1) == [[4, 6], [1, 9], [1]]
    assert lengths(schema, 11, 0, 10, 12, 3) == [[11], [0, 10], [12], [3]]
    assert lengths(schema, 0, 0, 0, 0) == [[0, 0, 0], [0]]
    assert lengths(BatchSchema(max_records=2), 11, 99, 1) == [[11, 99], [1]]
    assert lengths(schema) == []
