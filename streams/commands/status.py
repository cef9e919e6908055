"""``status``: how far each step is behind, how much it takes, what workers say of themselves, vault and keys, dead
letters, last alert.

All but the workers' own words comes from Kafka, so it is the same on every machine that reaches the brokers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from streams import topics
from streams.admin import committed, topic_ids
from streams.codecs import alert_document, decode_alert
from streams.commands.alert_line import alert_line
from streams.commands.letters import envelopes
from streams.commands.pseudonym_keys import KeyRow, agreed_rows
from streams.installation import Installation
from streams.permissions import roles
from streams.settings import Settings
from streams.sinks.database import StoreError
from streams.sinks.store import AlertStore

__all__ = ["Status", "read_status", "status_lines"]

#: Topics a step reads, and the step.
READERS = {
    **dict.fromkeys(topics.INPUTS, "ingest"),
    topics.EVENTS: "behave",
    topics.VIEWS: "behave",
    topics.MATCHES: "correlate",
    topics.FINDINGS: "alert",
    topics.ALERTS: "index",
    topics.NOTIFICATIONS: "notify",
}
#: Records of ``dead.letters`` that are read to tell what is open from what was sent again.
_READ_LETTERS = 20_000
#: Seconds of silence after which a worker's last word is old. It speaks every two.
_OLD = 10.0
#: Offsets looked back for the last alert, in case the last are gone.
_BACK = 20


@dataclass
class Keeping:
    """The worker that keeps events, which has a consumer group of its own."""

    lag: int  #: records of ``events`` that are not kept yet
    taken: float  #: of those, records per second that it is done with; each holds many events
    workers: dict[str, Any] = field(default_factory=dict)  #: as those of :class:`Status`


@dataclass
class Status:
    time: int  #: ms since the epoch
    lag: dict[str, int] = field(default_factory=dict)  #: records not taken yet, by topic
    arriving: float = 0.0  #: records per second that services send; one may hold many events
    taken: float = 0.0  #: of these, records per second that workers are done with
    dead_letters: int = 0  #: open ones
    dead_letters_exact: bool = True  #: False where there are too many to tell open ones from those sent again
    alerts: dict[str, int] = field(default_factory=dict)  #: kept by the embedded store, by severity
    last_alert: dict[str, Any] | None = None
    workers: dict[str, Any] = field(default_factory=dict)  #: what each last said of itself, where the store is
    keeping: Keeping | None = None  #: None where no worker has ever kept events
    vault_entries: int | None = None  #: written ones, the same identity's again included; None where there is no vault
    keys: list[dict[str, Any]] = field(default_factory=list)  #: that name patients, oldest first

    def json(self) -> dict[str, Any]:
        return asdict(self)


def read_status(settings: Settings, *, seconds: float = 2.0, sleep: Callable[[float], None] = time.sleep) -> Status:
    """Ask Kafka twice, ``seconds`` apart, and the embedded store if it is here.

    Raises SetupError where no broker answers, topics are missing, or Kafka does not allow it.
    """
    topic_ids(settings, needed=roles(settings.application)["console"])
    status = Status(int(time.time() * 1000))
    client = settings.security.kafka_python()
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.split(","), enable_auto_commit=False, **client)
    try:
        asked = (*READERS, topics.DEAD_LETTERS, topics.VAULT)
        partitions = [TopicPartition(topic, n) for topic in asked for n in range(settings.partitions)]
        begins = consumer.beginning_offsets(partitions)
        began, first_ends, first = time.monotonic(), consumer.end_offsets(partitions), _taken(settings, begins)
        kept_first = _kept(settings)
        sleep(seconds)
        ends, taken, kept = consumer.end_offsets(partitions), _taken(settings, begins), _kept(settings)
        elapsed = time.monotonic() - began
        inputs = [tp for tp in partitions if tp.topic in topics.INPUTS]
        status.arriving = sum(ends[tp] - first_ends[tp] for tp in inputs) / elapsed
        status.taken = max(0, sum(taken[tp] - first[tp] for tp in inputs)) / elapsed
        for tp in partitions:
            if tp.topic in READERS:
                status.lag[tp.topic] = status.lag.get(tp.topic, 0) + max(ends[tp] - taken[tp], 0)
        if kept:
            left = sum(max(0, ends[tp] - max(kept.get(tp, 0), begins[tp])) for tp in partitions if tp in kept)
            done = sum(at - kept_first.get(tp, at) for tp, at in kept.items())
            status.keeping = Keeping(left, max(0, done) / elapsed)
        if settings.vault:
            status.vault_entries = sum(ends[tp] - begins[tp] for tp in partitions if tp.topic == topics.VAULT)
        status.last_alert = _last_alert(consumer, settings.partitions)
    finally:
        consumer.close()
    letters = sum(ends[tp] - begins[tp] for tp in partitions if tp.topic == topics.DEAD_LETTERS)
    status.dead_letters_exact = letters <= _READ_LETTERS
    if letters and status.dead_letters_exact:
        letters = sum(not envelope.replayed for envelope in envelopes(settings))
    status.dead_letters = letters
    installation = Installation(settings)
    try:
        rows = agreed_rows(installation.refresh(), (), now=status.time)
    finally:
        installation.close()
    status.keys = [{name: value for name, value in row._asdict().items() if name != "here"} for row in rows]
    if settings.store_path.exists():
        _read_store(settings, status)
    return status


def _taken(settings: Settings, begins: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """How far the group is in each partition: its commit, or the beginning where it has none or what it had is gone."""
    commits = committed(settings)
    return {tp: max(commits.get((tp.topic, tp.partition), 0), begin) for tp, begin in begins.items()}


def _kept(settings: Settings) -> dict[TopicPartition, int]:
    """How far those are that keep events, by partition; empty where there never were any."""
    commits = committed(settings.of_events, [topics.EVENTS])
    return {TopicPartition(*place): at for place, at in commits.items() if at >= 0}


def _last_alert(consumer: KafkaConsumer, count: int) -> dict[str, Any] | None:
    """The alert that came last, as stores keep it."""
    partitions = [TopicPartition(topics.ALERTS, n) for n in range(count)]
    consumer.assign(partitions)
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    for tp in partitions:
        consumer.seek(tp, max(begins[tp], ends[tp] - _BACK))
    last: Any = None
    while any(consumer.position(tp) < ends[tp] for tp in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            last = max([*records, *([last] if last else [])], key=lambda record: record.timestamp)
    try:
        return None if last is None else alert_document(decode_alert(last.value))
    except (ValueError, KeyError, TypeError):  # not ours; the index step says so
        return None


def _read_store(settings: Settings, status: Status) -> None:
    try:
        store = AlertStore(settings.store_path, read_only=True)
    except StoreError:
        return
    try:
        status.alerts = store.count()
        facts = store.facts()
        status.workers = _said(facts, "worker.")
        if status.keeping is not None:
            status.keeping.workers = _said(facts, "events.")
    finally:
        store.close()


def _said(facts: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name.removeprefix(kind): said for name, said in facts.items() if name.startswith(kind)}


def status_lines(status: Status, *, width: int = 0, colour: bool = False) -> Iterator[str]:
    """For a person. ``width``: as for :func:`streams.commands.alert_line.alert_line`."""
    now = status.time / 1000
    yield f"{'step':<9} {'reads':<15} {'behind':>9}"
    for topic, lag in status.lag.items():
        yield f"{READERS[topic]:<9} {topic:<15} {lag:>9,}"
    if status.keeping is not None:
        yield f"{'keep':<9} {topics.EVENTS:<15} {status.keeping.lag:>9,}"
    yield ""
    yield f"throughput    {status.arriving:,.0f} records/s arrive, {status.taken:,.0f} records/s are taken"
    speaking = _speaking(status.workers, now)
    for name, said in speaking.items():
        yield f"worker        {name}: {'; '.join(said['stopped']) or 'runs'}"
    if status.workers and not speaking:
        yield "worker        none reports to the embedded store here"
    yield from _keeping_lines(status, now)
    yield from _identity_lines(status, speaking)
    counted = "" if status.dead_letters_exact else ", those sent again included"
    yield f"dead letters  {status.dead_letters:,}{counted}"
    last = status.last_alert
    yield f"last alert    {alert_line(last, now=now, width=max(0, width - 14), colour=colour) if last else 'none'}"


def _speaking(workers: Mapping[str, Any], now: float) -> dict[str, Any]:
    """What those said that speak still. ``now``: seconds since the epoch."""
    return {name: said for name, said in workers.items() if now - said["time"] / 1000 < _OLD}


def _keeping_lines(status: Status, now: float) -> Iterator[str]:
    if status.keeping is None:
        yield "events kept   none: no worker --only events has run"
        return
    speaking = _speaking(status.keeping.workers, now)
    for name, said in speaking.items():
        rate = f"{said['records_per_second']:,.0f} events/s"
        yield f"events kept   {name}: {'; '.join(said['stopped']) or 'runs'}, {rate}"
    if not speaking:
        moves = "goes on" if status.keeping.taken or not status.keeping.lag else "does not move"
        yield f"events kept   their worker {moves}"


def _identity_lines(status: Status, speaking: Mapping[str, Any]) -> Iterator[str]:
    if status.vault_entries is not None:
        waiting = sorted(name for name, said in speaking.items() if (said.get("vault") or {}).get("waiting"))
        told = f"; ingest waits for it: {', '.join(waiting)}" if waiting else ""
        yield f"vault         {status.vault_entries:,} entries{told}"
    for row in status.keys:
        yield f"key           {row['key']} {KeyRow(here=False, **row).told()}"
    for name, said in speaking.items():
        if said.get("lacking"):
            yield f"key           {said['lacking']} is not here: {name} stops ingest once it is in use"
