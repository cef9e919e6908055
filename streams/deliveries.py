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
from streams.schedule import Schedule
from streams.settings import Receiver
from streams.sinks.webhook import Outcome, post, retry_delay
from streams.state import PartitionState
from streams.transport import Batch

__all__ = ["Delivery", "DeliveryHandler", "Notify", "webhook_body", "webhook_id"]

log = logging.getLogger(__name__)

#: Attempts at one receiver that one partition has under way at a time.
CONCURRENCY = 4
#: Deliveries of one partition that may wait for one receiver; more go to dead letters, from where they can be replayed.
MAX_PENDING = 20_000

#: Bytes of a request's body; a longer one goes without evidence, and says so.
MAX_BODY = 256 * 1024

_CHANCE = SystemRandom().random
#: Deliveries given up together, where nobody is asked.
_GONE_AT_ONCE = 500


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
        body = webhook_body(alert)
        refused: list[Output] = []
        for name, minimum in self._receivers.items():
            if severity < minimum:
                continue
            delivery = Delivery(name, webhook_id(alert, name), body)
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


def webhook_id(alert: Alert, receiver: str) -> str:
    """The same at every attempt, whoever makes it: by it a receiver knows a repeat."""
    return f"{alert.id}.{alert.revision}.{receiver}"


def webhook_body(alert: Alert) -> bytes:
    """What a receiver is sent of an alert."""
    data = alert_document(alert)
    message = {
        "type": "alert.opened" if alert.revision == 1 else "alert.updated",
        "timestamp": alert.last_seen,
        "data": data,
    }
    body = orjson.dumps(message)
    if len(body) > MAX_BODY:
        for finding in data["findings"]:
            finding |= {"evidence": {}, "event_ids": finding["event_ids"][:10]}
        body = orjson.dumps({**message, "truncated": True})
    return body


class DeliveryHandler(KeyedHandler):
    """The lane of one partition of ``notifications``, and beside it the attempts at what is pending."""

    def __init__(
        self,
        *args: Any,
        receivers: Mapping[str, Receiver],
        signing: Mapping[str, Sequence[bytes]],
        client: httpx.AsyncClient,
        clock: Callable[[], float],
        chance: Callable[[], float] = _CHANCE,
        **kwargs: Any,
    ) -> None:
        """``clock``: seconds since the epoch. ``signing``: each receiver's keys, all of which sign."""
        super().__init__(*args, **kwargs)
        self._receivers = receivers
        self._signing = signing
        self._client = client
        self._clock = clock
        self._chance = chance
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._gone: dict[str, str] = {}  #: receivers that get nothing, and why
        self._schedules: dict[str, Schedule] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> int:
        await self._stop()
        position = await super().open()
        self._schedules = {name: Schedule() for name in self._receivers}
        for key, delivery in self.state.values.items():
            self._schedules.setdefault(delivery.receiver, Schedule()).put(key, delivery.due)
        for name in self._schedules.keys() - self._receivers.keys():
            self._gone[name] = "it is no longer in the settings"
        self._tasks = [asyncio.create_task(self._deliver(name), name=f"deliver {name}") for name in self._schedules]
        return position

    async def process(self, batch: Batch) -> bool:
        async with self._lock:
            durable = await super().process(batch)
        self._wake()
        return durable

    def _fold(self, batch: Batch) -> list[tuple[int, Sequence[Output]]]:
        derived = super()._fold(batch)
        for key in self.state.values.changed():
            delivery = self.state.values.get(key)
            if delivery is not None:
                self._schedules[delivery.receiver].put(key, delivery.due)
        return derived

    async def flush(self) -> None:
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
        schedule = self._schedules[receiver]
        while True:
            woken = self._woken
            now = self._clock() * 1000
            keys = schedule.take(int(now), _GONE_AT_ONCE if receiver in self._gone else CONCURRENCY)
            if keys:
                await self._try(schedule, receiver, keys)
                continue
            due = schedule.next_due()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), None if due is None else (due - now) / 1000)

    async def _try(self, schedule: Schedule, receiver: str, keys: Sequence[bytes]) -> None:
        deliveries = [delivery for key in keys if (delivery := self.state.values.get(key)) is not None]
        outcomes = await asyncio.gather(*(self._attempt(delivery) for delivery in deliveries))
        failed = False
        try:
            await self._settle(receiver, list(zip(deliveries, outcomes, strict=True)))
        except Exception as exc:  # the lane finds out at its next flush, and opens again
            failed = True
            log.warning("what %s answered could not be kept, it will be asked again: %s", receiver, exc)
        for key in keys:
            schedule.done(key)
            delivery = self.state.values.get(key)
            if delivery is not None:
                schedule.put(key, delivery.due)
        if failed:
            await asyncio.sleep(1)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        if reason := self._gone.get(delivery.receiver):
            return Outcome("gone", reason)
        return await post(
            self._client,
            self._receivers[delivery.receiver].url,
            keys=self._signing[delivery.receiver],
            webhook_id=delivery.webhook_id,
            body=delivery.body,
            now=self._clock(),
        )

    async def _settle(self, receiver: str, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Make durable what came of the attempts. A delivery given up is a dead letter before it is forgotten."""
        async with self._lock:
            finished: list[Delivery] = []
            letters: list[Output] = []
            again: list[tuple[Delivery, float]] = []
            for delivery, outcome in outcomes:
                delay = None
                if outcome.verdict == "retry":
                    delay = retry_delay(delivery.attempts + 1, retry_after=outcome.retry_after, chance=self._chance)
                if delay is not None:
                    again.append((delivery, delay))
                    log.warning("%s did not take an alert (%s); next in %.0f s", receiver, outcome.detail, delay)
                    continue
                if outcome.verdict == "gone":
                    self._gone.setdefault(receiver, outcome.detail)
                if outcome.verdict != "delivered":
                    reason = (
                        f"receiver {receiver} did not take it in {delivery.attempts + 1} attempts: {outcome.detail}"
                    )
                    letters.append(letter(self._dead_letters, delivery, reason, received=int(self._clock() * 1000)))
                finished.append(delivery)
            if letters:
                log.error("%d alerts to %s are dead letters now: %s", len(letters), receiver, reason)
                await self._sender.send(self._topic_id, 0, [(0, letters)])
            for delivery in finished:
                self.state.values.remove(delivery.webhook_id.encode())
            if finished:
                self.state.counts[_pending(receiver)] -= len(finished)
            for delivery, delay in again:
                delivery.attempts += 1
                delivery.due = int((self._clock() + delay) * 1000)
                self.state.values.put(delivery.webhook_id.encode(), delivery)
            await self._flush()
