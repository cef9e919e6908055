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
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams import producers
from streams.lineage import HEADER, NO_POSITION, Lineage, Position
from streams.records import Control, Output

__all__ = ["DeliveryFailed", "Sender", "partition_for"]

#: Bytes of one batch of records; a larger record is a batch of its own.
_BATCH_BYTES = 1_000_000


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
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=16_000_000,
                )
                try:
                    await producer.start()
                except KafkaError as exc:
                    await producers.stop(producer)
                    raise DeliveryFailed(f"no broker takes records: {exc!r}") from exc
                self._producer = producer
            return self._producer

    async def send(self, topic_id: bytes, partition: int, derived: Iterable[tuple[int, Sequence[Output]]]) -> int:
        """Send the outputs of consecutive records of one source partition. Returns how many there were.

        ``derived`` gives each record's offset and its outputs, in offset order. Raises DeliveryFailed.
        """
        partitions = self._partitions
        previous: dict[tuple[str, int], Position] = {}
        batches: dict[tuple[str, int], list[tuple[bytes, bytes, bytes]]] = {}
        count = 0
        for offset, outputs in derived:
            for index, (topic, key, value, event) in enumerate(outputs):
                target = (topic, crc32(key) % partitions[topic])
                position = Position(offset, index)
                header = Lineage(topic_id, partition, position, previous.get(target, NO_POSITION), event).pack()
                previous[target] = position
                records = batches.get(target)
                if records is None:
                    records = batches[target] = []
                records.append((key, value, header))
                count += 1
        if batches:
            await self._deliver(batches)
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

    async def _deliver(self, batches: Mapping[tuple[str, int], list[tuple[bytes, bytes, bytes]]]) -> None:
        producer = await self._ready()
        sent: list[asyncio.Future[Any]] = []
        targets: list[tuple[str, int]] = []
        try:
            for (topic, partition), records in batches.items():
                builder = producer.create_batch()
                for key, value, header in records:
                    headers = [(HEADER, header)]
                    if builder.append(key=key, value=value, timestamp=None, headers=headers) is None:  # it is full
                        sent.append(await producer.send_batch(builder, topic, partition=partition))
                        targets.append((topic, partition))
                        builder = producer.create_batch()
                        builder.append(key=key, value=value, timestamp=None, headers=headers)
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
            await producers.stop(producer)

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producers.stop(producer)


async def _all(sent: Sequence[asyncio.Future[Any]]) -> list[Any]:
    """Results of every delivery; each is waited for, so that none is left to land behind our back."""
    results = await asyncio.gather(*sent, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
