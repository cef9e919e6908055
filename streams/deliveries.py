"""Alerts to on-call: one durable delivery for each receiver, tried until it answers, for days and over restarts.

The step turns an alert for a receiver into a pending delivery, kept as state of the partition like any other: whoever
takes the partition over goes on where the last owner was. Attempts run beside the lane, a few at a time for each
receiver, so one that is dead delays nobody else. A delivery's id is made of alert, revision and receiver: it is the
same at every attempt, after every crash. What is told together, and why its ids do not change either, is in
:mod:`streams.holding`. All that is for one receiver lies in one partition, so a cap of the hour is one for all workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import SystemRandom
from typing import Any

import orjson

from streams.handlers import KeyedHandler
from streams.holding import Held, admit, hour_ends, summary_key
from streams.notify import Delivery, count_more, groups, letter, pending
from streams.receivers import Receiver
from streams.records import Output
from streams.schedule import Schedule
from streams.sinks.attempts import Outcome, Sink, retry_delay
from streams.transport import Batch

__all__ = ["DeliveryHandler"]

log = logging.getLogger(__name__)

#: Attempts at one receiver that one partition has under way at a time.
CONCURRENCY = 4
#: Seconds until what could not be kept is tried again.
PAUSE = 1.0

_CHANCE = SystemRandom().random
#: Deliveries given up together, where nobody is asked.
_GONE_AT_ONCE = 500


class DeliveryHandler(KeyedHandler):
    """The lane of one partition of ``notifications``, and beside it the attempts at what is pending."""

    def __init__(
        self,
        *args: Any,
        receivers: Mapping[str, Receiver],
        sinks: Mapping[str, Sink],
        clock: Callable[[], float],
        chance: Callable[[], float] = _CHANCE,
        public_url: str = "",
        **kwargs: Any,
    ) -> None:
        """``clock``: seconds since the epoch. ``sinks``: what sends to each of ``receivers``."""
        super().__init__(*args, **kwargs)
        self._receivers = receivers
        self._sinks = sinks
        self._public_url = public_url
        self._clock = clock
        self._chance = chance
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._unkept: set[bytes] = set()  #: changed by attempts, and not known to be durable: these may come back
        self._gone: dict[str, str] = {}  #: receivers that get nothing, and why
        self._schedules: dict[str, Schedule] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> int:
        await self._stop()
        position = await super().open()
        self._unkept.clear()
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
        for key in {*self.state.values.changed(), *self._unkept}:
            delivery = self.state.values.get(key)
            if isinstance(delivery, Held) and not delivery.due:
                minutes = self._receivers[delivery.receiver].group_minutes
                delivery.due = int((self._clock() + minutes * 60) * 1000)
            if delivery is not None:
                self._schedules[delivery.receiver].put(key, delivery.due)
        return derived

    async def flush(self) -> None:
        async with self._lock:
            await self._flush()

    async def _flush(self) -> None:
        await super()._flush()
        self._unkept.clear()

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
        failed = False
        deliveries: list[Delivery] = []
        try:
            deliveries = await self._ready(schedule, receiver, keys)
            outcomes = await asyncio.gather(*(self._attempt(delivery) for delivery in deliveries))
            await self._settle(receiver, list(zip(deliveries, outcomes, strict=True)))
        except Exception as exc:  # the lane finds out at its next flush, and opens again
            failed = True
            what = "what %s answered" if deliveries else "what is to be sent to %s"
            log.warning(f"{what} could not be kept, it will be tried again: %s", receiver, exc)
            self._unkept.update(keys)
        for key in keys:
            schedule.done(key)
            delivery = self.state.values.get(key)
            if delivery is not None:
                schedule.put(key, delivery.due)
        if failed:
            await asyncio.sleep(PAUSE)

    async def _ready(self, schedule: Schedule, receiver: str, keys: Sequence[bytes]) -> list[Delivery]:
        """What of ``keys`` is to be sent now: its text is fixed, it is within the cap, and both are durable."""
        settings = self._receivers.get(receiver)
        cap = settings.per_hour if settings else 0
        plain = not settings or not (cap or settings.group_minutes)
        found = [(key, value) for key in keys if (value := self.state.values.get(key)) is not None]
        ready = [value for _, value in found if isinstance(value, Delivery) and (value.admitted or not cap)]
        if plain and len(ready) == len(found):
            return ready  # whatever happens, the alert will be in this message again
        async with self._lock:
            for key, value in found:
                if isinstance(value, Held):
                    self._tell(schedule, key, value)
                elif cap and not value.admitted and self._admit(schedule, key, value, cap):
                    ready.append(value)
            # Sent before this is durable, the same id might say something else after a crash, or the same alert be
            # told in another message.
            await self._flush()
        return ready

    def _tell(self, schedule: Schedule, key: bytes, held: Held) -> None:
        """What was held becomes a delivery."""
        self.state.values.remove(key)
        if held.group:
            count_more(self.state, groups(held.receiver), -1)
        if held.count:
            # A summary is what a cap leaves, so none applies to it. A group is one message among others.
            body = held.message(self._public_url)
            delivery = Delivery(held.receiver, held.message_id, body, admitted=not held.group)
            count_more(self.state, pending(held.receiver), 1)
            self.state.values.put(delivery.webhook_id.encode(), delivery)
            schedule.put(delivery.webhook_id.encode(), delivery.due)

    def _admit(self, schedule: Schedule, key: bytes, delivery: Delivery, cap: int) -> bool:
        """Whether ``delivery`` may go out in this hour; else it is held for the summary."""
        message = orjson.loads(delivery.body)
        now = self._clock()
        admitted, last = admit(self.state.counts, delivery.receiver, message["data"]["severity"], cap=cap, now=now)
        if admitted:
            delivery.admitted = True
            if last:
                message["last_of_hour"] = {"cap": cap, "until": hour_ends(now)}
                delivery.body = orjson.dumps(message)
            self.state.values.put(key, delivery)
            return True
        name = summary_key(delivery.receiver)
        held = self.state.values.get(name) or Held(delivery.receiver, due=hour_ends(now))
        held.add(delivery.webhook_id, message)
        self.state.values.put(name, held)
        schedule.put(name, held.due)
        self._forget(delivery)
        return False

    def _kept(self, delivery: Delivery) -> Delivery:
        """``delivery`` as it is by now: while it was tried, it may have been told that it is over."""
        kept: Delivery | None = self.state.values.get(delivery.webhook_id.encode())
        return kept or delivery

    def _forget(self, delivery: Delivery) -> None:
        """It waits no longer. That it is over is told next, in this order alone: an end ends what was begun."""
        end = self._kept(delivery).end
        self.state.values.remove(delivery.webhook_id.encode())
        count_more(self.state, pending(delivery.receiver), -1)
        if end:
            follower = replace(delivery, end=end).follower()
            count_more(self.state, pending(delivery.receiver), 1)
            self.state.values.put(follower.webhook_id.encode(), follower)
            self._schedules[delivery.receiver].put(follower.webhook_id.encode(), follower.due)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        if reason := self._gone.get(delivery.receiver):
            return Outcome("gone", reason)
        return await self._sinks[delivery.receiver].attempt(delivery.webhook_id, delivery.body, self._clock())

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
                self._forget(delivery)
            for delivery, delay in again:
                waiting = self._kept(delivery)
                waiting.attempts += 1
                waiting.due = int((self._clock() + delay) * 1000)
                self.state.values.put(delivery.webhook_id.encode(), waiting)
            await self._flush()
