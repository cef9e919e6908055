"""Alerts into the stores: the embedded one first, then Elasticsearch. To both the same alert again is no change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detectors.base import Alert
from streams import topics
from streams.codecs import decode_alert
from streams.deadletters import DeadLetters
from streams.lineage import NewerSchema
from streams.records import Output, RawRecord
from streams.sender import Sender
from streams.settings import Settings
from streams.sinks.database import StoreFull
from streams.sinks.elasticsearch import Elasticsearch
from streams.sinks.store import AlertStore
from streams.tallies import Tally
from streams.transport import Batch

__all__ = ["IndexHandler", "Stores", "stores_of"]

log = logging.getLogger(__name__)

#: Seconds after which nobody asks what a worker said that is there no longer.
FORGET_SECONDS = 3600.0


class Stores:
    """Where one worker writes alerts."""

    def __init__(self, embedded: AlertStore | Path | None, elasticsearch: Elasticsearch | None) -> None:
        """``embedded``: the store, or the path of one that is opened once there is room for it."""
        self._embedded = embedded
        self.elasticsearch = elasticsearch
        self._turn = asyncio.Lock()  # a store that hangs keeps one thread, not all that the worker has

    async def write(self, alerts: list[Alert], *, now: int) -> list[tuple[Alert, str]]:
        """Durable when it returns; gives those refused for good, and why. Raises when a store is away."""
        if self._embedded is not None:
            async with self._turn:
                await asyncio.to_thread(lambda: self._opened().write(alerts, now=now))
        if self.elasticsearch is not None:
            return [(refused.written, refused.reason) for refused in await self.elasticsearch.write(alerts)]
        return []

    async def check(self) -> None:
        """Raise where Elasticsearch, if there is one, does not answer: nobody may have an alert for it for hours."""
        if self.elasticsearch is not None:
            await self.elasticsearch.check()

    async def keep(self, name: str, fact: Any) -> None:
        """Keep one fact in the embedded store, if there is one. Raises StoreError."""
        if self._embedded is not None:
            async with self._turn:
                await asyncio.to_thread(lambda: self._opened().set_fact(name, fact))

    def _opened(self) -> AlertStore:
        """The embedded store. Raises StoreError."""
        if not isinstance(self._embedded, AlertStore):
            assert self._embedded is not None
            self._embedded = AlertStore(self._embedded)
        return self._embedded

    async def close(self) -> None:
        if self.elasticsearch is not None:
            await self.elasticsearch.close()
        if isinstance(self._embedded, AlertStore):
            self._embedded.close()


def stores_of(settings: Settings, *, indexed: bool = True) -> Stores:
    """Those that ``settings`` name; Elasticsearch only where ``indexed``.

    Raises StoreError on a file that is no store of ours.
    """
    embedded: AlertStore | Path | None = None
    if settings.embedded_store:
        try:
            embedded = AlertStore(settings.store_path)
            for kind in ("worker.", "events."):
                embedded.drop_facts(kind, before=int((time.time() - FORGET_SECONDS) * 1000))
        except StoreFull as exc:  # receivers are told all the same
            log.error("%s", exc)
            embedded = embedded or settings.store_path
    login = settings.elasticsearch_login
    return Stores(
        embedded, Elasticsearch(settings.elasticsearch, **login) if indexed and settings.elasticsearch else None
    )


class IndexHandler:
    """One partition of ``alerts``. A batch is acknowledged once every store has it."""

    def __init__(
        self,
        stores: Stores,
        sender: Sender,
        dead_letters: DeadLetters,
        *,
        topic_id: bytes,
        clock: Callable[[], float],
        tally: Tally,
    ) -> None:
        """``clock``: seconds since the epoch."""
        self._stores = stores
        self._sender = sender
        self._dead_letters = dead_letters
        self._topic_id = topic_id
        self._clock = clock
        self._tally = tally

    async def open(self) -> None:
        """Nothing to come back to: the group's commit says where to go on."""

    async def process(self, batch: Batch) -> bool:
        alerts: list[Alert] = []
        origin: dict[str, Any] = {}
        letters: list[tuple[int, list[Output]]] = []
        for record in batch.records:
            try:
                alert = decode_alert(record.value)
            except NewerSchema:
                raise
            except Exception as exc:
                letters.append((record.offset, [self._letter(record, f"{type(exc).__name__} while reading an alert")]))
                continue
            alerts.append(alert)
            origin[alert.id] = record
        for alert, reason in await self._stores.write(alerts, now=int(self._clock() * 1000)):
            record = origin[alert.id]
            letters.append((record.offset, [self._letter(record, f"Elasticsearch refused it: {reason}")]))
        if letters:
            await self._sender.send(self._topic_id, batch.tp.partition, sorted(letters, key=lambda letter: letter[0]))
        self._tally.add(taken=len(batch), passed=len(batch) - len(letters), dead=len(letters))
        return True

    def _letter(self, record: Any, reason: str) -> Output:
        raw = RawRecord(topics.ALERTS, record.partition, record.offset, record.timestamp, record.value or b"", {})
        return self._dead_letters.output(raw, stage="index", reason=reason)

    async def flush(self) -> None:
        """Every batch was durable when :meth:`process` returned."""

    async def close(self) -> None:
        """The stores belong to the worker."""
