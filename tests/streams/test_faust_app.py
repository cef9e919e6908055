"""The app that every worker is, on a real broker that does not know a topic yet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from streams import faust_app
from streams.settings import Settings
from streams.transport import BatchSchema

TOPIC = "there-a-little-later"


async def test_a_topic_that_was_missing_as_the_group_joined_is_read_once_it_is_there(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faust_app, "TOPICS_AGE", 500)
    app = faust_app.faust_app(Settings(kafka=kafka, data_dir=tmp_path, application="joins-early", partitions=1))
    app.finalize()
    read: asyncio.Queue[int] = asyncio.Queue()

    async def agent(stream: Any) -> None:
        async for batch in stream.noack():
            for record in batch.records:
                read.put_nowait(int(record.value))
            batch.ack()

    app.agent(app.topic(TOPIC, schema=BatchSchema(), maxsize=16), name="agent")(agent)
    await app.maybe_start()
    try:
        async with asyncio.timeout(20):
            while app.consumer_generation_id < 1:  # the group stands, and holds nothing
                await asyncio.sleep(0.05)
        assert not app.consumer.assignment()
        await asyncio.to_thread(create, kafka)
        async with asyncio.timeout(20):
            assert await read.get() == 7
    finally:
        await app.stop()


def create(kafka: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(TOPIC, 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send(TOPIC, b"7")
    producer.flush()
    producer.close()
