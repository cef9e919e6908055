"""``status``: how far each step is behind, how much it takes, what workers say of themselves, dead letters, last alert.

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
from streams.permissions import roles
from streams.settings import Settings
from streams.sinks.store import AlertStore, StoreError

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
class Status:
    time: int  #: ms since the epoch
    lag: dict[str, int] = field(default_factory=dict)  #: records not taken yet, by topic
    arriving: float = 0.0  #: source events per second that services send
    taken: float = 0.0  #: source events per second that workers are done with
    dead_letters: int = 0  #: open ones
    dead_letters_exact: bool = True  #: False where there are too many to tell open ones from those sent again
    alerts: dict[str, int] = field(default_factory=dict)  #: kept by the embedded store, by severity
    last_alert: dict[str, Any] | None = None
    workers: dict[str, Any] = field(default_factory=dict)  #: what each last said of itself, where the store is

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
        partitions = [TopicPartition(t, n) for t in (*READERS, topics.DEAD_LETTERS) for n in range(settings.partitions)]
        begins = consumer.beginning_offsets(partitions)
        began, first_ends, first = time.monotonic(), consumer.end_offsets(partitions), _taken(settings, begins)
        sleep(seconds)
        ends, taken = consumer.end_offsets(partitions), _taken(settings, begins)
        elapsed = time.monotonic() - began
        inputs = [tp for tp in partitions if tp.topic in topics.INPUTS]
        status.arriving = sum(ends[tp] - first_ends[tp] for tp in inputs) / elapsed
        status.taken = max(0, sum(taken[tp] - first[tp] for tp in inputs)) / elapsed
        for tp in partitions:
            if tp.topic in READERS:
                status.lag[tp.topic] = status.lag.get(tp.topic, 0) + max(ends[tp] - taken[tp], 0)
        status.last_alert = _last_alert(consumer, settings.partitions)
    finally:
        consumer.close()
    letters = sum(ends[tp] - begins[tp] for tp in partitions if tp.topic == topics.DEAD_LETTERS)
    status.dead_letters_exact = letters <= _READ_LETTERS
    if letters and status.dead_letters_exact:
        letters = sum(not envelope.replayed for envelope in envelopes(settings))
    status.dead_letters = letters
    if settings.store_path.exists():
        _read_store(settings, status)
    return status


def _taken(settings: Settings, begins: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """How far the group is in each partition: its commit, or the beginning where it has none or what it had is gone."""
    commits = committed(settings)
    return {tp: max(commits.get((tp.topic, tp.partition), 0), begin) for tp, begin in begins.items()}


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
        status.workers = {
            name.removeprefix("worker."): said for name, said in store.facts().items() if name.startswith("worker.")
        }
    finally:
        store.close()


def status_lines(status: Status, *, width: int = 0, colour: bool = False) -> Iterator[str]:
    """For a person. ``width``: as for :func:`streams.commands.alert_line.alert_line`."""
    now = status.time / 1000
    yield f"{'step':<9} {'reads':<15} {'behind':>9}"
    for topic, lag in status.lag.items():
        yield f"{READERS[topic]:<9} {topic:<15} {lag:>9,}"
    yield ""
    yield f"throughput    {status.arriving:,.0f} events/s arrive, {status.taken:,.0f} events/s are taken"
    speaking = {name: said for name, said in status.workers.items() if now - said["time"] / 1000 < _OLD}
    for name, said in speaking.items():
        yield f"worker        {name}: {'; '.join(said['stopped']) or 'runs'}"
    if status.workers and not speaking:
        yield "worker        none reports to the embedded store here"
    counted = "" if status.dead_letters_exact else ", those sent again included"
    yield f"dead letters  {status.dead_letters:,}{counted}"
    last = status.last_alert
    yield f"last alert    {alert_line(last, now=now, width=max(0, width - 14), colour=colour) if last else 'none'}"
