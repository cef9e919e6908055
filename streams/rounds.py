"""A worker's rounds: what it looks at beside its work, and who hears of it.

Every two seconds it looks at itself: that goes to :mod:`streams.watch`, to Prometheus and to the embedded store. Every
``topic_check_interval`` it looks at what it depends on. An event loop that stands still ends the process.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol

from kafka.errors import KafkaError

from streams.admin import SetupError
from streams.feeding import REPLACED, replaced
from streams.heartbeat import PERIOD
from streams.lanes import Lanes
from streams.metrics import Metrics
from streams.reporting import Reporter
from streams.settings import Settings
from streams.sinks.database import StoreError
from streams.tallies import Skews, Tally
from streams.transport import BatchApp
from streams.vault import Vault
from streams.watch import Watch

__all__ = ["Rounds", "Watched"]

log = logging.getLogger(__name__)

#: Seconds between two looks of a worker at itself.
REPORT_SECONDS = 2.0


class Watched(Protocol):
    """What a worker is, to its rounds."""

    kind: str  #: ``worker`` or ``events``: what its words in the embedded store begin with
    name: str  #: no other worker's
    counted: str  #: the step whose records are its throughput
    settings: Settings
    topic_ids: dict[str, bytes]  #: of its topics, as they were when it started
    app: BatchApp
    lanes: Lanes
    tallies: dict[tuple[str, str], Tally]
    skews: Skews
    watch: Watch
    metrics: Metrics | None
    vault: Vault | None

    def broker_clock(self) -> float:
        """Seconds since the epoch, as the broker counts them where that is known."""
        ...

    def see(self) -> Mapping[str, Any]:
        """What of :class:`streams.conditions.Look` it alone knows, by name."""
        ...

    async def look_around(self) -> None:
        """Look at what it depends on beside its topics; remembers what is wrong, and raises nothing."""
        ...

    async def keep(self, name: str, fact: Any) -> None:
        """Let others on this host see a fact. Raises StoreError."""
        ...


class Rounds:
    """One worker's. :meth:`begin` once, before Faust starts; they end with the worker."""

    def __init__(self, worker: Watched) -> None:
        self._worker = worker
        self._reporter = Reporter(worker.lanes, worker.app)

    def begin(self) -> None:
        worker, app = self._worker, self._worker.app

        @app.task  # type: ignore[untyped-decorator]
        async def look_around() -> None:
            while not app.should_stop:
                await asyncio.sleep(worker.settings.topic_check_interval)
                await self._look_at_topics()
                await worker.look_around()

        @app.task  # type: ignore[untyped-decorator]
        async def keep_watch() -> None:
            # From a thread that needs no lock of Python's: a loop in somebody's C code ends as well.
            stuck = worker.settings.stuck_after
            while not app.should_stop:
                faulthandler.dump_traceback_later(stuck, exit=True)
                await asyncio.sleep(stuck / 4)

        @app.task  # type: ignore[untyped-decorator]
        async def report() -> None:
            while not app.should_stop:
                await asyncio.sleep(REPORT_SECONDS)
                await self._report(time.time())

        @app.task  # type: ignore[untyped-decorator]
        async def beat() -> None:
            while not app.should_stop:
                await worker.watch.beat()
                await asyncio.sleep(PERIOD)

    async def _look_at_topics(self) -> None:
        """Faust leaves a topic out that is away for a moment, so no lane may be there to find it made again."""
        watch, settings = self._worker.watch, self._worker.settings
        try:
            for topic in await replaced(settings, self._worker.topic_ids):
                log.error("%s: %s", topic, REPLACED)
            watch.kafka = ""
        except SetupError as exc:
            watch.kafka = str(exc)
            log.error("%s", exc)
        except KafkaError as exc:  # it answered, and then no more
            watch.kafka = f"Kafka at {settings.kafka} stopped answering ({type(exc).__name__})"
            log.error("%s", watch.kafka)

    async def _report(self, now: float) -> None:
        worker = self._worker
        look = self._reporter.look(
            now=worker.broker_clock(), tallies=worker.tallies, skews=worker.skews, **worker.see()
        )
        worker.watch.take(look)
        events = sum(tally.taken for (step, _), tally in worker.tallies.items() if step == worker.counted)
        fact = self._reporter.report(look, now=now, events=events, vault=worker.vault)
        if worker.metrics is not None:
            rate = fact["records_per_second"]
            worker.metrics.update(look, worker.tallies, now=now, rate=rate, vault=worker.vault)
        try:
            await worker.keep(f"{worker.kind}.{worker.name}", fact)
            worker.watch.stores.pop("embedded store", None)
        except StoreError as exc:  # the lanes say so too, and wait; the pager goes on
            worker.watch.stores["embedded store"] = type(exc).__name__
            log.warning("what this worker does is not shown: %s", exc)
