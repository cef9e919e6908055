"""Each thing that doctor looks at, well and unwell, on a real broker and a real Elasticsearch; and it only looks."""

from __future__ import annotations

import json
import os
import shutil
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from answering import answering
from elasticsearch import Elasticsearch, NotFoundError
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import ClusterAuthorizationFailedError
from pydantic import SecretStr
from synthetic_alerts import alert
from typer.testing import CliRunner

from streams import cli, installation, topics
from streams.admin import connect, create_topics
from streams.commands.doctor import Finding, elasticsearch, findings, here, kafka, lines
from streams.commands.doctor.finding import clock_finding
from streams.installation import agree
from streams.keys import load_keys
from streams.permissions import roles
from streams.settings import Settings
from streams.sinks.elasticsearch import ALERTS, alert_source, templates
from streams.sinks.event_index import EVENTS, template


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(place: Path) -> Settings:
    """An installation whose keys are made, and nothing else of it."""
    load_keys(place / "home")
    return Settings(data_dir=place / "home", kafka="127.0.0.1:9")


def unwell(found: Iterator[Finding]) -> list[tuple[str, str, str, str]]:
    every = list(found)
    assert all(bool(one.mend) == (one.level != "ok") for one in every), "each that is unwell has its mend"
    return [(one.about, one.level, one.told, one.mend) for one in every if one.level != "ok"]


# -- this machine


def test_a_machine_that_is_well(settings: Settings) -> None:
    assert unwell(here.findings(settings)) == []
    assert [one.about for one in here.findings(settings)] == ["settings", "disk", "keys", "vault key"]


def forget_private(home: Path) -> None:
    (home / "keys" / "vault.private").unlink()


def another_s_private(home: Path) -> None:
    load_keys(home.parent / "other")
    shutil.copy(home.parent / "other" / "keys" / "vault.private", home / "keys")


@pytest.mark.parametrize(
    ("role", "harm", "level", "told"),
    [
        ("", None, "ok", "identities can be revealed"),
        ("", forget_private, "ok", "not here: identities are revealed elsewhere"),
        ("identity", None, "ok", "identities can be revealed"),
        ("identity", forget_private, "error", "vault.private is not here: identities are revealed only where"),
        ("worker", None, "warning", "vault.private is here, and this host needs none to do its work"),
        ("worker", forget_private, "ok", "what this host writes to the vault it cannot read"),
        ("events", None, "warning", "vault.private is here, and this host needs none"),
        ("events", forget_private, "ok", "it cannot read"),
    ],
)
def test_the_vault_s_private_key_is_where_it_is_needed_and_nowhere_else(
    settings: Settings, role: str, harm: Callable[[Path], None] | None, level: str, told: str
) -> None:
    if harm is not None:
        harm(settings.home)
    (found,) = (one for one in here.findings(settings, role) if one.about == "vault key")
    assert (found.level, bool(found.mend)) == (level, level != "ok")
    assert told in found.told


def test_a_vault_key_from_elsewhere_is_held_against_the_public_one(settings: Settings) -> None:
    private = load_keys(settings.home).vault_private()
    forget_private(settings.home)
    for given, level in ((private, "ok"), (bytes(32), "error")):
        told = SecretStr(b64encode(given).decode())
        elsewhere = settings.model_copy(update={"vault_private_key": told})
        (found,) = (one for one in here.findings(elsewhere, "identity") if one.about == "vault key")
        assert found.level == level
        (found,) = (one for one in here.findings(elsewhere, "worker") if one.about == "vault key")
        assert found.told == "it is given here, and this host needs none to do its work"
    none = settings.model_copy(update={"vault": False})
    assert [one.about for one in here.findings(none)] == ["settings", "disk", "keys"]


def test_what_the_worker_that_keeps_events_has_here(settings: Settings, place: Path) -> None:
    def about(**changed: Any) -> list[tuple[str, str]]:
        found = here.findings(settings.model_copy(update=changed), "events")
        return [(one.about, one.level) for one in found][4:]

    assert about() == []
    assert about(events_index=True) == [("events", "error")]
    assert about(events_rules=[place / "nowhere"]) == [("events rules", "error")]
    settings.events_path.write_bytes(b"not a database, and long enough for sqlite to say so " * 50)
    assert about() == [("store", "error")]
    assert about(events_index=True, elasticsearch="http://127.0.0.1:9") == []


def forget_keys(home: Path) -> None:
    shutil.rmtree(home / "keys")


def halve_key(home: Path) -> None:
    (home / "keys" / "pseudonym.key").write_bytes(b"half a key")


def forget_public(home: Path) -> None:
    (home / "keys" / "vault.public").unlink()


def halve_private(home: Path) -> None:
    (home / "keys" / "vault.private").write_bytes(b"half a key")


def open_private(home: Path) -> None:
    (home / "keys" / "vault.private").chmod(0o640)


def open_key(home: Path) -> None:
    (home / "keys" / "pseudonym.key").chmod(0o644)


def damage_store(home: Path) -> None:
    (home / "alerts.sqlite").write_bytes(b"not a database, and long enough for sqlite to say so " * 50)


def remove(home: Path) -> None:
    shutil.rmtree(home)


@pytest.mark.parametrize(
    ("harm", "about", "level", "told", "mend"),
    [
        (forget_keys, "keys", "error", "there are none in", "run wardwatch setup, or copy them"),
        (halve_key, "keys", "error", "holds 10 bytes where a key has 32", "restore the folder from your backup"),
        (open_key, "keys", "warning", "others may read pseudonym.key", "chmod 600"),
        (forget_public, "keys", "error", "vault.public is not in", "copy it from a worker that runs"),
        (halve_private, "keys", "error", "vault.private holds 10 bytes where a key has 32", "from your backup"),
        (another_s_private, "keys", "error", "does not belong to", "from your backup"),
        (open_private, "keys", "warning", "others may read vault.private", "chmod 600"),
        (damage_store, "store", "error", "alerts.sqlite", "move it away"),
        (remove, "data folder", "error", "is no folder", "run wardwatch setup"),
    ],
)
def test_what_is_wrong_with_the_folder(
    settings: Settings, harm: Callable[[Path], None], about: str, level: str, told: str, mend: str
) -> None:
    harm(settings.home)
    before = sorted(settings.home.rglob("*")) if settings.home.exists() else None
    ((name, found, said, remedy),) = unwell(here.findings(settings))
    assert (name, found) == (about, level)
    assert told in said
    assert mend in remedy
    assert (sorted(settings.home.rglob("*")) if settings.home.exists() else None) == before, "it only looks"


@pytest.mark.parametrize(
    ("free", "level"), [(100_000_000, "error"), (3_000_000_000, "warning"), (90_000_000_000, "ok")]
)
def test_a_disk_that_fills(settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, level: str) -> None:
    usage = shutil.disk_usage(settings.home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(total=100_000_000_000, free=free))
    (disk,) = (one for one in here.findings(settings) if one.about == "disk")
    assert disk.level == level


def test_rules_that_are_missing_or_broken(settings: Settings, place: Path) -> None:
    absent = settings.model_copy(update={"rules": [place / "nowhere"]})
    assert [(n, f) for n, f, *_ in unwell(here.findings(absent))] == [("rules", "error")]
    (place / "broken.yml").write_text("title: [")
    broken = settings.model_copy(update={"rules": [place / "broken.yml"]})
    ((name, level, told, _),) = unwell(here.findings(broken))
    assert (name, level) == ("rules", "warning")
    assert "broken.yml:" in told


def test_a_misspelled_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_PARTITONS", "8")
    told = "WARDWATCH_PARTITONS in environment is no setting"
    assert unwell(here.findings(settings)) == [("settings", "warning", told, "call it WARDWATCH_PARTITIONS")]


@pytest.mark.parametrize(
    ("off", "level", "told"), [(0, "ok", "within"), (30, "warning", "30 s behind"), (-600, "error", "600 s ahead of")]
)
def test_two_clocks(off: float, level: str, told: str) -> None:
    found = clock_finding("clock", 1_772_323_200 + off, 1_772_323_200)
    assert found.level == level
    assert told in found.told


# -- Kafka


@pytest.fixture
def served(settings: Settings, kafka: str, unique: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """On a broker with every topic, and keys that no other test has agreed on."""
    there = settings.model_copy(update={"kafka": kafka, "application": unique})
    create_topics(there)
    monkeypatch.setattr(installation, "INSTALLATION", unique)
    admin = connect(there)
    admin.create_topics([NewTopic(unique, 1, 1)])
    admin.close()
    return there


def test_kafka_that_is_well_and_what_is_not(served: Settings, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

    load_keys(place / "other")
    ((name, level, told, mend),) = about(served.model_copy(update={"data_dir": place / "other"}))
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


# -- Elasticsearch


@pytest.fixture
def stored(settings: Settings, elasticsearch_url: str) -> Iterator[tuple[Settings, Elasticsearch]]:
    with Elasticsearch(elasticsearch_url) as client:
        for name in client.indices.get(index="wardwatch-*"):
            client.indices.delete(index=name)
        for name, body in templates().items():
            client.indices.put_index_template(name=name, **body)
        with suppress(NotFoundError):
            client.indices.delete_index_template(name=EVENTS)
        yield settings.model_copy(update={"elasticsearch": elasticsearch_url}), client


def test_elasticsearch_that_is_well_and_what_is_not(stored: tuple[Settings, Elasticsearch]) -> None:
    settings, client = stored

    def about(clock: Callable[[], float] = time.time) -> list[tuple[str, str, str, str]]:
        return unwell(elasticsearch.findings(settings, clock))

    assert about() == []
    one = alert("a", time=1_772_323_200_000)
    client.index(index=f"{ALERTS}-2026.03", id=one.id, document=alert_source(one), refresh=True)
    assert about() == []
    assert list(elasticsearch.findings(settings, time.time))[-1].told == "1 of ours, each as its template says"

    late = about(lambda: time.time() + 600)
    assert [(n, f) for n, f, *_ in late] == [("elastic clock", "error")]

    keeping = settings.model_copy(update={"events_index": True})
    missing = [
        ("templates", "error", f"{EVENTS} is missing: new indices would guess their types", "run wardwatch setup")
    ]
    for role in ("", "events"):
        assert unwell(elasticsearch.findings(keeping, time.time, role)) == missing
    assert unwell(elasticsearch.findings(keeping, time.time, "worker")) == []
    client.indices.put_index_template(name=EVENTS, **template()[EVENTS])
    for role in ("", "events"):
        assert unwell(elasticsearch.findings(keeping, time.time, role)) == []

    client.indices.put_settings(index=f"{ALERTS}-2026.03", settings={"index.blocks.read_only_allow_delete": True})
    ((name, level, told, _),) = about()
    assert (name, level, told) == (
        "indices", "error", f"{ALERTS}-2026.03 takes no writes (read_only_allow_delete)",
    )  # fmt: skip
    client.indices.put_settings(index=f"{ALERTS}-2026.03", settings={"index.blocks.read_only_allow_delete": None})

    client.indices.delete_index_template(name=ALERTS)
    client.indices.create(index=f"{ALERTS}-2026.02", mappings={"properties": {"message": {"type": "long"}}})
    missing, wrong = about()
    assert missing == (
        "templates",
        "error",
        f"{ALERTS} is missing: new indices would guess their types",
        "run wardwatch setup",
    )
    assert wrong[:2] == ("mappings", "error")
    assert f"{ALERTS}-2026.02 was not made by our template: message is long, no @timestamp" in wrong[2]
    body = templates()[ALERTS]
    body["template"]["mappings"]["properties"]["message"] = {"type": "keyword"}
    client.indices.put_index_template(name=ALERTS, **body)
    assert about()[0][2] == f"{ALERTS} is another version's"


@pytest.mark.parametrize(
    ("status", "body", "told", "mend"),
    [
        (
            401,
            {"error": {"type": "security_exception"}},
            "does not know who asks (401)",
            "WARDWATCH_ELASTICSEARCH_API_KEY",
        ),
        (403, {"error": {"type": "security_exception"}}, "security_exception", "cluster privilege monitor"),
        (503, {"error": {"type": "x"}}, "503 x", "start it, or mend WARDWATCH_ELASTICSEARCH"),
        (200, {"version": {"number": "9.1.0"}}, "9.1.0 at http://127", "use one of the 8.19 line"),
        (200, {"version": {"number": "8.11.3"}}, "8.11.3 at http://127", "upgrade to 8.19"),
    ],
)
def test_an_elasticsearch_that_does_not_serve(
    settings: Settings, status: int, body: dict[str, Any], told: str, mend: str
) -> None:
    headers = {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
    with answering(lambda _: (status, headers, json.dumps(body).encode())) as serving:
        url = serving.url.replace("//", "//soc:secret@")
        found = next(elasticsearch.findings(settings.model_copy(update={"elasticsearch": url}), lambda: 0.0))
    assert found.level != "ok"
    assert told in found.told
    assert mend in found.mend
    assert "secret" not in found.told


# -- all of it


def test_nothing_there_is_told_and_the_exit_code_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_KAFKA", "127.0.0.1:9")
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(place / "nowhere"))
    monkeypatch.setattr("streams.commands.doctor.kafka._PATIENCE", 0.3)
    result = CliRunner().invoke(cli.app, ["doctor", "--json"])
    assert result.exit_code == 1
    assert [(one["about"], one["level"]) for one in json.loads(result.stdout)] == [
        ("settings", "ok"), ("data folder", "error"), ("kafka", "error"),
    ]  # fmt: skip
    assert os.listdir(place) == []


def test_a_warning_alone_is_no_failure_and_a_mend_stands_below() -> None:
    found = [Finding("keys", "warning", "others may read it", "chmod 600"), Finding("disk", "ok", "room")]
    assert list(lines(found)) == [
        "warning  keys           others may read it",
        "                        -> chmod 600",
        "ok       disk           room",
    ]


def test_findings_come_in_the_order_to_mend_them(served: Settings) -> None:
    about = [one.about for one in findings(served)]
    assert about.index("settings") < about.index("keys") < about.index("kafka") < about.index("topics")
