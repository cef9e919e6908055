"""The worker that keeps events: a process, a consumer group and offsets of its own, so that no alert waits for it.

It reads ``events`` as the others do (:mod:`streams.agents`), and where its store is away it falls behind alone; what
``events`` no longer holds by then is counted and told. It watches itself as they do (:mod:`streams.rounds`), with
numbers and a heartbeat of its own, and tells what is wrong through ``findings``.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from detectors.rules import load
from streams import topics
from streams.admin import SetupError, topic_ids
from streams.deadletters import DeadLetters
from streams.event_keeping import EmbeddedEvents, EventFilter, EventsHandler, IndexedEvents, Keeper
from streams.faust_app import BLOCKS, faust_app
from streams.feeding import Feed
from streams.indexing import stores_of
from streams.keys import keys_of
from streams.lanes import Handler
from streams.metrics import Metrics
from streams.permissions import roles
from streams.rounds import Rounds
from streams.sender import Sender
from streams.settings import Settings
from streams.sinks.database import StoreFull
from streams.sinks.elasticsearch import Elasticsearch, StoreUnavailable
from streams.sinks.event_store import EventStore, Limits
from streams.tallies import Skews, Tally
from streams.vault import Vault
from streams.watch import Watch

__all__ = ["EventsWorker"]

log = logging.getLogger(__name__)


class EventsWorker:
    """One process of ``wardwatch worker --only events``; :attr:`app` is the Faust app that runs it."""

    kind = "events"
    counted = "events"
    vault: Vault | None = None  #: it writes no identity

    def __init__(self, settings: Settings) -> None:
        """Raises SetupError where Kafka is not set up for it, or no setting says where events are kept."""
        self.settings = settings.of_events
        self.name = f"{socket.gethostname()}.{os.getpid()}"
        self.client: dict[str, Any] = {"bootstrap_servers": settings.kafka, **settings.security.aiokafka()}
        self.keeper = _keeper(settings)
        self.topic_ids = topic_ids(settings, only=_TOPICS, needed=roles(settings.application)["events"])
        self.app = faust_app(self.settings)
        self._feed = Feed(self.app, self.settings, self.topic_ids)
        self.lanes = self._feed.lanes
        self.tallies = {("events", topics.EVENTS): Tally()}
        self.skews = Skews()
        self.sender = Sender(client=self.client, partitions={topic.name: settings.partitions for topic in topics.ALL})
        self._dead_letters = DeadLetters(keys_of(settings).dead_letter_public)
        self._kept = _filter(settings)
        self._stores = stores_of(settings, indexed=False)
        self._away = ""
        self.http = httpx.AsyncClient()  # for the heartbeat
        self.watch = Watch(
            self.settings,
            self.sender,
            self._stores,
            name=self.name,
            sinks={},
            client=self.http,
            clock=time.time,
            keeps_events=True,
        )
        self.metrics = Metrics(settings.events_path) if self.settings.metrics_port else None
        self._rounds = Rounds(self)
        self._rounds.begin()
        self._feed.agent(topics.EVENTS, "events", self._handler, BLOCKS)

    def _handler(self, partition: int) -> Handler:
        return EventsHandler(
            self.keeper,
            self._kept,
            self.sender,
            self._dead_letters,
            topic_id=self.topic_ids[topics.EVENTS],
            tally=self.tallies["events", topics.EVENTS],
        )

    # What its rounds ask: streams.rounds.Watched

    def broker_clock(self) -> float:
        """It stamps nothing, so it knows no clock but its own."""
        return time.time()

    def see(self) -> Mapping[str, Any]:
        """That Kafka is away is told by the workers that make alerts."""
        return {"unkept": self._away}

    async def look_around(self) -> None:
        try:
            await self.keeper.check()
            self._away = ""
        except StoreUnavailable as exc:
            self._away = "The Elasticsearch that keeps events does not answer."
            log.warning("%s", exc)

    async def keep(self, name: str, fact: Any) -> None:
        await self._stores.keep(name, fact)

    async def close(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        await self.lanes.close()
        await self.watch.close()
        await self.sender.close()
        await self.http.aclose()
        await self._stores.close()
        await self.keeper.close()


_TOPICS = (topics.EVENTS, topics.DEAD_LETTERS, topics.FINDINGS)


def _keeper(settings: Settings) -> Keeper:
    if settings.events_index:
        if not settings.elasticsearch:
            raise SetupError("events_index is set and elasticsearch is not: name it, or unset WARDWATCH_EVENTS_INDEX")
        index = Elasticsearch(settings.elasticsearch, **settings.elasticsearch_login)
        return IndexedEvents(index, ZoneInfo(settings.events_zone))
    if settings.events_store:
        limits = Limits(settings.events_megabytes * 1024 * 1024, settings.events_days)
        store: EventStore | Path = settings.events_path
        try:
            store = EventStore(settings.events_path)
        except StoreFull as exc:
            log.error("%s", exc)
        return EmbeddedEvents(store, limits, time.time)
    raise SetupError("events are kept nowhere: set WARDWATCH_EVENTS_STORE or WARDWATCH_EVENTS_INDEX to true")


def _filter(settings: Settings) -> EventFilter:
    rules = None
    if settings.events_rules:
        rules = load(
            [path.expanduser() for path in settings.events_rules],
            lists=settings.rule_context["lists"],
        )
        for problem in rules.problems:
            log.error("rule not loaded: %s", problem)
        if not rules.rules:
            raise SetupError("none of events_rules can be loaded, and without one all events would be kept: mend them")
    return EventFilter(sources=settings.events_sources, rules=rules, sample=settings.events_sample)
