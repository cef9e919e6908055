"""State on a real broker: atomic, fenced, and all there for the next owner."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from streams.changelog import Changelog, Fenced


@pytest.fixture
def topic(kafka: str, unique: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    config = {"cleanup.policy": "compact", "max.message.bytes": "8388608"}
    admin.create_topics([NewTopic(unique, 2, 1, topic_configs=config)])
    admin.close()
    return unique


def changelog(kafka: str, topic: str, partition: int = 0) -> Changelog:
    client = {"bootstrap_servers": kafka}
    return Changelog(client=client, topic=topic, partition=partition, transactional_id=f"{topic}.{partition}")


async def content(log: Changelog) -> dict[bytes, Any]:
    found: dict[bytes, Any] = {}
    await log.open(found.__setitem__)
    return {key: value for key, value in found.items() if value is not None}


async def test_the_next_owner_finds_what_was_committed(kafka: str, topic: str) -> None:
    first, second = changelog(kafka, topic), changelog(kafka, topic)
    assert await content(first) == {}
    await first.commit({b"a": b"1", b"b": b"2"})
    await first.commit({b"a": b"3", b"b": None})
    assert await content(second) == {b"a": b"3"}
    await first.close()
    await second.close()


async def test_an_old_owner_is_fenced_and_writes_nothing(kafka: str, topic: str) -> None:
    old, new = changelog(kafka, topic), changelog(kafka, topic)
    await content(old)
    await old.commit({b"a": b"old"})
    await content(new)
    with pytest.raises(Fenced):
        await old.commit({b"a": b"zombie"})
    await new.commit({b"b": b"new"})
    assert await content(old) == {b"a": b"old", b"b": b"new"}
    await old.close()
    await new.close()


async def test_a_flush_cut_short_is_never_seen_and_holds_nobody(kafka: str, topic: str) -> None:
    """Its records lie in the log, uncommitted, before the next owner's first: reading must pass them by."""
    old, new = changelog(kafka, topic), changelog(kafka, topic)
    await content(old)
    await old.commit({b"a": b"1"})
    assert old._producer is not None
    await old._producer.send_and_wait(topic, b"half", b"a", partition=0)
    async with asyncio.timeout(15):
        assert await content(new) == {b"a": b"1"}
    with pytest.raises(Fenced):
        await old.commit({b"b": b"2"})
    await new.commit({b"c": b"3"})
    assert await content(old) == {b"a": b"1", b"c": b"3"}
    await old.close()
    await new.close()


async def test_a_large_flush_is_one_transaction(kafka: str, topic: str) -> None:
    log = changelog(kafka, topic)
    await content(log)
    changes: dict[bytes, bytes | None] = {b"%d" % n: b"v" * 200 for n in range(20_000)}
    await log.commit(changes)
    assert await content(log) == changes
    await log.close()


async def test_partitions_do_not_fence_each_other(kafka: str, topic: str) -> None:
    zero, one = changelog(kafka, topic, 0), changelog(kafka, topic, 1)
    await content(zero)
    await content(one)
    await zero.commit({b"a": b"0"})
    await one.commit({b"a": b"1"})
    assert await content(zero) == {b"a": b"0"}
    await zero.close()
    await one.close()


async def test_a_closed_changelog_refuses(kafka: str, topic: str) -> None:
    log = changelog(kafka, topic)
    await content(log)
    await log.close()
    with pytest.raises(Fenced):
        await log.commit({b"a": b"1"})
