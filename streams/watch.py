"""The pipeline watches itself: what :mod:`streams.conditions` finds becomes alerts through the same topics.

What stops that way itself (Kafka away, the steps that make alerts or deliver them stuck) goes to the receivers and the
stores directly, under the id that it will have in the topics too, so that a receiver takes the two for one. That is in
memory only: a worker that ends meanwhile is missed by whoever watches its heartbeat. A receiver's cap does not hold it
back. That it is over comes by the topics alone.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

import httpx

from detectors.base import Alert, Finding
from streams import topics
from streams.alerting import alert_of
from streams.codecs import encode_finding
from streams.conditions import AGAIN, Conditions, Look
from streams.heartbeat import Heartbeat
from streams.indexing import Stores
from streams.notify import alert_body, webhook_id
from streams.occasions import DIRECT, GAP, SUBJECT, looking
from streams.records import OWN, Control, Output
from streams.routing import Routes
from streams.sender import DeliveryFailed, Sender
from streams.settings import Settings
from streams.sinks.attempts import Sink

__all__ = ["Watch"]

log = logging.getLogger(__name__)

#: Findings that wait for Kafka: a week of one trouble. Beyond it none is added; what lasts is said again later.
MOST = 1000
#: Steps without which no alert is made or delivered.
_NEEDED = ("alert ", "notify ")
#: What a heartbeat must not hide. That events are not kept is for the heartbeat of those that keep them.
_ILL = frozenset({"kafka", "stuck", "store", "vault", "key"})
_KEEPER_ILL = _ILL | {"unkept"}


class Watch:
    """One worker's. :meth:`take` every look; it never waits, and what it began :meth:`close` ends."""

    def __init__(
        self,
        settings: Settings,
        sender: Sender,
        stores: Stores,
        *,
        name: str,
        sinks: Mapping[str, Sink],
        client: httpx.AsyncClient,
        clock: Callable[[], float],
        keeps_events: bool = False,
    ) -> None:
        """``clock``: seconds since the epoch. ``sinks``: what sends to each receiver. ``client``: the heartbeat's.

        ``name``: no other worker's. ``keeps_events``: this is a worker that does nothing else.
        """
        self.kafka = ""  #: our sentence while Kafka does not answer
        self.stores: dict[str, str] = {}  #: stores that do not answer: which, and the exception's name
        self._settings = settings
        self._sender = sender
        self._written = stores
        self._sinks = sinks
        self._routes = Routes(settings.receivers)
        self._name = name
        self._clock = clock
        self._since: float | None = None  #: when it first looked
        self._looked = 0.0  #: when the topics were last told that this worker looks
        self._keeps_events = keeps_events
        self._conditions = Conditions(settings, socket.gethostname())
        self._ill = _KEEPER_ILL if keeps_events else _ILL
        self._waiting: dict[str, Finding] = {}  #: by id, for Kafka to take
        self._occasions: dict[tuple[str, str], tuple[Finding, int]] = {}  #: told directly: the first, and when last
        self._reached: set[str] = set()  #: webhook ids, and ids of alerts that the stores have
        self._tasks: dict[str, asyncio.Task[None]] = {}
        url = settings.heartbeat_url.get_secret_value()
        self.heartbeat = Heartbeat(url, client) if url else None

    @property
    def store(self) -> str:
        """Which stores do not answer, in words; empty where all do."""
        return ", ".join(f"{name}: {why}" for name, why in self.stores.items())

    @property
    def well(self) -> bool:
        return not self.kafka and not self._conditions.lasting & self._ill

    async def beat(self) -> None:
        """Call the heartbeat's address if there is one and all is well."""
        if self.heartbeat is not None and self.well:
            await self.heartbeat.beat()

    def take(self, look: Look) -> None:
        """Judge what was seen, and have it told."""
        self._since = self._clock() if self._since is None else self._since
        for seen in self._conditions.judge(look, now=self._clock()):
            log.warning("%s: %s", seen.title, seen.reason)
            finding = seen
            if _goes_directly(seen):
                first = self._first(seen)
                if first.time == seen.time:  # the topics hear that people were told this one
                    finding = first
                alert = alert_of(first)
                self._begin(alert.id, self._tell_directly(alert))
            if len(self._waiting) < MOST:
                self._waiting.setdefault(finding.id, finding)
        if (self._waiting or self._looks) and not self.kafka:
            self._begin("", self._tell())

    def _first(self, finding: Finding) -> Finding:
        """The first finding of this one's occasion, as :mod:`streams.occasions` will see it."""
        key = str(finding.rule["id"]), str(finding.evidence[SUBJECT])
        first, last = self._occasions.get(key, (finding, -GAP))
        if finding.time - last > GAP:
            first = replace(finding, evidence={**finding.evidence, DIRECT: True})
        self._occasions[key] = first, finding.time
        return first

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work`` beside everything else, unless what is called ``name`` is still being done."""
        running = self._tasks.get(name)
        if running is not None and not running.done():
            work.close()
            return
        self._tasks = {other: task for other, task in self._tasks.items() if not task.done()}
        self._tasks[name] = asyncio.create_task(work, name=f"watch {name}")

    async def _tell(self) -> None:
        for finding in list(self._waiting.values()):
            try:
                await self._sender.tell(Output(topics.FINDINGS, finding.entity.encode(), encode_finding(finding)))
            except DeliveryFailed as exc:
                log.warning("what the pipeline says of itself waits for Kafka: %s", exc)
                return
            self._waiting.pop(finding.id, None)
        if self._looks:
            try:
                await self._sender.control(Control(topics.FINDINGS, OWN, looking(self._name)))
            except DeliveryFailed as exc:
                log.warning("what is over is told later: %s", exc)
            else:
                self._looked = self._clock()

    @property
    def _looks(self) -> bool:
        """Whether this worker is to say that it looks. It has to have seen what lasts, if something does.

        One that keeps events sees little of the pipeline, so its silence ends nothing.
        """
        now = self._clock()
        seen = not self._keeps_events and self._since is not None and now - self._since > self._settings.trouble_after
        return seen and now - self._looked >= AGAIN

    async def _tell_directly(self, alert: Alert) -> None:
        """Once to each receiver that takes it, and into the stores; called again every minute for what failed."""
        await asyncio.gather(*(self._post(name, alert) for name in self._routes.of(alert)))
        if alert.id not in self._reached:
            try:
                await self._written.write([alert], now=int(self._clock() * 1000))
            except Exception as exc:  # a store may be away as well; the topics will bring it
                log.warning("an alert of the pipeline is not in every store yet: %s", type(exc).__name__)
            else:
                self._reached.add(alert.id)

    async def _post(self, name: str, alert: Alert) -> None:
        delivery = webhook_id(alert, name)
        if delivery in self._reached:
            return
        body = alert_body(alert, public_url=self._settings.public_url)
        outcome = await self._sinks[name].attempt(delivery, body, self._clock())
        if outcome.verdict == "retry":
            log.warning("%s did not take an alert of the pipeline (%s); next in a minute", name, outcome.detail)
        else:
            self._reached.add(delivery)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _goes_directly(finding: Finding) -> bool:
    """Whether what it says keeps it from being told by way of the topics."""
    if finding.rule["id"] == "pipeline.kafka":
        return True
    return finding.rule["id"] == "pipeline.stuck" and str(finding.evidence[SUBJECT]).startswith(_NEEDED)
