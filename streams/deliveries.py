"""Alerts to on-call: one durable delivery for each receiver, tried until it answers, for days and over restarts.

The step turns an alert into one pending delivery per receiver, kept as state of the partition like any other: whoever
takes the partition over goes on where the last owner was. Attempts run beside the lane, a few at a time for each
receiver, so one that is dead delays nobody else. A delivery's id is made of alert, revision and receiver: it is the
same at every attempt, after every crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

import httpx
import orjson

from detectors.base import SEVERITIES, Alert
from streams import topics
from streams.codecs import alert_document, decode_alert
from streams.deadletters import DeadLetters
from streams.handlers import KeyedHandler
from streams.lineage import SCHEMA, NewerSchema
from streams.records import Output, RawRecord, Record
from streams.settings import Receiver
from streams.sinks.webhook import Outcome, decode_secret, post, retry_delay
from streams.state import PartitionState
from streams.transport import Batch

__all__ = ["Delivery", "DeliveryHandler", "Notify"]

log = logging.getLogger(__name__)

#: Attempts at one receiver that one partition has under way at a time.
CONCURRENCY = 4
#: Deliveries of one partition that may wait for one receiver; more go to dead letters, from where they can be replayed.
MAX_PENDING = 20_000

_CHANCE = SystemRandom().random


@dataclass(slots=True)
class Delivery:
    """One alert on its way to one receiver."""

    receiver: str
    webhook_id: str
    body: bytes
    attempts: int = 0
    due: int = 0  #: ms since the epoch; 0 is at once


class Notify:
    """The step: a pure function of the alert. What is pending is the state."""

    def __init__(self, receivers: Mapping[str, Receiver], dead_letters: DeadLetters) -> None:
        self._receivers = {name: SEVERITIES.index(r.minimum_severity) for name, r in receivers.items()}
        self._dead_letters = dead_letters

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        alert = decode_alert(record.value)
        severity = SEVERITIES.index(alert.severity)
        body = _body(alert)
        refused: list[Output] = []
        for name, minimum in self._receivers.items():
            if severity < minimum:
                continue
            delivery = Delivery(name, f"{alert.id}.{alert.revision}.{name}", body)
            waiting = state.counts.get(_pending(name), 0)
            if waiting >= MAX_PENDING:
                reason = f"{waiting} deliveries to {name} wait already"
                refused.append(letter(self._dead_letters, delivery, reason, received=alert.last_seen))
            else:
                state.counts[_pending(name)] = waiting + 1
                state.values.put(delivery.webhook_id.encode(), delivery)
        return refused

    def dump(self, key: bytes, value: Delivery) -> bytes:
        return orjson.dumps([SCHEMA, value.receiver, value.body.decode(), value.attempts, value.due])

    def load(self, key: bytes, raw: bytes) -> Delivery:
        schema, receiver, body, attempts, due = orjson.loads(raw)
        if schema > SCHEMA:
            raise NewerSchema(f"a delivery of schema {schema}; this worker reads {SCHEMA}: upgrade it")
        return Delivery(receiver, key.decode(), body.encode(), attempts, due)


def letter(dead_letters: DeadLetters, delivery: Delivery, reason: str, *, received: int) -> Output:
    """The dead letter of a delivery that will not be tried again."""
    raw = RawRecord(topics.NOTIFICATIONS, 0, 0, received, delivery.body, {"webhook-id": delivery.webhook_id.encode()})
    output = dead_letters.output(raw, stage="notify", reason=reason)
    return output._replace(key=delivery.webhook_id.encode())


def _pending(receiver: str) -> str:
    return f"pending.{receiver}"


def _body(alert: Alert) -> bytes:
    return orjson.dumps(
        {
            "type": "alert.opened" if alert.revision == 1 else "alert.updated",
            "timestamp": alert.last_seen,
            "data": alert_document(alert),
        }
    )


class DeliveryHandler(KeyedHandler):
    """The lane of one partition of ``notifications``, and beside it the attempts at what is pending."""

    def __init__(
        self,
        *args: Any,
        receivers: Mapping[str, Receiver],
        default_key: bytes,
        client: httpx.AsyncClient,
        clock: Callable[[], float],
        chance: Callable[[], float] = _CHANCE,
        **kwargs: Any,
    ) -> None:
        """``clock``: seconds since the epoch. ``default_key``: signs where a receiver has no secret of its own."""
        super().__init__(*args, **kwargs)
        self._receivers = receivers
        self._keys = {
            name: decode_secret(r.secret.get_secret_value()) if r.secret else default_key
            for name, r in receivers.items()
        }
        self._client = client
        self._clock = clock
        self._chance = chance
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._gone: set[str] = set()
        self._failure: Exception | None = None  #: what kept an answer from being kept
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> int:
        await self._stop()
        self._failure = None
        position = await super().open()
        self._tasks = [asyncio.create_task(self._deliver(name), name=f"deliver {name}") for name in self._receivers]
        return position

    async def process(self, batch: Batch) -> bool:
        async with self._lock:
            durable = await super().process(batch)
        self._wake()
        return durable

    async def flush(self) -> None:
        if self._failure is not None:
            raise self._failure
        async with self._lock:
            await self._flush()

    async def close(self) -> None:
        await self._stop()
        await super().close()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()

    async def _deliver(self, receiver: str) -> None:
        """Try what is due for one receiver, for as long as the partition is ours."""
        while True:
            woken = self._woken
            due, pause = self._due(receiver)
            if due:
                outcomes = await asyncio.gather(*(self._attempt(delivery) for delivery in due))
                try:
                    await self._settle(list(zip(due, outcomes, strict=True)))
                except Exception as exc:
                    # The state could not be written: the lane is told at its next flush, and opens again.
                    log.warning("what %s answered could not be kept, it will be asked again: %s", receiver, exc)
                    self._failure = exc
                    return
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), pause)

    def _due(self, receiver: str) -> tuple[list[Delivery], float | None]:
        """What to try now, oldest first; else how many seconds until there is something, None when nothing waits."""
        now = self._clock() * 1000
        mine = [d for _, d in self.state.values.items() if d.receiver == receiver]
        due = sorted((d for d in mine if d.due <= now), key=lambda d: d.due)[:CONCURRENCY]
        later = min((d.due for d in mine if d.due > now), default=None)
        return due, None if later is None else (later - now) / 1000

    async def _attempt(self, delivery: Delivery) -> Outcome:
        if delivery.receiver in self._gone:
            return Outcome("gone", "410 before")
        return await post(
            self._client,
            self._receivers[delivery.receiver].url,
            key=self._keys[delivery.receiver],
            webhook_id=delivery.webhook_id,
            body=delivery.body,
            now=self._clock(),
        )

    async def _settle(self, outcomes: list[tuple[Delivery, Outcome]]) -> None:
        """Make durable what came of the attempts. A delivery given up is a dead letter before it is forgotten."""
        async with self._lock:
            for delivery, outcome in outcomes:
                key = delivery.webhook_id.encode()
                if outcome.verdict == "delivered":
                    self._forget(delivery)
                    continue
                delay = None
                if outcome.verdict == "gone":
                    self._gone.add(delivery.receiver)
                else:
                    delay = retry_delay(delivery.attempts + 1, retry_after=outcome.retry_after, chance=self._chance)
                if delay is None:
                    await self._give_up(delivery, outcome)
                    self._forget(delivery)
                else:
                    delivery.attempts += 1
                    delivery.due = int((self._clock() + delay) * 1000)
                    self.state.values.put(key, delivery)
                    log.warning(
                        "%s did not take an alert (%s), attempt %d; next in %.0f s",
                        delivery.receiver,
                        outcome.detail,
                        delivery.attempts,
                        delay,
                    )
            await self._flush()

    async def _give_up(self, delivery: Delivery, outcome: Outcome) -> None:
        reason = f"receiver {delivery.receiver} did not take it in {delivery.attempts + 1} attempts: {outcome.detail}"
        output = letter(self._dead_letters, delivery, reason, received=int(self._clock() * 1000))
        await self._sender.send(self._topic_id, 0, [(0, [output])])

    def _forget(self, delivery: Delivery) -> None:
        self.state.values.remove(delivery.webhook_id.encode())
        self.state.counts[_pending(delivery.receiver)] -= 1
