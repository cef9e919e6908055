"""The worker that keeps events: a process, a consumer group and offsets of its own, so that no alert waits for it.

It reads ``events`` as the others do (:mod:`streams.agents`), and where its store is away it falls behind alone; what
``events`` no longer holds by then is counted and told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from faust.types import TP

from detectors.rules import load
from streams import topics
from streams.admin import SetupError, topic_ids
from streams.agents import REPLACED
from streams.deadletters import DeadLetters
from streams.event_keeping import EmbeddedEvents, EventFilter, EventsHandler, IndexedEvents, Keeper
from streams.faust_app import BLOCKS, faust_app
from streams.keys import keys_of
from streams.lanes import Handler, Lanes
from streams.lineage import TopicReplaced
from streams.permissions import roles
from streams.sender import Sender
from streams.settings import Settings
from streams.sinks.elasticsearch import Elasticsearch
from streams.sinks.event_store import EventStore, Limits
from streams.sinks.store import StoreFull
from streams.transport import Batch, BatchSchema

__all__ = ["EventsWorker"]

log = logging.getLogger(__name__)


class EventsWorker:
    """One process of ``wardwatch worker --only events``; :attr:`app` is the Faust app that runs it."""

    metrics = None  #: the other workers have them

    def __init__(self, settings: Settings) -> None:
        """Raises SetupError where Kafka is not set up for it, or no setting says where events are kept."""
        self.settings = settings.model_copy(update={"application": f"{settings.application}.events"})
        self.client: dict[str, Any] = {"bootstrap_servers": settings.kafka, **settings.security.aiokafka()}
        self.keeper = _keeper(settings)
        self._ids = topic_ids(settings, only=_TOPICS, needed=roles(settings.application)["events"])
        self.app = faust_app(self.settings)
        self.lanes = Lanes(self)
        self.sender = Sender(client=self.client, partitions={topic.name: settings.partitions for topic in topics.ALL})
        self._dead_letters = DeadLetters(keys_of(settings).dead_letter_public)
        self._kept = _filter(settings)
        self.lanes.register(topics.EVENTS, "events", self._handler)
        max_records, max_inflight = BLOCKS
        schema = BatchSchema(max_records=max_records, max_inflight=max_inflight)
        channel = self.app.topic(topics.EVENTS, schema=schema, maxsize=16384)

        async def hand_over(stream: Any) -> None:
            batch: Batch
            async for batch in stream.noack():
                self.lanes.put(batch)

        self.app.agent(channel, name="events.events")(hand_over)
        self.app.on_release = self.lanes.release

        @self.app.on_partitions_assigned.connect(weak=False)  # type: ignore[untyped-decorator]
        async def assign(_: Any, assigned: Any, **kwargs: Any) -> None:
            self.lanes.assign(assigned)

    def _handler(self, partition: int) -> Handler:
        return EventsHandler(
            self.keeper, self._kept, self.sender, self._dead_letters, topic_id=self._ids[topics.EVENTS]
        )

    # What the lanes ask of the log: streams.lanes.Log

    async def seek(self, tp: TP, offset: int) -> None:
        await self.app.consumer.seek(tp, offset)

    async def log_start(self, tp: TP) -> int:
        return int(await self.app.consumer.log_start(tp))

    async def position(self, tp: TP) -> int | None:
        position: int | None = await self.app.consumer.position(tp)
        return position

    async def identify(self, topic: str) -> None:
        ids = await asyncio.to_thread(topic_ids, self.settings, only=_TOPICS)
        if ids[topic] != self._ids[topic]:
            raise TopicReplaced(REPLACED)

    async def close(self) -> None:
        await self.lanes.close()
        await self.sender.close()
        await self.keeper.close()


_TOPICS = (topics.EVENTS, topics.DEAD_LETTERS)


def _keeper(settings: Settings) -> Keeper:
    if settings.events_index:
        if not settings.elasticsearch:
            raise SetupError("events_index is set and elasticsearch is not: name it, or unset WARDWATCH_EVENTS_INDEX")
        return IndexedEvents(Elasticsearch(settings.elasticsearch, **settings.elasticsearch_login))
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
