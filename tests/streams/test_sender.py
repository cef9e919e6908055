"""Outputs on a real broker: all of them, in order, each linked to the one before; or a failure within seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from topic_reading import read_topic

from streams.changelog import Changelog
from streams.embedded.kafka import EmbeddedKafka
from streams.lineage import NO_POSITION, Lineage, Position
from streams.records import WATERMARK, Control, Output
from streams.sender import DeliveryFailed, Sender

SOURCE = b"\x05" * 16


def create(kafka: str, topic: str, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(topic, partitions, 1, topic_configs={"max.message.bytes": "4194304"})])
    admin.close()


async def test_records_of_every_size_arrive_in_order_and_linked(kafka: str, unique: str) -> None:
    create(kafka, unique, 2)
    sender = Sender(client={"bootstrap_servers": kafka}, partitions={unique: 2})
    sizes = [1, 10, 2_000_000, 5, 990_000, 20_000, 3_900_000, *[1] * 20_000, 700_000, 700_000]
    derived = [(n, [Output(unique, b"%d" % (n % 7), b"v" * size)]) for n, size in enumerate(sizes)]
    assert await sender.send(SOURCE, 3, derived) == {unique: len(sizes)}
    await sender.close()
    found = await asyncio.to_thread(read_topic, kafka, unique)
    assert sum(map(len, found.values())) == len(sizes)
    for records in found.values():
        previous = NO_POSITION
        for record in records:
            lineage = Lineage.unpack(record.headers[0][1])
            assert (lineage.topic, lineage.partition, lineage.previous) == (SOURCE, 3, previous)
            assert len(record.value) == sizes[lineage.position.offset]
            previous = lineage.position
        assert previous > Position(20_000, 0)


async def test_a_record_larger_than_its_topic_takes_is_said_to_be(kafka: str, unique: str) -> None:
    create(kafka, unique, 1)
    sender = Sender(client={"bootstrap_servers": kafka}, partitions={unique: 1})
    with pytest.raises(DeliveryFailed, match="MessageSizeTooLarge"):
        await sender.send(SOURCE, 0, [(0, [Output(unique, b"k", b"v" * 5_000_000)])])
    assert await sender.send(SOURCE, 0, [(1, [Output(unique, b"k", b"v")])]) == {unique: 1}
    await sender.close()


async def test_where_no_broker_is_both_kinds_of_record_fail_alike() -> None:
    sender = Sender(client={"bootstrap_servers": "127.0.0.1:9"}, partitions={"topic": 1})
    for attempt in (
        lambda: sender.send(SOURCE, 0, [(0, [Output("topic", b"k", b"v")])]),
        lambda: sender.control(Control("topic", WATERMARK, b"{}")),
    ):
        with pytest.raises(DeliveryFailed, match="no broker takes records: KafkaConnectionError"):
            await attempt()
    await sender.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.kafka
async def test_a_broker_that_hangs_holds_nobody_who_leaves(tmp_path: Path) -> None:
    """A worker that gives a partition up, or ends, must not wait for a broker that answers nothing."""
    broker = EmbeddedKafka(tmp_path / "kafka", port=0)
    await asyncio.to_thread(broker.start)
    try:
        client = {"bootstrap_servers": broker.bootstrap}
        await asyncio.to_thread(create, broker.bootstrap, "topic", 1)
        sender = Sender(client=client, partitions={"topic": 1})
        changelog = Changelog(client=client, topic="topic", partition=0, transactional_id="t")
        await sender.send(SOURCE, 0, [(0, [Output("topic", b"k", b"v")])])
        await changelog.open(lambda key, value: None)
        os.kill(broker.pid, signal.SIGSTOP)
        waiting = [
            asyncio.create_task(sender.send(SOURCE, 0, [(1, [Output("topic", b"k", b"v")])])),
            asyncio.create_task(changelog.commit({b"k": b"v"})),
        ]
        await asyncio.wait(waiting, timeout=0.5)
        began = time.monotonic()
        await asyncio.gather(sender.close(), changelog.close())
        assert time.monotonic() - began < 8
        results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 2)
        assert all(isinstance(result, Exception) for result in results)
        await asyncio.sleep(0.1)
        assert asyncio.all_tasks() == {asyncio.current_task()}
    finally:
        os.kill(broker.pid, signal.SIGCONT)
        await asyncio.to_thread(broker.stop)
