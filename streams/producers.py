"""Ends Kafka clients within a stated time, whatever the broker does."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerClosed

__all__ = ["STOP_SECONDS", "stop", "stop_reading"]

#: Seconds a producer may take to deliver what it holds, and again to let go of its connections.
STOP_SECONDS = 3.0


async def stop(producer: AIOKafkaProducer) -> None:
    """Stop ``producer``. What it could not deliver in time has failed; nothing of it runs afterwards. Never raises.

    aiokafka's own ``stop`` waits for deliveries that no broker takes, and cut short it leaves its tasks running, which
    would deliver once the broker is back.
    """
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()
            return
    _hang_up(producer.client)
    await producer.client.close()  # what is under way fails now
    with suppress(KafkaError, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await producer._sender.close()
    accumulator = producer._message_accumulator
    waiting = [batch for batches in accumulator._batches.values() for batch in batches]
    # Each takes itself out of what is under way as it fails, also one that waits to be sent again.
    accumulator._pending_batches.update(waiting)
    for batch in list(accumulator._pending_batches):
        batch.failure(ProducerClosed())
        for future in (batch.future, batch._drain_waiter):
            future.exception()  # whoever sent it may be gone


async def stop_reading(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer that is in no group, at once.

    Over TLS, aiokafka's own ``stop`` waits half a minute for the goodbye of a broker that has a fetch of it under way.
    """
    _hang_up(consumer._client)
    await consumer.stop()


def _hang_up(client: Any) -> None:
    """End the connections of an aiokafka client without a goodbye: nobody waits for what they still bring."""
    for connection in list(client._conns.values()):
        if connection._writer is not None:
            connection._writer.transport.abort()
