"""The deliveries' handler with its clock in the test's hand, and real receivers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from nacl.public import PrivateKey
from standing_in import NO_JOURNAL, TOPIC, Memory, Sent, batch_of, derived

from detectors.base import Alert
from streams.codecs import encode_alert
from streams.deadletters import DeadLetters
from streams.deliveries import DeliveryHandler
from streams.notify import Notify
from streams.receivers import (
    AnyReceiver,
    WebhookReceiver,
)
from streams.routing import Routes
from streams.sinks.catalog import make_sinks
from streams.tallies import Tally

__all__ = ["KEY", "LETTERS", "PRIVATE", "Clock", "Running", "running", "until"]

KEY = bytes(range(32))
PRIVATE = PrivateKey.generate()
LETTERS = DeadLetters(bytes(PRIVATE.public_key))


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Running:
    def __init__(self, handler: DeliveryHandler, memory: Memory, sent: Sent, clock: Clock, routes: Routes) -> None:
        self.handler = handler
        self._routes = routes
        self.memory = memory
        self.sent = sent
        self.clock = clock
        self._offset = handler.state.position

    async def take(self, *alerts: Alert, flush: bool = True) -> None:
        asked = [(taken, name) for taken in alerts for name in self._routes.of(taken)]
        records = [
            derived(self._offset + n, encode_alert(taken), key=name.encode()) for n, (taken, name) in enumerate(asked)
        ]
        self._offset += len(records)
        await self.handler.process(batch_of("notifications", records))
        if flush:
            await self.handler.flush()

    async def pass_time(self, seconds: float) -> None:
        """Let ``seconds`` pass for the deliveries, which are woken as their timer would."""
        await asyncio.sleep(0.3)  # what the receiver answered is kept by now
        self.clock.now += seconds
        self.handler._wake()
        await asyncio.sleep(0.1)

    def pending(self) -> int:
        return sum(1 for key in self.memory.held if not key.startswith(b"\x00"))


@asynccontextmanager
async def running(
    urls: dict[str, str | AnyReceiver],
    *,
    memory: Memory | None = None,
    clock: Clock | None = None,
    minimum: Any = "low",
    secret: str | None = None,
) -> AsyncIterator[Running]:
    memory, sent, clock = memory or Memory(), Sent(), clock or Clock()
    receivers: dict[str, AnyReceiver] = {
        name: WebhookReceiver(url=at, minimum_severity=minimum, secret=secret) if isinstance(at, str) else at
        for name, at in urls.items()
    }
    sinks = make_sinks(receivers, private_hosts=["127.0.0.1"], webhook_key=KEY)
    handler = DeliveryHandler(
        Notify(receivers, LETTERS),
        sent,
        memory,
        LETTERS,
        journal=NO_JOURNAL,
        stage="notify",
        tally=Tally(),
        topic_id=TOPIC,
        now=lambda: 0.0,
        receivers=receivers,
        sinks=sinks,
        clock=clock,
        chance=lambda: 0.5,
    )
    await handler.open()
    try:
        yield Running(handler, memory, sent, clock, Routes(receivers))
    finally:
        await handler.close()
        for sink in sinks.values():
            await sink.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
