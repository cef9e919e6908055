"""What setup does to Kafka, and what workers ask it before they start."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAlreadyExistsError, for_code

from streams import topics
from streams.permissions import Acl
from streams.refusals import Refused, look, not_allowed
from streams.settings import Settings

__all__ = ["PATIENCE", "SetupError", "committed", "connect", "create_topics", "topic_ids"]


#: Seconds that no broker may answer before a person is told.
PATIENCE = 10.0

#: Kafka's error code for a topic that this client may not even describe.
_NOT_AUTHORIZED = 29


class SetupError(Exception):
    """Kafka is not as the product needs it. The message says what differs and how to mend it."""


def connect(settings: Settings, patience: float = PATIENCE) -> KafkaAdminClient:
    """A client for administration.

    Raises SetupError where Kafka does not let it in, or no broker answers for ``patience`` seconds.
    """
    try:
        look(settings.kafka, settings.security)
        return KafkaAdminClient(
            bootstrap_servers=settings.kafka.split(","),
            client_id="wardwatch-setup",
            bootstrap_timeout_ms=int(patience * 1000),
            **settings.security.kafka_python(),
        )
    except Refused as exc:
        raise SetupError(str(exc)) from exc
    except KafkaError as exc:
        raise SetupError(
            f"no Kafka answers at {settings.kafka}: start it, or name another in WARDWATCH_KAFKA ({type(exc).__name__})"
        ) from exc


def create_topics(settings: Settings) -> list[str]:
    """Create what is missing; give its names. Raises SetupError where a topic has another number of partitions."""
    admin = connect(settings)
    try:
        described = _describe(admin, settings)
        _check(described, settings)
        missing = [topic for topic in topics.ALL if topic.name not in described]
        if missing:
            _create(admin, settings, missing)
            _check(_describe(admin, settings), settings)
        return [topic.name for topic in missing]
    finally:
        admin.close()


def _create(admin: Any, settings: Settings, missing: Sequence[topics.Topic]) -> None:
    """Another setup may be quicker with some of them."""
    new = [
        NewTopic(topic.name, settings.partitions, settings.replication, topic_configs=topic.config())
        for topic in missing
    ]
    answer = admin.create_topics(new, raise_errors=False)["topics"]
    _allowed(settings, [f"Create Topic {t['name']}" for t in answer if t["error_code"] == _NOT_AUTHORIZED])
    for topic in answer:
        if topic["error_code"] not in (0, TopicAlreadyExistsError.errno):
            raise for_code(topic["error_code"])(topic["error_message"])


def topic_ids(
    settings: Settings, *, needed: Iterable[Acl] = (), only: Iterable[str] = (), patience: float = PATIENCE
) -> dict[str, bytes]:
    """Kafka's id of every topic, or of ``only`` those named.

    Raises SetupError where one is missing or has another number of partitions, and where Kafka, as far as it can be
    asked, does not allow what is ``needed``. ``patience``: seconds that no broker may answer.
    """
    names = list(only) or [topic.name for topic in topics.ALL]
    needed = list(needed)
    admin = connect(settings, patience)
    try:
        described = _describe(admin, settings, names, needed)
        groups = [acl for acl in needed if acl.resource == "Group"]
        _allowed(settings, [str(acl) for acl in groups if not _may(admin, acl)])
    finally:
        admin.close()
    missing = [name for name in names if name not in described]
    if missing:
        raise SetupError(f"topics are missing ({', '.join(missing)}): run wardwatch setup")
    _check(described, settings)
    return {name: uuid.UUID(str(topic["topic_id"])).bytes for name, topic in described.items()}


def committed(settings: Settings, only: Iterable[str] = ()) -> dict[tuple[str, int], int]:
    """What the workers' group has committed, by topic and partition; empty while the broker is still finding out.

    ``only``: of these topics, and nothing else is asked for.

    Raises SetupError where this client may not know.
    """
    tps = [TopicPartition(topic, n) for topic in only for n in range(settings.partitions)]
    admin = connect(settings)
    try:
        offsets = admin.list_group_offsets({settings.application: tps or None}).get(settings.application, {})
    except KafkaError as exc:
        if exc.errno == GroupAuthorizationFailedError.errno:
            _allowed(settings, [f"Describe Group {settings.application}"])
        if not exc.retriable:
            raise
        return {}  # no worker has ever been here, or the broker has just started
    finally:
        admin.close()
    return {(tp.topic, tp.partition): found.offset for tp, found in offsets.items()}


def _describe(
    admin: Any, settings: Settings, names: Iterable[str] = (), needed: Iterable[Acl] = ()
) -> dict[str, dict[str, Any]]:
    """The topics of ``names``, all of ours by default, that are there. Raises SetupError where that is kept from us."""
    names = list(names) or [topic.name for topic in topics.ALL]
    described: list[dict[str, Any]] = sorted(admin.describe_topics(names), key=lambda topic: names.index(topic["name"]))
    may = {topic["name"]: topic["authorized_operations"] or () for topic in described if not topic["error_code"]}
    hidden = [topic["name"] for topic in described if topic["error_code"] == _NOT_AUTHORIZED]
    lacking = [
        str(acl)
        for acl in needed
        if acl.resource == "Topic"
        and (acl.name in hidden or (acl.name in may and acl.operation.upper() not in may[acl.name]))
    ]
    _allowed(settings, lacking or [f"Describe Topic {name}" for name in hidden])
    return {topic["name"]: topic for topic in described if not topic["error_code"]}


def _may(admin: Any, acl: Acl) -> bool:
    """Whether this client may do to a group what ``acl`` says; True where the broker cannot tell.

    It is still finding out, or the group is not there yet, and then it tells what may be described alone.
    """
    try:
        operations = admin.describe_groups([acl.name])[acl.name]["authorized_operations"]
    except KafkaError as exc:
        if exc.errno != GroupAuthorizationFailedError.errno and not exc.retriable:
            raise
        return exc.retriable is True
    return not operations or acl.operation.upper() in operations


def _allowed(settings: Settings, lacking: Sequence[str]) -> None:
    """Raise SetupError where something is ``lacking``."""
    if lacking:
        client = settings.security.kafka_python()
        raise SetupError(not_allowed(client.get("sasl_plain_username"), lacking))


def _check(described: dict[str, dict[str, Any]], settings: Settings) -> None:
    for name, topic in described.items():
        count = len(topic["partitions"])
        if count != settings.partitions:
            raise SetupError(
                f"topic {name} has {count} partitions where {settings.partitions} are set: partitions are fixed at "
                f"setup; set WARDWATCH_PARTITIONS={count}, or replay into new topics"
            )
