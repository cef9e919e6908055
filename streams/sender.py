"""Sends what a step derived, in position order, and returns once all of it is durable.

Promises (rules 2 and 3 of ``docs/replay.md``): outputs for one downstream partition leave in the order of their
positions, each linked to the one before it; acks=all with an idempotent producer; a delivery that failed, or an acked
offset that does not rise, raises :class:`DeliveryFailed`, and then the caller sends again from its last durable
position.
"""

from __future__ import annotations

import asyncio
from binascii import crc32
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.blocks import LIMIT, Row, pack
from streams.lineage import BLOCK, HEADER, NO_POSITION, Lineage, Position
from streams.records import Control, Output
from streams.topics import BLOCKS

__all__ = ["DeliveryFailed", "Sender", "partition_for"]

_BATCH_BYTES = 900_000

#: Key, value and the one header of a Kafka record.
_Message = tuple[bytes | None, bytes, tuple[str, bytes]]


class DeliveryFailed(Exception):
    """The broker did not take a record. Nothing is known of the batch: send all of it again."""


def partition_for(key: bytes, partitions: int) -> int:
    """CRC-32 of the key modulo the count, as librdkafka's ``consistent`` partitioner does."""
    return crc32(key) % partitions


class Sender:
    """One idempotent producer for a worker. Used by many tasks; each call stands alone."""

    def __init__(self, *, client: Mapping[str, Any], partitions: Mapping[str, int]) -> None:
        """``client``: aiokafka connection settings. ``partitions``: how many each topic written to has."""
        self._client = dict(client)
        self._partitions = dict(partitions)
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._client,
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=1_000_000,
                    max_request_size=16_000_000,
                )
                await producer.start()
                self._producer = producer
            return self._producer

    async def send(self, topic_id: bytes, partition: int, derived: Iterable[tuple[int, Sequence[Output]]]) -> int:
        """Send the outputs of consecutive records of one source partition. Returns how many there were.

        ``derived`` gives each record's offset and its outputs, in offset order. Raises DeliveryFailed.
        """
        partitions = self._partitions
        targets: dict[tuple[str, int], _Target] = {}
        count = 0
        for offset, outputs in derived:
            for index, (topic, key, value, event, time) in enumerate(outputs):
                name = (topic, crc32(key) % partitions[topic])
                target = targets.get(name)
                if target is None:
                    target = targets[name] = _Target(topic_id, partition)
                if topic in BLOCKS:
                    target.add((offset, index, event, time, key.decode()), value)
                else:
                    target.append(Position(offset, index), event, key, value)
            count += len(outputs)
        if targets:
            await self._deliver({name: target.messages() for name, target in targets.items()})
        return count

    async def control(self, control: Control) -> None:
        """Send one control record to every partition of its topic. Raises DeliveryFailed."""
        producer = await self._ready()
        try:
            sent = [
                await producer.send(control.topic, control.value, partition=partition, headers=[(control.header, b"")])
                for partition in range(self._partitions[control.topic])
            ]
            await _all(sent)
        except KafkaError as exc:
            await self._abandon(producer)
            raise DeliveryFailed(f"{control.header} to {control.topic}: {exc!r}") from exc

    async def _deliver(self, messages: Mapping[tuple[str, int], Sequence[_Message]]) -> None:
        producer = await self._ready()
        sent: list[asyncio.Future[Any]] = []
        targets: list[tuple[str, int]] = []
        try:
            for (topic, partition), waiting in messages.items():
                builder, size = producer.create_batch(), 0
                for key, value, header in waiting:
                    record = len(key or b"") + len(value) + len(header[1]) + 32
                    if size and size + record > _BATCH_BYTES:
                        builder.close()
                        sent.append(await producer.send_batch(builder, topic, partition=partition))
                        targets.append((topic, partition))
                        builder, size = producer.create_batch(), 0
                    builder.append(key=key, value=value, timestamp=None, headers=[header])
                    size += record
                builder.close()
                sent.append(await producer.send_batch(builder, topic, partition=partition))
                targets.append((topic, partition))
            acked: dict[tuple[str, int], int] = {}
            for target, metadata in zip(targets, await _all(sent), strict=True):
                if metadata.offset <= acked.get(target, -1):
                    raise DeliveryFailed(f"offsets of {target[0]}[{target[1]}] did not rise")
                acked[target] = metadata.offset
        except KafkaError as exc:
            await self._abandon(producer)
            raise DeliveryFailed(repr(exc)) from exc

    async def _abandon(self, producer: AIOKafkaProducer) -> None:
        """A producer that failed once may have a gap in its sequence: the next send starts a new one."""
        if self._producer is producer:
            self._producer = None
            await _stop(producer)

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


class _Target:
    """What one call sends to one partition, in the order of positions, each message linked to the one before it."""

    __slots__ = ("_messages", "_partition", "_previous", "_rows", "_size", "_topic_id", "_values")

    def __init__(self, topic_id: bytes, partition: int) -> None:
        self._topic_id = topic_id
        self._partition = partition
        self._previous = NO_POSITION
        self._messages: list[_Message] = []
        self._rows: list[Row] = []
        self._values: list[bytes] = []
        self._size = 0

    def append(self, position: Position, event: int, key: bytes, value: bytes) -> None:
        """A record of its own."""
        self._messages.append((key, value, (HEADER, self._link(position, event))))

    def add(self, row: Row, value: bytes) -> None:
        """One more line of a block; a topic carries either blocks or records of their own."""
        self._rows.append(row)
        self._values.append(value)
        self._size += len(value)
        if self._size >= LIMIT:
            self._seal()

    def messages(self) -> list[_Message]:
        if self._rows:
            self._seal()
        return self._messages

    def _seal(self) -> None:
        offset, index, *_ = self._rows[-1]
        block = pack(self._rows, self._values)
        self._messages.append((None, block, (BLOCK, self._link(Position(offset, index), 0))))
        self._rows, self._values, self._size = [], [], 0

    def _link(self, position: Position, event: int) -> bytes:
        lineage = Lineage(self._topic_id, self._partition, position, self._previous, event)
        self._previous = position
        return lineage.pack()


async def _stop(producer: AIOKafkaProducer) -> None:
    # its deliveries were reported failed already; the connection is closed with the process at the latest
    with suppress(KafkaError, TimeoutError):
        await asyncio.wait_for(producer.stop(), 5)


async def _all(sent: Sequence[asyncio.Future[Any]]) -> list[Any]:
    """Results of every delivery; each is waited for, so that none is left to land behind our back."""
    results = await asyncio.gather(*sent, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
