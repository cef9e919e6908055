"""The Faust agents, one per step of the way of an event. Each hands its batches to the lanes of its step.

======== =================== ===============================================================================
step     reads               does
======== =================== ===============================================================================
ingest   audit.*             decode, normalise, rules, allow-list and pseudonyms; a dead letter says what failed
behave   events, views       detectors with memory, one state per entity
alert    findings            a finding becomes an alert, once
index    alerts              into the embedded store and Elasticsearch
notify   notifications       a durable delivery to each receiver, tried for days
======== =================== ===============================================================================

What a step does to a record is in :mod:`streams.pipeline`; what is durable when, in :mod:`streams.handlers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
from faust.types import TP
from kafka.errors import KafkaError

from detectors.base import EntityKind
from detectors.registry import registered
from detectors.rules import load
from streams import topics
from streams.admin import SetupError, topic_ids
from streams.changelog import Changelog
from streams.deadletters import DeadLetters
from streams.deliveries import DeliveryHandler, Notify
from streams.epochs import Epochs
from streams.handlers import FLUSH_BATCHES, IngestHandler, KeyedHandler
from streams.indexing import IndexHandler, Stores
from streams.installation import Installation, KeyWatch, agree
from streams.keys import Keys, keys_of
from streams.lanes import Handler, Lanes
from streams.lineage import TopicReplaced
from streams.pipeline import Alerting, Behave, Ingest, Reader
from streams.records import WATERMARK, Control
from streams.reporting import Reporter
from streams.sender import DeliveryFailed, Sender
from streams.settings import Receiver, Settings
from streams.sinks.elasticsearch import Elasticsearch
from streams.sinks.store import AlertStore, StoreError
from streams.sinks.webhook import decode_secret
from streams.state import KeyedStep
from streams.transport import Batch, BatchApp, BatchSchema
from streams.vault import Vault
from streams.watermarks import InputClocks

__all__ = ["Worker", "build"]

log = logging.getLogger(__name__)

#: Seconds between two reports of a worker on itself.
REPORT_SECONDS = 2.0
#: Seconds after which nobody asks what a worker said that is there no longer.
FORGET_SECONDS = 3600.0

#: Kafka records that a lane takes at once, and batches of them that may wait for it. Their bytes are most of a worker's
#: memory. Ingest is done with each batch at once; other steps take several until they flush, and one more may wait.
INPUT = (1000, 2)
BLOCKS = (4, FLUSH_BATCHES + 1)
RECORDS = (500, FLUSH_BATCHES + 1)

#: Why a lane stops whose topic changed under a running worker.
REPLACED = "the topic was deleted and made again while this worker ran: start the workers again"

VIEW_KINDS: tuple[EntityKind, ...] = ("patient", "device", "address")


class Worker:
    """The parts of one worker process; :attr:`app` is the Faust app that runs them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client: dict[str, Any] = {"bootstrap_servers": settings.kafka}
        self.topic_ids = topic_ids(settings)
        self.app = _faust_app(settings)
        self.lanes = Lanes(self)
        self.sender = Sender(client=self.client, partitions={topic.name: settings.partitions for topic in topics.ALL})
        self.clocks = InputClocks(inputs=settings.partitions * len(topics.INPUTS), idle_after=settings.idle_after)
        keys = keys_of(settings)
        self.vault = Vault(keys.vault_public, self.sender) if settings.vault else None
        epochs = Epochs(agree(settings, keys), keys.held, self.vault.learn if self.vault else None)
        self.installation = Installation(settings)
        self.keys = KeyWatch(self.installation, epochs, partial(keys_of, settings), notice=settings.rotation_notice)
        self.dead_letters = DeadLetters(keys.dead_letter_public)
        detectors = registered()
        rules = load([path.expanduser() for path in settings.rules], beside_starter=True)
        for problem in rules.problems:
            log.error("rule not loaded: %s", problem)
        self.ingest = Ingest(
            Reader(rules, epochs),
            self.dead_letters,
            views=[kind for kind in VIEW_KINDS if any(d.entity == kind for d in detectors)],
        )
        for topic in topics.INPUTS:
            self._agent(topic, "ingest", self._ingest_handler(topic))
        self._keyed(topics.EVENTS, "behave", Behave(detectors, kinds=["actor"]))
        self._keyed(topics.VIEWS, "behave", Behave(detectors, kinds=VIEW_KINDS))
        self._keyed(topics.FINDINGS, "alert", Alerting())
        self.stores = _stores(settings)
        self._agent(topics.ALERTS, "index", self._index_handler)
        # Each partition has few requests under way, so no receiver that hangs uses up the connections of another.
        self.http = httpx.AsyncClient(limits=httpx.Limits(max_connections=None))
        self._keyed(
            topics.NOTIFICATIONS, "notify", Notify(settings.receivers, self.dead_letters), self._deliveries(keys)
        )
        self._hook()

    # What the lanes ask of the log: streams.lanes.Log

    async def seek(self, tp: TP, offset: int) -> None:
        await self.app.consumer.seek(tp, offset)

    async def log_start(self, tp: TP) -> int:
        return int(await self.app.consumer.log_start(tp))

    async def position(self, tp: TP) -> int | None:
        position: int | None = await self.app.consumer.position(tp)
        return position

    async def identify(self, topic: str) -> None:
        if topic in await self._replaced():
            raise TopicReplaced(REPLACED)

    async def _replaced(self) -> list[str]:
        """Topics that are not those which were there when this worker started. Raises SetupError."""
        ids = await asyncio.to_thread(topic_ids, self.settings)
        return [name for name, known in self.topic_ids.items() if ids[name] != known]

    def _agent(self, topic: str, step: str, handler: Callable[[int], Handler]) -> None:
        """One Faust agent for ``topic``; its lanes do the work and acknowledge."""
        self.lanes.register(topic, step, handler)
        max_records, max_inflight = BLOCKS if topic in topics.BLOCKS else INPUT if topic in topics.INPUTS else RECORDS
        schema = BatchSchema(max_records=max_records, max_inflight=max_inflight)
        channel = self.app.topic(topic, schema=schema, maxsize=16384)

        async def hand_over(stream: Any) -> None:
            batch: Batch
            async for batch in stream.noack():
                self.lanes.put(batch)

        self.app.agent(channel, name=f"{step}.{topic}")(hand_over)

    def _ingest_handler(self, topic: str) -> Callable[[int], Handler]:
        return lambda partition: IngestHandler(
            self.ingest,
            self.sender,
            self.clocks,
            topic_id=self.topic_ids[topic],
            name=f"{topic}/{partition}",
            now=time.monotonic,
            keys=self.keys,
            vault=self.vault,
        )

    def _index_handler(self, partition: int) -> Handler:
        return IndexHandler(
            self.stores, self.sender, self.dead_letters, topic_id=self.topic_ids[topics.ALERTS], clock=time.time
        )

    def _deliveries(self, keys: Keys) -> Callable[..., KeyedHandler]:
        return partial(
            DeliveryHandler,
            receivers=self.settings.receivers,
            signing={name: _signing(name, receiver, keys) for name, receiver in self.settings.receivers.items()},
            client=self.http,
            clock=time.time,
        )

    def _keyed(self, topic: str, step: str, keyed: KeyedStep, make: Callable[..., KeyedHandler] = KeyedHandler) -> None:
        def handler(partition: int) -> Handler:
            return make(
                keyed,
                self.sender,
                Changelog(
                    client=self.client,
                    topic=topics.state_of(topic, step),
                    partition=partition,
                    transactional_id=f"{self.settings.application}.{step}.{topic}.{partition}",
                ),
                self.dead_letters,
                stage=step,
                topic_id=self.topic_ids[topic],
                now=time.monotonic,
            )

        self._agent(topic, step, handler)

    def _hook(self) -> None:
        app = self.app
        app.on_release = self.lanes.release

        @app.on_partitions_assigned.connect(weak=False)  # type: ignore[untyped-decorator]
        async def assign(_: Any, assigned: Any, **kwargs: Any) -> None:
            self.lanes.assign(assigned)

        @app.task  # type: ignore[untyped-decorator]
        async def watermarks() -> None:
            while not app.should_stop:
                await asyncio.sleep(self.settings.watermark_interval)
                await self._send_watermarks()

        @app.task  # type: ignore[untyped-decorator]
        async def look_at_topics() -> None:
            while not app.should_stop:
                await asyncio.sleep(self.settings.topic_check_interval)
                await self._look_at_topics()
                with contextlib.suppress(KafkaError, SetupError, ValueError):  # a lane that needs it says what is wrong
                    await self.keys.refresh()

        @app.task  # type: ignore[untyped-decorator]
        async def report() -> None:
            reporter = Reporter(self.lanes, self.app)
            while not app.should_stop:
                await asyncio.sleep(REPORT_SECONDS)
                fact = reporter.report(now=time.time())
                try:
                    await self.stores.keep(f"worker.{socket.gethostname()}.{os.getpid()}", fact)
                except StoreError as exc:  # the lanes say so too, and wait; the pager goes on
                    log.warning("what this worker does is not shown: %s", exc)

    async def _send_watermarks(self) -> None:
        if self.clocks and not self.app.rebalancing:
            record = self.clocks.record(time.monotonic(), self._end_of)
            try:
                for topic in (topics.EVENTS, topics.VIEWS):
                    await self.sender.control(Control(topic, WATERMARK, record))
            except DeliveryFailed as exc:
                log.warning("time stands still downstream: %s", exc)

    async def _look_at_topics(self) -> None:
        """Faust leaves a topic out that is away for a moment, so no lane may be there to find it made again."""
        try:
            for topic in await self._replaced():
                log.error("%s: %s", topic, REPLACED)
        except SetupError as exc:
            log.error("%s", exc)

    def _end_of(self, name: str) -> int | None:
        topic, _, partition = name.rpartition("/")
        end: int | None = self.app.consumer.end_reached(TP(topic, int(partition)))
        return end

    async def close(self) -> None:
        await self.lanes.close()
        await self.sender.close()
        await self.http.aclose()
        await self.stores.close()
        await asyncio.to_thread(self.installation.close)


def _signing(name: str, receiver: Receiver, keys: Keys) -> list[bytes]:
    """What signs for a receiver: its secrets, or the installation's key. Raises SetupError."""
    if receiver.secret is None:
        return [keys.webhook]
    try:
        return [decode_secret(secret) for secret in receiver.secret.get_secret_value().split()]
    except ValueError as exc:
        raise SetupError(f"receiver {name}: {exc}") from exc


def _stores(settings: Settings) -> Stores:
    embedded = AlertStore(settings.store_path) if settings.embedded_store else None
    if embedded is not None:
        embedded.drop_facts("worker.", before=int((time.time() - FORGET_SECONDS) * 1000))
    return Stores(
        embedded,
        Elasticsearch(settings.elasticsearch, api_key=settings.elasticsearch_api_key.get_secret_value())
        if settings.elasticsearch
        else None,
    )


def _faust_app(settings: Settings) -> BatchApp:
    return BatchApp(
        settings.application,
        broker=[f"aiokafka://{server}" for server in settings.kafka.split(",")],
        store="memory://",
        datadir=str(settings.home / "faust"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=settings.partitions,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=min(3.0, settings.session_timeout / 3),
        broker_commit_interval=1.0,
        consumer_max_fetch_size=1024 * 1024,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
    )


def build(settings: Settings) -> Worker:
    """A worker ready to run. Raises SetupError where Kafka is not set up for it."""
    return Worker(settings)
