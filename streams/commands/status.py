"""``status``: how far each step is behind, what workers say of themselves, dead letters, the last alert."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from streams import topics
from streams.admin import committed
from streams.settings import Settings
from streams.sinks.store import AlertStore, StoreError

__all__ = ["Status", "read_status"]

#: Topics a step reads, and the step.
READERS = {
    **dict.fromkeys(topics.INPUTS, "ingest"),
    topics.EVENTS: "behave",
    topics.VIEWS: "behave",
    topics.FINDINGS: "alert",
    topics.ALERTS: "index",
    topics.NOTIFICATIONS: "notify",
}


@dataclass
class Status:
    lag: dict[str, int] = field(default_factory=dict)  #: records not taken yet, by topic
    dead_letters: int = 0
    alerts: dict[str, int] = field(default_factory=dict)  #: kept by the embedded store, by severity
    last_alert: dict[str, Any] | None = None
    workers: dict[str, Any] = field(default_factory=dict)  #: what each last said of itself

    def json(self) -> dict[str, Any]:
        return asdict(self)


def read_status(settings: Settings) -> Status:
    """Ask Kafka and the embedded store. Raises kafka's errors where no broker answers."""
    status = Status()
    commits = committed(settings)
    servers = settings.kafka.split(",")
    consumer = KafkaConsumer(bootstrap_servers=servers)
    try:
        partitions = [TopicPartition(t, n) for t in (*READERS, topics.DEAD_LETTERS) for n in range(settings.partitions)]
        ends = consumer.end_offsets(partitions)
        begins = consumer.beginning_offsets(partitions)
        for tp in partitions:
            if tp.topic == topics.DEAD_LETTERS:
                status.dead_letters += ends[tp] - begins[tp]
            else:
                behind = ends[tp] - max(commits.get((tp.topic, tp.partition), 0), begins[tp])
                status.lag[tp.topic] = status.lag.get(tp.topic, 0) + max(behind, 0)
    finally:
        consumer.close()
    if settings.store_path.exists():
        _read_store(settings, status)
    return status


def _read_store(settings: Settings, status: Status) -> None:
    try:
        store = AlertStore(settings.store_path, read_only=True)
    except StoreError:
        return
    try:
        status.alerts = store.count()
        status.last_alert = next(iter(store.alerts(limit=1)), None)
        status.workers = {name: fact for name, fact in store.facts().items() if name.startswith("worker.")}
    finally:
        store.close()
