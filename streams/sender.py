"""Sends what a step derived, in position order, and returns once all of it is durable.

Promises (rules 2 and 3 of ``docs/replay.md``): outputs for one downstream partition leave in the order of their
positions, each linked to the one before it; acks=all with an idempotent producer; a delivery that failed, or an acked
offset that does not rise, raises :class:`DeliveryFailed`, and then the caller sends again from its last durable
position.
"""

from __future__ import annotations

import asyncio
from binascii import crc32
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams import producers
from streams.blocks import LIMIT, pack
from streams.lineage import BLOCK, HEADER, NO_POSITION, Lineage, Position
from streams.numbering import numbered
from streams.records import OWN, Control, Output
from streams.refusals import missing_permission
from streams.topics import BLOCKS

__all__ = ["DeliveryFailed", "Sender"]

#: Bytes of one batch of records; a larger record is a batch of its own.
_BATCH_BYTES = 1_000_000

#: Kafka's timestamp type of what the broker stamped.
_APPEND_TIME = 1

#: An output, and the offset and index of its position.
_Placed = tuple[int, int, Output]
#: Key, value and the one header of a Kafka record.
_Message = tuple[bytes | None, bytes, tuple[str, bytes]]


class DeliveryFailed(Exception):
    """The broker did not take a record. Nothing is known of the batch: send all of it again."""


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

    async def send(
        self, topic_id: bytes, partition: int, derived: Iterable[tuple[int, Sequence[Output]]]
    ) -> Mapping[str, int]:
        """Send the outputs of consecutive records of one source partition. Returns how many went to each topic.

        ``derived`` gives each record's offset and its outputs, in offset order. Raises DeliveryFailed.
        """
        partitions = self._partitions
        targets: dict[tuple[str, int], list[_Placed]] = defaultdict(list)
        for offset, outputs in derived:
            for index, output in numbered(outputs):
                topic = output[0]  # partitioned by CRC-32, as librdkafka does it
                targets[topic, crc32(output[1]) % partitions[topic]].append((offset, index, output))
        if targets:
            await self._deliver(
                {
                    target: (_blocks if target[0] in BLOCKS else _by_themselves)(topic_id, partition, placed)
                    for target, placed in targets.items()
                }
            )
        counts: dict[str, int] = defaultdict(int)
        for (topic, _), placed in targets.items():
            counts[topic] += len(placed)
        return counts

    async def control(self, control: Control) -> int | None:
        """Send one control record to every partition of its topic. Raises DeliveryFailed.

        Gives the broker's time (ms) when it took the last, None where the topic does not carry that.
        """
        producer = await self._ready()
        try:
            sent = [
                await producer.send(control.topic, control.value, partition=partition, headers=[(control.header, b"")])
                for partition in range(self._partitions[control.topic])
            ]
            stamps = [metadata.timestamp for metadata in await _all(sent) if metadata.timestamp_type == _APPEND_TIME]
        except KafkaError as exc:
            await self._abandon(producer)
            told = missing_permission(exc, self._client, topic=f"Write Topic {control.topic}")
            raise DeliveryFailed(told or f"{control.header} to {control.topic}: {exc!r}") from exc
        return max(stamps, default=None)

    async def tell(self, output: Output) -> None:
        """Send what a worker says of the pipeline: a record that no other led to. Raises DeliveryFailed."""
        producer = await self._ready()
        topic, key, value, *_ = output
        try:
            partition = crc32(key) % self._partitions[topic]
            await _all([await producer.send(topic, value, key=key, partition=partition, headers=[(OWN, b"")])])
        except KafkaError as exc:
            await self._abandon(producer)
            raise DeliveryFailed(f"{OWN} to {topic}: {exc!r}") from exc

    async def _deliver(self, messages: Mapping[tuple[str, int], Sequence[_Message]]) -> None:
        producer = await self._ready()
        sent: list[asyncio.Future[Any]] = []
        targets: list[tuple[str, int]] = []
        try:
            for (topic, partition), waiting in messages.items():
                builder = producer.create_batch()
                for key, value, header in waiting:
                    if builder.append(key=key, value=value, timestamp=None, headers=[header]) is None:  # it is full
                        sent.append(await producer.send_batch(builder, topic, partition=partition))
                        targets.append((topic, partition))
                        builder = producer.create_batch()
                        builder.append(key=key, value=value, timestamp=None, headers=[header])
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
            topic = exc.args[0] if exc.args else ", ".join(sorted({topic for topic, _ in messages}))
            told = missing_permission(exc, self._client, topic=f"Write Topic {topic}")
            raise DeliveryFailed(told or repr(exc)) from exc

    async def _abandon(self, producer: AIOKafkaProducer) -> None:
        """A producer that failed once may have a gap in its sequence: the next send starts a new one."""
        if self._producer is producer:
            self._producer = None
            await producers.stop(producer)

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producers.stop(producer)


def _by_themselves(topic_id: bytes, partition: int, placed: Sequence[_Placed]) -> list[_Message]:
    """One message for each output, linked to the one before it."""
    messages: list[_Message] = []
    previous = NO_POSITION
    for offset, index, output in placed:
        position = Position(offset, index)
        header = Lineage(topic_id, partition, position, previous, output.event).pack()
        messages.append((output.key, output.value, (HEADER, header)))
        previous = position
    return messages


def _blocks(topic_id: bytes, partition: int, placed: Sequence[_Placed]) -> list[_Message]:
    """As few messages as may be, each linked to the one before it."""
    messages: list[_Message] = []
    previous = NO_POSITION
    while placed:
        values = [output.value for _, _, output in placed]
        full = bisect_left(list(accumulate(map(len, values))), LIMIT) + 1
        rows = [(offset, index, o.event, o.time, o.key.decode()) for offset, index, o in placed[:full]]
        position = Position(*rows[-1][:2])
        header = Lineage(topic_id, partition, position, previous, 0).pack()
        messages.append((None, pack(rows, values[:full]), (BLOCK, header)))
        previous, placed = position, placed[full:]
    return messages


async def _all(sent: Sequence[asyncio.Future[Any]]) -> list[Any]:
    """Results of every delivery; each is waited for, so that none is left to land behind our back."""
    results = await asyncio.gather(*sent, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
