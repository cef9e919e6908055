"""``keys``: what becomes of the keys that name patients. Each change is an audit event before it is made."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition

from streams import topics
from streams.admin import committed, topic_ids
from streams.commands.own_audit import tell
from streams.epochs import Agreement, Epoch
from streams.installation import Installation, agree
from streams.keys import Keys, activate, key_path, remove, spare
from streams.permissions import roles
from streams.settings import Settings

__all__ = ["KeyRow", "NotDone", "PseudonymKeys", "agreed_rows"]


class NotDone(Exception):
    """Nothing was changed. The message says why, and how to mend it."""


class KeyRow(NamedTuple):
    key: str  #: its id
    here: bool  #: on this host
    state: str  #: ``waits``, ``announced``, ``in use``, ``earlier``, ``destroyed``
    start: int | None  #: ms since the epoch; None where it has always been, or waits
    counts_until: int | None  #: ms until which it goes on counting beside the next one

    def told(self) -> str:
        since = f", from {_when(self.start)}" if self.start else ""
        return self.state + since + (f", counts until {_when(self.counts_until)}" if self.counts_until else "")


def agreed_rows(agreement: Agreement, held: Container[str], *, now: int) -> list[KeyRow]:
    """Every key that was agreed on, oldest first. ``held``: ids of those that are here. ``now``: ms since the epoch."""
    epochs = agreement.epochs
    rows = []
    for number, epoch in enumerate(epochs):
        after = epochs[number + 1] if number + 1 < len(epochs) else None
        until = None
        if epoch.key in agreement.destroyed:
            state = "destroyed"
        elif epoch.start > now:
            state = "announced"
        elif after is None or after.start > now:
            state = "in use"
        else:
            state = "earlier"
            until = after.settled if after.settled > now else None
        rows.append(KeyRow(epoch.key, epoch.key in held, state, epoch.start or None, until))
    return rows


class PseudonymKeys:
    """The commands, on one look at the installation."""

    def __init__(self, settings: Settings, keys: Keys, *, now: int) -> None:
        """``now``: ms since the epoch. Raises SetupError where Kafka is not set up, or keys are another's."""
        needed = roles(settings.application)["identity"]
        topic_ids(settings, only=[topics.INSTALLATION, *topics.INPUTS], needed=needed)
        self._settings = settings
        self._keys = keys
        self._now = now
        self._agreement = agree(settings, keys)

    def rows(self) -> list[KeyRow]:
        """Every key, oldest first; those that wait last."""
        rows = agreed_rows(self._agreement, self._keys.held, now=self._now)
        return rows + [KeyRow(name, True, "waits", None, None) for name in self._waiting()]

    def _waiting(self) -> list[str]:
        known = {epoch.key for epoch in self._agreement.epochs}
        return [name for name in self._keys.held if name not in known]

    def create(self) -> tuple[str, Path]:
        """Id and file of the key that waits, made where none does. Raises NotDone where keys are kept elsewhere."""
        name = next(iter(self._waiting()), "")
        if not name and not self._keys.outside:
            name = spare(self._keys)
        path = key_path(self._keys.folder, name)
        if path is None:
            raise NotDone(
                "pseudonym keys come from the environment here: put a new one, `head -c 32 /dev/urandom | base64`, "
                "behind the others there"
            )
        return name, path

    def rotate(self, *, overlap_ms: int) -> Iterator[str]:
        """Announce the key that waits, or a new one; lines for a person. Raises NotDone while another is settling."""
        last = self._agreement.epochs[-1]
        if last.settled > self._now:
            raise NotDone(
                f"key {last.key} settles until {_when(last.settled)}, and two rotations may not overlap: wait till then"
            )
        waiting = self._waiting()
        name = waiting[-1] if waiting else self.create()[0]
        notice = int(self._settings.rotation_notice * 1000)
        tell(self._settings, "rotate-key", key=name)
        installation = Installation(self._settings)
        try:
            installation.write(epoch={"key": name, "notice": notice, "overlap": overlap_ms})
            epoch = next(epoch for epoch in installation.refresh().epochs if epoch.key == name)
        finally:
            installation.close()
        activate(self._keys, name)
        yield f"{name} names patients from {_when(epoch.start)}"
        yield f"{last.key} counts beside it until {_when(epoch.settled)}"
        if not waiting:
            path = key_path(self._keys.folder, name)
            yield f"copy {path} to every other worker's host before it starts: without it, ingest waits there"

    def check_destroy(self, name: str) -> None:
        """Raises NotDone where something may need that key still."""
        if name in self._waiting():
            return
        epochs = self._agreement.epochs
        number = next((n for n, epoch in enumerate(epochs) if epoch.key == name), None)
        if number is None:
            raise NotDone(f"there is no key {name}: wardwatch keys list shows those there are")
        if name in self._agreement.destroyed:
            raise NotDone(f"{name} is destroyed already")
        if number + 1 == len(epochs):
            raise NotDone(f"{name} names patients now: wardwatch keys rotate gives them another first")
        after = epochs[number + 1]
        if after.settled > self._now:
            raise NotDone(f"{name} counts beside {after.key} until {_when(after.settled)}: wait till then")
        if waiting := self._not_taken(after):
            raise NotDone(f"records that need {name} were not taken yet ({', '.join(waiting)}): let workers catch up")

    def _not_taken(self, after: Epoch) -> list[str]:
        """Input partitions with records from before ``after`` was settled that the workers have not committed."""
        commits = committed(self._settings, topics.INPUTS)
        client = self._settings.security.kafka_python()
        consumer = KafkaConsumer(bootstrap_servers=self._settings.kafka.split(","), enable_auto_commit=False, **client)
        try:
            tps = [TopicPartition(t, n) for t in topics.INPUTS for n in range(self._settings.partitions)]
            begins, ends = consumer.beginning_offsets(tps), consumer.end_offsets(tps)
            found = consumer.offsets_for_times(dict.fromkeys(tps, after.settled))
        finally:
            consumer.close()
        left = []
        for tp in tps:
            due = ends[tp] if found.get(tp) is None else found[tp].offset
            if due > max(begins[tp], commits.get((tp.topic, tp.partition), 0)):
                left.append(f"{tp.topic}/{tp.partition}")
        return left

    def destroy(self, name: str) -> Iterator[str]:
        """Destroy it, after :meth:`check_destroy`; lines for a person."""
        tell(self._settings, "destroy-key", key=name)
        if name not in self._waiting():
            installation = Installation(self._settings)
            installation.write(destroyed=name)
            yield f"{name} is destroyed; workers delete it within {self._settings.topic_check_interval:.0f} s"
        if not remove(self._keys.folder, name):
            yield f"{name} is no file on this host: take it out of where it is kept"


def _when(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
