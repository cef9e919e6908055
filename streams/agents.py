"""The Faust agents, one per step of the way of an event. Each hands its batches to the lanes of its step.

========= =================== =================================================================================
step      reads               does
========= =================== =================================================================================
ingest    audit.*             decode, normalise, rules, allow-list and pseudonyms; a dead letter says what failed
behave    events, views       detectors with memory, one state per entity
correlate matches             Sigma correlations, one state per group
alert     findings            a finding becomes an alert, once
index     alerts              into the embedded store and Elasticsearch
notify    notifications       a durable delivery to each receiver, tried for days
events    events              into a file or Elasticsearch, by a worker of its own (:mod:`streams.event_worker`)
========= =================== =================================================================================

What a step does to a record is in :mod:`streams.pipeline`; what is durable when, in :mod:`streams.handlers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import httpx
from faust.types import TP
from kafka.errors import KafkaError

from detectors.base import EntityKind
from detectors.registry import registered
from detectors.rules import Links
from streams import topics
from streams.admin import SetupError, topic_ids
from streams.alerting import Alerting
from streams.broker_clock import BrokerClock
from streams.changelog import Changelog
from streams.correlate import Correlate
from streams.crashes import FOLDER, CrashJournal
from streams.deadletters import DeadLetters
from streams.deliveries import DeliveryHandler
from streams.epochs import Epochs
from streams.faust_app import BLOCKS, INPUT, RECORDS, faust_app
from streams.feeding import Feed
from streams.handlers import IngestHandler, KeyedHandler
from streams.indexing import IndexHandler, stores_of
from streams.installation import Installation, KeyWatch, agree
from streams.keeping_progress import KeepingProgress
from streams.keys import Keys, keys_of
from streams.lanes import Handler
from streams.metrics import Metrics
from streams.notify import Notify
from streams.permissions import roles
from streams.pipeline import Behave, Ingest, Reader
from streams.records import WATERMARK, Control
from streams.rounds import Rounds
from streams.routing import Routes
from streams.rule_topic import RuleTopic
from streams.rule_watch import EVERY as RULES_EVERY
from streams.rule_watch import RuleWatch
from streams.sender import DeliveryFailed, Sender
from streams.settings import Settings
from streams.sinks.attempts import Sink
from streams.sinks.catalog import make_sinks
from streams.sinks.elasticsearch import StoreUnavailable
from streams.sources.catalog import set_ehr_zone
from streams.sources.known import load_sources
from streams.state import KeyedStep
from streams.tallies import Skews, Tally
from streams.vault import Vault
from streams.watch import Watch
from streams.watermarks import InputClocks

__all__ = ["Worker", "build"]

log = logging.getLogger(__name__)


VIEW_KINDS: tuple[EntityKind, ...] = ("patient", "device", "address")


class Worker:
    """The parts of one worker process; :attr:`app` is the Faust app that runs them."""

    kind = "worker"
    counted = "ingest"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = f"{socket.gethostname()}.{os.getpid()}"
        self.client: dict[str, Any] = {"bootstrap_servers": settings.kafka, **settings.security.aiokafka()}
        self.topic_ids = topic_ids(settings, needed=roles(settings.application)["worker"])
        self.app = faust_app(settings)
        self._feed = Feed(self.app, settings, self.topic_ids)
        self.lanes = self._feed.lanes
        self.broker_clock = BrokerClock(time.time)
        self.tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self.skews = Skews()
        self.sender = Sender(client=self.client, partitions={topic.name: settings.partitions for topic in topics.ALL})
        self.clocks = InputClocks(inputs=settings.partitions * len(topics.INPUTS), idle_after=settings.idle_after)
        keys = keys_of(settings)
        self.vault = Vault(keys.vault_public, self.sender) if settings.vault else None
        epochs = Epochs(agree(settings, keys), keys.held, self.vault.learn if self.vault else None)
        self.installation = Installation(settings)
        self.keys = KeyWatch(self.installation, epochs, partial(keys_of, settings), notice=settings.rotation_notice)
        self.dead_letters = DeadLetters(keys.dead_letter_public)
        detectors = registered()
        self.rules = RuleWatch(settings, RuleTopic(settings), self.name)
        set_ehr_zone(settings.ehr_zone)
        sources, mistakes = load_sources(settings.sources)
        for mistake in mistakes:
            log.error("table not loaded: %s", mistake)
        roots = [*(str(path.expanduser()) for path in settings.rules), topics.PUBLISHED]
        links = Links(settings.rules_url, roots)
        reader = Reader(self.rules.rules, epochs, links)
        self.rules.serve(reader)
        self.ingest = Ingest(
            reader,
            self.dead_letters,
            views=[kind for kind in VIEW_KINDS if any(d.entity == kind for d in detectors)],
            sources=sources,
        )
        for topic in topics.INPUTS:
            self._agent(topic, "ingest", self._ingest_handler(topic))
        self._keyed(topics.EVENTS, "behave", Behave(detectors, kinds=["actor"]))
        self._keyed(topics.VIEWS, "behave", Behave(detectors, kinds=VIEW_KINDS))
        correlate = Correlate(self.rules.rules, links)
        self.rules.serve(correlate)
        self._keyed(topics.MATCHES, "correlate", correlate)
        self._keyed(topics.FINDINGS, "alert", Alerting(Routes(settings.receivers).of))
        self.stores = stores_of(settings)
        self._agent(topics.ALERTS, "index", self._index_handler)
        self.sinks = _sinks(settings, keys)
        notify = Notify(settings.receivers, self.dead_letters, public_url=settings.public_url)
        self._keyed(topics.NOTIFICATIONS, "notify", notify, self._deliveries())
        self.http = httpx.AsyncClient()  # for the heartbeat: each receiver has its own
        self.watch = Watch(
            settings,
            self.sender,
            self.stores,
            name=self.name,
            sinks=self.sinks,
            client=self.http,
            clock=self.broker_clock,
        )
        self.metrics = Metrics(settings.store_path) if settings.metrics_port else None
        self._keeping = KeepingProgress(settings)
        self._unkept = ""
        self._rounds = Rounds(self)
        self._rounds.begin()
        self._hook()

    def _agent(self, topic: str, step: str, handler: Callable[[int], Handler]) -> None:
        limits = BLOCKS if topic in topics.BLOCKS else INPUT if topic in topics.INPUTS else RECORDS
        self._feed.agent(topic, step, handler, limits)

    def _ingest_handler(self, topic: str) -> Callable[[int], Handler]:
        return lambda partition: IngestHandler(
            self.ingest,
            self.sender,
            self.clocks,
            journal=self._journal("ingest", topic, partition),
            topic_id=self.topic_ids[topic],
            name=f"{topic}/{partition}",
            now=time.monotonic,
            keys=self.keys,
            vault=self.vault,
            tally=self.tallies["ingest", topic],
            skews=self.skews,
        )

    def _journal(self, step: str, topic: str, partition: int) -> CrashJournal:
        return CrashJournal(self.settings.home / FOLDER / f"{self.settings.application}.{step}.{topic}.{partition}")

    def _index_handler(self, partition: int) -> Handler:
        return IndexHandler(
            self.stores,
            self.sender,
            self.dead_letters,
            topic_id=self.topic_ids[topics.ALERTS],
            clock=time.time,
            tally=self.tallies["index", topics.ALERTS],
        )

    def _deliveries(self) -> Callable[..., KeyedHandler]:
        return partial(
            DeliveryHandler,
            receivers=self.settings.receivers,
            sinks=self.sinks,
            clock=time.time,
            public_url=self.settings.public_url,
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
                journal=self._journal(step, topic, partition),
                stage=step,
                topic_id=self.topic_ids[topic],
                now=time.monotonic,
                tally=self.tallies[step, topic],
            )

        self._agent(topic, step, handler)

    def _hook(self) -> None:
        app = self.app

        @app.task  # type: ignore[untyped-decorator]
        async def watermarks() -> None:
            while not app.should_stop:
                await asyncio.sleep(self.settings.watermark_interval)
                await self._send_watermarks()

        @app.task  # type: ignore[untyped-decorator]
        async def watch_rules() -> None:
            while not app.should_stop:
                await asyncio.sleep(RULES_EVERY)
                await self.rules.run(time.monotonic(), int(time.time() * 1000))

    # What its rounds ask: streams.rounds.Watched

    def see(self) -> Mapping[str, Any]:
        return {
            "clock": {socket.gethostname(): self.broker_clock.ahead},
            "rules": self.rules.counts(),
            "quarantined": {rule: f"{why.title}: {why.reason}." for rule, why in self.rules.quarantined.items()},
            "unread_rules": self.rules.newer,
            "store": self.watch.store,
            "kafka": self.watch.kafka,
            "vault_waits": self.vault is not None and self.vault.waiting > 0,
            "lacking": self.keys.epochs.missing,
            "unkept": self._unkept,
        }

    async def look_around(self) -> None:
        with contextlib.suppress(KafkaError, SetupError, ValueError):  # a lane that needs it says what is wrong
            await self.keys.refresh()
        try:
            await self.stores.check()
            self.watch.stores.pop("Elasticsearch", None)
        except StoreUnavailable as exc:
            self.watch.stores["Elasticsearch"] = type(exc).__name__
            log.warning("%s", exc)
        mine = [TP(lane.topic, lane.partition) for lane in self.lanes.status() if lane.topic == topics.EVENTS]
        ends = {tp.partition: end for tp in mine if (end := self.app.consumer.log_end(tp))}
        with contextlib.suppress(KafkaError, SetupError):  # what is wrong with Kafka is told already
            self._unkept = await asyncio.to_thread(self._keeping.look, ends)

    async def keep(self, name: str, fact: Any) -> None:
        await self.stores.keep(name, fact)

    async def _send_watermarks(self) -> None:
        if self.clocks and not self.app.rebalancing:
            record = self.clocks.record(time.monotonic(), self._end_of)
            try:
                for topic in (topics.EVENTS, topics.VIEWS, topics.MATCHES):
                    sent = time.time()
                    stamp = await self.sender.control(Control(topic, WATERMARK, record))
                    self.broker_clock.stamped(stamp, sent=sent)
            except DeliveryFailed as exc:
                log.warning("time stands still downstream: %s", exc)

    def _end_of(self, name: str) -> int | None:
        topic, _, partition = name.rpartition("/")
        end: int | None = self.app.consumer.end_reached(TP(topic, int(partition)))
        return end

    async def close(self) -> None:
        faulthandler.cancel_dump_traceback_later()
        await self.lanes.close()
        await self.watch.close()
        await self.sender.close()
        await self.http.aclose()
        for sink in self.sinks.values():
            await sink.close()
        await self.stores.close()
        await asyncio.to_thread(self.installation.close)
        await asyncio.to_thread(self.rules.close)


def _sinks(settings: Settings, keys: Keys) -> dict[str, Sink]:
    """What sends to each receiver. Raises SetupError."""
    try:
        return make_sinks(
            settings.receivers,
            private_hosts=settings.private_hosts,
            webhook_key=keys.webhook,
            proxy=settings.proxy.get_secret_value(),
        )
    except ValueError as exc:
        raise SetupError(str(exc)) from exc


def build(settings: Settings) -> Worker:
    """A worker ready to run. Raises SetupError where Kafka is not set up for it."""
    return Worker(settings)
