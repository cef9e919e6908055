"""Each thing that doctor looks at in Kafka, well and unwell, on a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from installed import installed, unwell
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import ClusterAuthorizationFailedError

from streams import installation, topics
from streams.admin import connect, create_topics
from streams.commands.doctor import findings, kafka
from streams.embedded.kafka import EmbeddedKafka
from streams.installation import agree
from streams.keys import load_keys
from streams.permissions import roles
from streams.settings import Settings

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return installed(tmp_path)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where every topic is as setup made it."""
    made = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), port=0)
    made.start()
    yield made.bootstrap
    made.stop()


@pytest.fixture
def served(settings: Settings, broker: str, unique: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """On a broker with every topic, and keys that no other test has agreed on."""
    there = settings.model_copy(update={"kafka": broker, "application": unique})
    create_topics(there)
    monkeypatch.setattr(installation, "INSTALLATION", unique)
    admin = connect(there)
    admin.create_topics([NewTopic(unique, 1, 1)])
    admin.close()
    return there


def test_kafka_that_is_well_and_what_is_not(served: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def about(settings: Settings = served, clock: Callable[[], float] = time.time) -> list[tuple[str, str, str, str]]:
        return unwell(kafka.findings(settings, clock))

    assert about() == []
    assert "no worker has run yet" in list(kafka.findings(served, time.time))[-1].told
    agree(served, load_keys(served.home))
    assert about() == []

    late = about(clock=lambda: time.time() - 600)
    assert [(n, f) for n, f, *_ in late] == [("kafka clock", "error")]
    assert "600 s behind" in late[0][2]

    eight = about(served.model_copy(update={"partitions": 8, "replication": 3}))
    assert {name for name, *_ in eight} == {"kafka", "partitions"}
    assert ("partitions", "error", "events has 4 partitions where 8 are set") in [each[:3] for each in eight]
    assert any("WARDWATCH_PARTITIONS=4" in mend for *_, mend in eight)

    load_keys(tmp_path / "other")
    ((name, level, told, mend),) = about(served.model_copy(update={"data_dir": tmp_path / "other"}))
    assert (name, level, mend) == ("shared keys", "error", "copy the keys from a worker that runs")
    assert "are not those of this installation" in told

    with monkeypatch.context() as patched:
        patched.setattr(topics, "ALL", (*topics.ALL, topics.Topic("synthetic-missing", 0, 1)))
        assert about() == [("topics", "error", "missing: synthetic-missing", "run wardwatch setup")]

    admin = connect(served)
    try:
        resource = ConfigResource(
            ConfigResourceType.TOPIC, "events", {"max.message.bytes": "1000", "retention.ms": "5000"}
        )
        admin.alter_configs([resource])
        ((name, level, told, mend),) = about()
        assert (name, level, told) == (
            "topic settings",
            "error",
            "events has max.message.bytes=1000 where 4194304 is needed",
        )
        assert mend.endswith("--add-config max.message.bytes=4194304")
    finally:
        whole = {topic.name: topic.config() for topic in topics.ALL}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "events", whole["events"])])
        vault = {**whole["vault"], "cleanup.policy": "delete"}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "vault", vault)])
        for role in ("", "worker", "identity"):
            (told,) = (each[2] for each in unwell(kafka.findings(served, time.time, role)))
            assert told == "vault has cleanup.policy=delete where compact is needed"
        assert unwell(kafka.findings(served, time.time, "events")) == []
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "vault", whole["vault"])])
        admin.close()


class Permitted:
    """An administration client that may do what ``operations`` says, to topics and to the group."""

    def __init__(self, topic: list[str] | None, group: list[str] | None) -> None:
        self.described = {t.name: {"name": t.name, "authorized_operations": topic} for t in topics.ALL}
        self.group = group

    def describe_groups(self, names: list[str]) -> dict[str, Any]:
        return {names[0]: {"authorized_operations": self.group}}


@pytest.mark.parametrize(
    ("topic", "group", "lacking"),
    [
        (["READ", "WRITE", "DESCRIBE"], ["READ", "DESCRIBE"], []),
        (None, None, []),
        (["READ", "DESCRIBE"], ["READ"], ["WRITE on topic events", "WRITE on topic dead.letters"]),
        (["WRITE", "DESCRIBE"], ["DESCRIBE"], ["READ on topic audit.ehr", "READ on group wardwatch"]),
    ],
)
def test_what_a_worker_may_not(topic: list[str] | None, group: list[str] | None, lacking: list[str]) -> None:
    admin = Permitted(topic, group)
    found = kafka._permissions(admin, admin.described, roles()["worker"], "worker")
    assert found.level == ("error" if lacking else "ok")
    assert all(one in found.told for one in lacking)
    assert "WRITE on topic audit" not in found.told
    assert "READ on topic dead.letters" not in found.told
    assert "READ on topic vault" not in found.told
    keeping = kafka._permissions(admin, admin.described, roles()["events"], "events")
    assert "views" not in keeping.told
    assert ("READ on group wardwatch.events" in keeping.told) == ("READ on group wardwatch" in found.told)


def test_a_client_that_may_not_ask_for_the_time_is_told_no_time() -> None:
    class Shy:
        def describe_cluster(self) -> dict[str, Any]:
            return {"brokers": [{}]}

        def describe_metadata_quorum(self) -> Any:
            raise ClusterAuthorizationFailedError

    assert [one.about for one in kafka._cluster(Shy(), Settings(), lambda: 0.0)] == ["kafka"]


def in_sync(name: str, *, leader: int = 1, behind: int = 0) -> dict[str, Any]:
    partition = {"leader_id": leader, "replica_nodes": [1, 2, 3], "isr_nodes": [1, 2, 3][: 3 - behind]}
    return {name: {"partitions": [partition] * 4}}


@pytest.mark.parametrize(
    ("harm", "level", "told"),
    [({"behind": 1}, "warning", "some are behind in events"), ({"leader": -1}, "error", "no leader in events")],
)
def test_replicas_that_are_away(harm: dict[str, int], level: str, told: str) -> None:
    described = {name: topic for each in topics.ALL for name, topic in in_sync(each.name).items()}
    names = list(described)
    assert unwell(kafka._topics(described, Settings(), names)) == []
    ((about, found, said, _),) = unwell(kafka._topics(described | in_sync("events", **harm), Settings(), names))
    assert (about, found, said) == ("replicas", level, told)


def test_findings_come_in_the_order_to_mend_them(served: Settings) -> None:
    about = [one.about for one in findings(served)]
    assert about.index("settings") < about.index("keys") < about.index("kafka") < about.index("topics")
