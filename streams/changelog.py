"""Durable state of one input partition: a compacted topic behind a fenced writer.

Promises (rules 6 and 7 of ``docs/replay.md``):

- :meth:`Changelog.open` fences whoever owned the partition before, then reads what was committed. From then on no
  write of an older owner can become visible.
- :meth:`Changelog.commit` is one Kafka transaction: all of it is there, or none.
- A writer that was fenced raises :class:`Fenced` and has written nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, OutOfOrderSequenceNumber, ProducerFenced

from streams import producers
from streams.refusals import Refused, missing_permission

__all__ = ["OWNER", "Changelog", "Fenced"]

#: Key of the record each owner writes first; reading up to it means having read everything before it.
OWNER = b"\x00owner"

#: Bytes of one batch of records; a larger record is a batch of its own.
_BATCH_BYTES = 1_000_000


class Fenced(Exception):
    """Another worker owns the partition now, or the broker gave our transaction up."""


class Changelog:
    """State of one step's input partition, as bytes by key. One owner at a time, used by one task.

    Each of its calls raises Refused where Kafka does not allow it.
    """

    def __init__(self, *, client: Mapping[str, Any], topic: str, partition: int, transactional_id: str) -> None:
        """``client``: connection settings as aiokafka's clients take them."""
        self._client = dict(client)
        self.topic = topic
        self._partition = partition
        self._transactional_id = transactional_id
        self._producer: AIOKafkaProducer | None = None

    async def open(self, on_record: Callable[[bytes, bytes | None], None]) -> None:
        """Take ownership, then hand every committed record (key, value or None for a tombstone) in log order."""
        await self.close()
        self._producer = AIOKafkaProducer(
            **self._client,
            transactional_id=self._transactional_id,
            acks="all",
            max_batch_size=_BATCH_BYTES,
            max_request_size=8_000_000,
        )
        try:
            await self._producer.start()
            await self._producer.begin_transaction()  # waits for the producer id: from here on others are fenced
            claim = uuid.uuid4().bytes
            sent = await self._producer.send(self.topic, claim, OWNER, partition=self._partition)
            await self._producer.commit_transaction()
            end = (await sent).offset
            await self._producer.begin_transaction()
        except (ProducerFenced, InvalidProducerEpoch, OutOfOrderSequenceNumber) as exc:
            raise Fenced(self._describe()) from exc
        except KafkaError as exc:
            raise self._refused(exc, "Write") or exc from None
        try:
            await self._read(end, on_record)
        except KafkaError as exc:
            raise self._refused(exc, "Read") or exc from None

    async def _read(self, end: int, on_record: Callable[[bytes, bytes | None], None]) -> None:
        consumer = AIOKafkaConsumer(
            **self._client,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4_000_000,
        )
        await consumer.start()
        try:
            tp = TopicPartition(self.topic, self._partition)
            consumer.assign([tp])
            await consumer.seek_to_beginning(tp)
            while True:
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    for record in records:
                        if record.key != OWNER:
                            on_record(record.key, record.value)
                        if record.offset >= end:
                            return
        finally:
            await producers.stop_reading(consumer)

    async def commit(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Write all of ``changes``, None as a tombstone, atomically. Returns once they are durable. Raises Fenced."""
        producer = self._producer
        if producer is None:
            raise Fenced(f"{self._describe()} is not open")
        try:
            sent = []
            batch = producer.create_batch()
            for key, value in changes.items():
                if batch.append(key=key, value=value, timestamp=None) is None:  # it is full
                    sent.append(await producer.send_batch(batch, self.topic, partition=self._partition))
                    batch = producer.create_batch()
                    batch.append(key=key, value=value, timestamp=None)
            batch.close()
            sent.append(await producer.send_batch(batch, self.topic, partition=self._partition))
            failures = [r for r in await asyncio.gather(*sent, return_exceptions=True) if isinstance(r, Exception)]
            if failures:
                raise failures[0]
            await producer.commit_transaction()
            await producer.begin_transaction()
        except (ProducerFenced, InvalidProducerEpoch, OutOfOrderSequenceNumber) as exc:
            raise Fenced(self._describe()) from exc
        except KafkaError as exc:
            raise self._refused(exc, "Write") or exc from None

    async def close(self) -> None:
        """Let go of the connection; ownership ends when the next owner opens."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producers.stop(producer)

    def _refused(self, exc: KafkaError, operation: str) -> Refused | None:
        """What is not allowed, where that is why."""
        topic, transactional_id = f"{operation} Topic {self.topic}", f"Write TransactionalId {self._transactional_id}"
        told = missing_permission(exc, self._client, topic=topic, transactional_id=transactional_id)
        return Refused(told) if told else None

    def _describe(self) -> str:
        return f"state of {self.topic}[{self._partition}] ({self._transactional_id})"
