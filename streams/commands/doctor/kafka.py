"""Kafka: whether it answers, topics and their settings, replicas, what this client may do, keys, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from streams import topics
from streams.admin import PATIENCE, SetupError, connect
from streams.commands.doctor.finding import Finding, clock_finding
from streams.installation import look
from streams.keys import keys_of
from streams.permissions import Acl, roles
from streams.settings import Settings

__all__ = ["findings"]

#: Seconds that no broker may answer.
_PATIENCE = PATIENCE


def findings(settings: Settings, clock: Callable[[], float], role: str = "") -> Iterator[Finding]:
    """Of everything in Kafka; of less where it does not answer, and of what ``role`` may describe alone."""
    acls = roles(settings.application)[role or "worker"]
    named = {acl.name for acl in acls if acl.resource == "Topic"} if role else {topic.name for topic in topics.ALL}
    try:
        admin = connect(settings, _PATIENCE)
    except SetupError as exc:
        yield Finding("kafka", "error", str(exc).partition(": start it")[0], "start it, or mend WARDWATCH_KAFKA")
        return
    try:
        yield from _cluster(admin, settings, clock)
        described = {
            topic["name"]: topic
            for topic in admin.describe_topics([topic.name for topic in topics.ALL if topic.name in named])
            if not topic["error_code"]
        }
        yield from _topics(described, settings, [topic.name for topic in topics.ALL if topic.name in named])
        yield from _configs(admin, described)
        yield _permissions(admin, described, acls, role or "worker")
    except KafkaError as exc:
        yield Finding("kafka", "error", f"it does not say ({type(exc).__name__}): {exc}", "look at the brokers' logs")
        return
    finally:
        admin.close()
    if topics.INSTALLATION in described and (settings.home / "keys" / "vault.public").exists():
        yield _keys(settings)


def _cluster(admin: Any, settings: Settings, clock: Callable[[], float]) -> Iterator[Finding]:
    brokers = admin.describe_cluster()["brokers"]
    count = len(brokers)
    told = f"{count} broker{'s'[: count > 1]} at {settings.kafka}"
    if count < settings.replication:
        mend = f"add brokers, or set WARDWATCH_REPLICATION={count} before setup"
        yield Finding("kafka", "error", f"{told}, and {settings.replication} replicas are set", mend)
    else:
        yield Finding("kafka", "ok", told)
    with suppress(KafkaError, KeyError, IndexError):  # a client without rights on the cluster is told no time
        before = clock()
        (quorum,) = admin.describe_metadata_quorum()["topics"][0]["partitions"]
        after = clock()
        leader = next(v for v in quorum["current_voters"] if v["replica_id"] == quorum["leader_id"])
        if leader["last_caught_up_timestamp"] > 0:
            yield clock_finding("kafka clock", leader["last_caught_up_timestamp"] / 1000, (before + after) / 2)


def _topics(described: Mapping[str, Any], settings: Settings, named: Sequence[str]) -> Iterator[Finding]:
    missing = [name for name in named if name not in described]
    if missing:
        yield Finding("topics", "error", f"missing: {', '.join(missing)}", "run wardwatch setup")
    others = {
        name: len(t["partitions"]) for name, t in described.items() if len(t["partitions"]) != settings.partitions
    }
    for name, count in others.items():
        told = f"{name} has {count} partitions where {settings.partitions} are set"
        yield Finding("partitions", "error", told, f"set WARDWATCH_PARTITIONS={count}, or replay into new topics")
    leaderless = [name for name, t in described.items() if any(p["leader_id"] < 0 for p in t["partitions"])]
    behind = [
        name
        for name, t in described.items()
        if any(len(p["isr_nodes"]) < len(p["replica_nodes"]) for p in t["partitions"])
    ]
    if leaderless:
        yield Finding("replicas", "error", f"no leader in {', '.join(leaderless)}", "bring the brokers back")
    elif behind:
        yield Finding(
            "replicas", "warning", f"some are behind in {', '.join(behind)}", "see why a broker is away or slow"
        )
    if not (missing or others or leaderless or behind):
        yield Finding("topics", "ok", f"all {len(described)}, of {settings.partitions} partitions, each in sync")


def _configs(admin: Any, described: Mapping[str, Any]) -> Iterator[Finding]:
    """Settings that setup gave and somebody changed. Retention is the installation's own affair."""
    wanted = {topic.name: topic.config() for topic in topics.ALL if topic.name in described}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in wanted]
    try:
        told = admin.describe_configs(asked)["topic"]
    except KafkaError:
        return  # this client may not ask, and a worker need not
    for name, config in wanted.items():
        for key, value in config.items():
            found = told.get(name, {}).get(key, {}).get("value")
            if key != "retention.ms" and found is not None and found != value:
                mend = f"kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config {key}={value}"
                yield Finding("topic settings", "error", f"{name} has {key}={found} where {value} is needed", mend)


def _permissions(admin: Any, described: Mapping[str, Any], acls: Sequence[Acl], role: str) -> Finding:
    lacking = []
    for acl in acls:
        may = described.get(acl.name, {}).get("authorized_operations") if acl.resource == "Topic" else None
        if acl.resource == "Group":
            with suppress(KafkaError):  # a group that does not exist yet
                may = admin.describe_groups([acl.name]).get(acl.name, {}).get("authorized_operations")
        if may is not None and acl.operation.upper() not in may:
            lacking.append(f"{acl.operation.upper()} on {acl.resource.lower()} {acl.name}")
    if lacking:
        mend = f"give the principal of role {role} these ACLs; another role needs others"
        return Finding("permissions", "error", f"this client lacks {', '.join(lacking)}", mend)
    return Finding("permissions", "ok", f"what {role} does, this client may")


def _keys(settings: Settings) -> Finding:
    try:
        if look(settings, keys_of(settings)):
            return Finding("shared keys", "ok", "the keys here are the installation's")
    except (SetupError, ValueError, OSError) as exc:
        return Finding("shared keys", "error", str(exc), "copy the keys from a worker that runs")
    return Finding("shared keys", "ok", "no worker has run yet: its keys will be the installation's")
