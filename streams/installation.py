"""What all workers of an installation must have in common, agreed on in Kafka.

A worker on another host would make keys of its own without a word: every patient would be two, and half the dead
letters would open with neither key. So the first worker writes the ids of its keys to the topic ``installation``, whose
first record of that kind holds for good, and every other compares.

Later records announce a new pseudonym key, or say that one was destroyed. An announcement holds from its own time in
the log (LogAppendTime) plus the notice it names. A worker takes no record that is newer than its last look at the topic
plus half of that notice, by the broker's time: so none is read before it is known which key it belongs to, and no
clock of a worker's is asked. The other half is for brokers whose clocks differ.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.admin import SetupError
from streams.epochs import Agreement, Epoch, Epochs
from streams.keys import Keys, activate, remove
from streams.lineage import SCHEMA
from streams.settings import Settings
from streams.topics import INSTALLATION

__all__ = ["Installation", "KeyWatch", "agree", "look"]

log = logging.getLogger(__name__)


class Installation:
    """The topic, read on from where it was read before. For any thread: they wait for each other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = threading.Lock()
        self._consumer: KafkaConsumer | None = None
        self.keys: Mapping[str, Any] | None = None  #: what the first record agreed on; None before there is one
        self._epochs: dict[str, Epoch] = {}
        self._destroyed: set[str] = set()
        self._newer = 0  #: schema of a record that a later version wrote

    def refresh(self) -> Agreement:
        """What was agreed on until now. Raises kafka's errors, and SetupError on what a later version wrote."""
        with self._turn:
            if self._consumer is None:
                self._consumer = KafkaConsumer(
                    bootstrap_servers=self._settings.kafka.split(","),
                    enable_auto_commit=False,
                    **self._settings.security.kafka_python(),
                )
                self._consumer.assign([TopicPartition(INSTALLATION, 0)])
                self._consumer.seek_to_beginning()
            consumer, tp = self._consumer, TopicPartition(INSTALLATION, 0)
            end = consumer.end_offsets([tp])[tp]
            while consumer.position(tp) < end:
                for record in consumer.poll(timeout_ms=500).get(tp, ()):
                    with suppress(ValueError, AttributeError, KeyError, TypeError):  # nobody of ours wrote it
                        self._take(orjson.loads(record.value), record.timestamp)
            return self._agreed()

    def _agreed(self) -> Agreement:
        """What was read comes to. Raises SetupError on what a later version wrote."""
        if self._newer:
            raise SetupError(
                f"the installation's record has schema {self._newer}; this worker reads {SCHEMA}: upgrade it"
            )
        first = [] if self.keys is None else [Epoch(str(self.keys.get("pseudonym")), 0)]
        later = sorted(self._epochs.values(), key=lambda epoch: epoch.start)
        return Agreement((*first, *later), frozenset(self._destroyed))

    def _take(self, value: Any, written: int) -> None:
        if value["v"] > SCHEMA:
            self._newer = value["v"]
        elif "keys" in value and self.keys is None:
            self.keys = dict(value["keys"])
        elif "epoch" in value:
            told = value["epoch"]
            epoch = Epoch(told["key"], written + int(told["notice"]), int(told["overlap"]))
            self._epochs.setdefault(epoch.key, epoch)
        elif "destroyed" in value:
            self._destroyed.add(value["destroyed"])

    def write(self, **value: Any) -> None:
        """Say something to every worker; durable when it returns. Raises kafka's errors."""
        client = self._settings.security.kafka_python()
        producer = KafkaProducer(bootstrap_servers=self._settings.kafka.split(","), acks="all", **client)
        try:
            record = orjson.dumps({"v": SCHEMA, **value})
            producer.send(INSTALLATION, record, key=next(iter(value)).encode(), partition=0).get(timeout=30)
        finally:
            producer.close()

    def close(self) -> None:
        with self._turn:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None


def agree(settings: Settings, keys: Keys) -> Agreement:
    """Say which keys are the installation's, where nobody has; give what is agreed on by now.

    Raises SetupError where this host's keys are others, or one is missing.
    """
    installation = Installation(settings)
    try:
        return _agree(installation, keys)
    finally:
        installation.close()


def look(settings: Settings, keys: Keys) -> bool:
    """Whether the installation has keys, and they are these. Raises SetupError where they are others."""
    installation = Installation(settings)
    try:
        agreement = installation.refresh()
        if installation.keys is not None:
            _compare(agreement, installation.keys, keys)
        return installation.keys is not None
    finally:
        installation.close()


def _agree(installation: Installation, keys: Keys) -> Agreement:
    agreement = installation.refresh()
    if installation.keys is None:
        installation.write(keys={"pseudonym": next(iter(keys.pseudonyms)), **_shared(keys)})
        agreement = installation.refresh()  # another may have been quicker
    _compare(agreement, installation.keys or {}, keys)
    return agreement


def _shared(keys: Keys) -> dict[str, str]:
    return {
        "dead letters": _id(keys.dead_letter_public),
        "webhook": _id(keys.webhook),
        "vault": _id(keys.vault_public),
    }


def _compare(agreement: Agreement, agreed: Mapping[str, Any], keys: Keys) -> None:
    missing = [e.key for e in agreement.epochs if e.key not in keys.held and e.key not in agreement.destroyed]
    differ = ["pseudonym"] if missing else []
    differ += [name for name, value in _shared(keys).items() if agreed.get(name, value) != value]
    if differ:
        raise SetupError(
            f"the keys in {keys.folder} are not those of this installation ({', '.join(differ)}): patients would get "
            "two pseudonyms each; copy the folder from a worker that runs, or name it with WARDWATCH_DATA_DIR"
        )


def _id(key: bytes) -> str:
    return sha256(key).hexdigest()[:8]


class KeyWatch:
    """Keeps a worker's :class:`~streams.epochs.Epochs` as the installation has them."""

    def __init__(self, installation: Installation, epochs: Epochs, keys: Callable[[], Keys], *, notice: float) -> None:
        """``keys``: reads this host's keys anew. ``notice``: seconds, as announcements name it."""
        self.epochs = epochs
        self._installation = installation
        self._keys = keys
        self._half_notice = int(notice * 500)
        self._turn = asyncio.Lock()
        self._latest = 0  #: ms, the broker's time, which it has reached
        self._known = 0  #: ms, the broker's time, up to which every epoch is known

    async def ready(self, latest: int) -> None:
        """Return once it is known which keys records up to ``latest`` (ms, the broker's time) belong to.

        Raises MissingKey where one of them is not here, and kafka's errors where no broker answers.
        """
        self._latest = max(self._latest, latest)
        if latest >= self._known:
            async with self._turn:
                if latest >= self._known:
                    await self._look()
        if self.epochs.missing is not None:
            if latest >= self.epochs.missing.start:
                await self.refresh()
            self.epochs.require(latest)

    async def refresh(self) -> None:
        """Look now. Raises kafka's errors."""
        async with self._turn:
            await self._look()

    async def _look(self) -> None:
        reached = self._latest
        agreement = await asyncio.to_thread(self._installation.refresh)
        if agreement != self.epochs.agreement or self.epochs.missing is not None:
            await self._take(agreement)
        self._known = reached + self._half_notice

    async def _take(self, agreement: Agreement) -> None:
        keys = await asyncio.to_thread(self._keys)
        for name in agreement.destroyed - self.epochs.agreement.destroyed:
            if remove(keys.folder, name):
                log.warning("pseudonym key %s was destroyed by the installation, and is deleted here as well", name)
        for epoch in agreement.epochs:
            if epoch.key in keys.spare:
                activate(keys, epoch.key)
        told = self.epochs.missing
        self.epochs.take(agreement, keys.held)
        if self.epochs.missing is not None and told is None:
            log.error(
                "a pseudonym key was announced that is not on this host: copy it into %s before it is in use, or "
                "ingest stops here until it is there",
                keys.folder,
            )
