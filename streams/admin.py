"""What setup does to Kafka, and what workers ask it before they start."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from streams import topics
from streams.settings import Settings

__all__ = ["PATIENCE", "SetupError", "committed", "connect", "create_topics", "topic_ids"]


#: Seconds that no broker may answer before a person is told.
PATIENCE = 10.0


class SetupError(Exception):
    """Kafka is not as the product needs it. The message says what differs and how to mend it."""


def connect(settings: Settings, patience: float = PATIENCE) -> KafkaAdminClient:
    """A client for administration. Raises SetupError where no broker answers for ``patience`` seconds."""
    try:
        return KafkaAdminClient(
            bootstrap_servers=settings.kafka.split(","),
            client_id="wardwatch-setup",
            bootstrap_timeout_ms=int(patience * 1000),
        )
    except KafkaError as exc:
        raise SetupError(
            f"no Kafka answers at {settings.kafka}: start it, or name another in WARDWATCH_KAFKA ({type(exc).__name__})"
        ) from exc


def create_topics(settings: Settings) -> list[str]:
    """Create what is missing; give its names. Raises SetupError where a topic has another number of partitions."""
    admin = connect(settings)
    try:
        _check(_describe(admin, settings), settings)
        present = {name for name in admin.list_topics() if isinstance(name, str)}
        missing = [topic for topic in topics.ALL if topic.name not in present]
        if missing:
            # another setup may be quicker; what it made is checked below
            with suppress(TopicAlreadyExistsError):
                admin.create_topics(
                    [
                        NewTopic(
                            topic.name,
                            settings.partitions,
                            settings.replication,
                            topic_configs=topic.config(),
                        )
                        for topic in missing
                    ]
                )
            _check(_describe(admin, settings), settings)
        return [topic.name for topic in missing]
    finally:
        admin.close()


def topic_ids(settings: Settings, *, patience: float = PATIENCE) -> dict[str, bytes]:
    """Kafka's id of every topic. Raises SetupError where one is missing or has another number of partitions.

    ``patience``: seconds that no broker may answer.
    """
    admin = connect(settings, patience)
    try:
        described = _describe(admin, settings)
    finally:
        admin.close()
    missing = [topic.name for topic in topics.ALL if topic.name not in described]
    if missing:
        raise SetupError(f"topics are missing ({', '.join(missing)}): run wardwatch setup")
    _check(described, settings)
    return {name: uuid.UUID(str(topic["topic_id"])).bytes for name, topic in described.items()}


def committed(settings: Settings) -> dict[tuple[str, int], int]:
    """What the workers' group has committed, by topic and partition; empty while the broker is still finding out."""
    admin = connect(settings)
    try:
        offsets = admin.list_group_offsets(settings.application).get(settings.application, {})
    except KafkaError as exc:
        if not exc.retriable:
            raise
        return {}  # no worker has ever been here, or the broker has just started
    finally:
        admin.close()
    return {(tp.topic, tp.partition): found.offset for tp, found in offsets.items()}


def _describe(admin: Any, settings: Settings) -> dict[str, dict[str, Any]]:
    described: Iterable[dict[str, Any]] = admin.describe_topics([topic.name for topic in topics.ALL])
    return {topic["name"]: topic for topic in described if not topic["error_code"]}


def _check(described: dict[str, dict[str, Any]], settings: Settings) -> None:
    for name, topic in described.items():
        count = len(topic["partitions"])
        if count != settings.partitions:
            raise SetupError(
                f"topic {name} has {count} partitions where {settings.partitions} are set: partitions are fixed at "
                f"setup; set WARDWATCH_PARTITIONS={count}, or replay into new topics"
            )
