"""Who a pseudonym is, on real Kafka: told first and shown then; and the key changes in the middle of a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from cluster import ROOT, STAGES, Cluster, EventsWorker
from oracle import judge
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from topic_reading import read_topic

from streams import topics
from streams.blocks import unpack
from streams.commands.accesses import timeline, who
from streams.commands.own_audit import operator
from streams.commands.pseudonym_keys import NotDone, PseudonymKeys
from streams.commands.reveal import NotRevealed, reveal
from streams.commands.terminal import sentences
from streams.demo.records import audit_event
from streams.embedded.java import free_port
from streams.emitter import Emitter
from streams.keys import Keys, keys_of, load_keys
from streams.pseudonyms import Pseudonyms
from streams.sinks.database import StoreError
from streams.sinks.event_store import EventStore
from streams.sinks.store import AlertStore

PATIENTS = [f"synthetic-{number:06}" for number in range(40)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(
        tmp_path_factory.mktemp("identity"),
        environment={"WARDWATCH_ROTATION_NOTICE": "4", "WARDWATCH_SESSION_TIMEOUT": "1.5"},
    )
    made.start()
    made.add_worker()
    yield made
    made.stop()


def command(cluster: Cluster, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        cwd=cluster.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **cluster.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def pseudonym_keys(cluster: Cluster) -> PseudonymKeys:
    return PseudonymKeys(cluster.settings, load_keys(cluster.settings.home), now=int(time.time() * 1000))


def emit(cluster: Cluster, run: int) -> None:
    """Every patient's record is read; some patients are busy."""
    now = int(time.time() * 1000)
    with Emitter(cluster.kafka.bootstrap, producer="tests") as emitter:
        for number, patient in enumerate(PATIENTS * 3 + PATIENTS[:3] * 20):
            record = audit_event(
                id=f"run-{run}-{number}",
                time=now + number,
                interaction="read",
                staff=f"synthetic-p{number % 5}",
                address="192.0.2.7",
                patient=patient,
            )
            emitter.emit(record, key=patient)


def own_events(cluster: Cluster) -> list[dict[str, Any]]:
    found = [
        orjson.loads(record.value)
        for records in read_topic(cluster.kafka.bootstrap, topics.EVENTS).values()
        for lying in records
        for record in unpack(lying).records
        if b'"source":"wardwatch"' in record.value and b'"overlap":"earlier"' not in record.value
    ]
    return sorted(found, key=lambda event: event["time"])


def named(cluster: Cluster, run: int) -> set[str]:
    """Patients of one run of :func:`emit`, as its events name them to everybody."""
    found: set[str] = set()
    for records in read_topic(cluster.kafka.bootstrap, topics.EVENTS).values():
        for lying in records:
            for record in unpack(lying).records:
                if f'"id":"run-{run}-'.encode() in record.value and b'"overlap":"earlier"' not in record.value:
                    found |= set(orjson.loads(record.value)["patients"])
    return found


@pytest.mark.faults
@pytest.mark.kafka
def test_a_look_behind_a_pseudonym_and_a_rotation_in_the_middle_of_a_run(cluster: Cluster) -> None:
    emit(cluster, 1)
    cluster.settle(seconds=60, stages=STAGES[:1])
    keys = load_keys(cluster.settings.home)
    first = keys.pseudonym_id
    pseudonym = Pseudonyms(keys.pseudonym, first).patient(f"Patient/{PATIENTS[0]}")

    shown = command(cluster, "reveal", pseudonym, "--reason", "synthetic case 4711")
    assert (shown.returncode, shown.stdout) == (0, f"Patient/{PATIENTS[0]}\n"), shown.stderr
    for asked, reason, with_keys, why in (
        (f"patient:{first}.{'a' * 24}", "synthetic case 4712", keys, "the vault holds no patient:"),
        (pseudonym, f"called by {PATIENTS[0]}", keys, "the reason holds the patient's identifier"),
        (pseudonym, "synthetic case 4713", replace(keys, given_vault=lambda: "AA=="), "is not 32 bytes in base64"),
        (pseudonym, " ", keys, "--reason takes 1 to 500 characters"),
    ):
        with pytest.raises(NotRevealed, match=re.escape(why)):
            reveal(cluster.settings, with_keys, asked, reason)

    cluster.settle(seconds=60)
    told = own_events(cluster)
    assert [(e["fields"]["event.outcome"], e["fields"].get("event.reason")) for e in told] == [
        ("success", "synthetic case 4711"),
        ("failure", "synthetic case 4712"),
        ("failure", None),
        ("failure", "synthetic case 4713"),
    ]
    assert told[0]["patients"] == [pseudonym]
    assert {e["actor"] for e in told} == {f"user:{operator()}"}
    store = AlertStore(cluster.settings.store_path, read_only=True)
    alerts = store.alerts(source="wardwatch")
    store.close()
    assert {alert["title"] for alert in alerts} == {"Identity behind a pseudonym revealed"}
    assert len(alerts) == 4
    assert PATIENTS[0] not in json.dumps(alerts)

    _rotate(cluster, first, pseudonym)


def _rotate(cluster: Cluster, first: str, pseudonym: str) -> None:
    turned = command(cluster, "keys", "rotate", "--overlap", "1")
    assert turned.returncode == 0, turned.stderr
    second = turned.stdout[:8]
    assert "copy" in turned.stdout
    with pytest.raises(NotDone, match="settles until"):  # one at a time
        list(pseudonym_keys(cluster).rotate(overlap_ms=0))
    emit(cluster, 2)  # before it is in use
    start = pseudonym_keys(cluster).rows()[1].start
    assert start is not None
    while time.time() * 1000 <= start:
        time.sleep(0.05)
    emit(cluster, 3)
    cluster.settle(seconds=60, stages=STAGES[:1])
    for run, key in ((1, first), (2, first), (3, second)):
        assert {name[8:16] for name in named(cluster, run)} == {key}
        assert len(named(cluster, run)) == len(PATIENTS)

    keys = load_keys(cluster.settings.home)
    assert list(keys.pseudonyms) == [first, second]
    renamed = Pseudonyms(keys.pseudonym, second).patient(f"Patient/{PATIENTS[0]}")
    shown = command(cluster, "reveal", renamed, "--reason", "synthetic case 4714", "--json")
    assert json.loads(shown.stdout) == {
        "pseudonym": renamed,
        "identifier": f"Patient/{PATIENTS[0]}",
        "before": [pseudonym],
        "checked": True,
    }
    rows = pseudonym_keys(cluster).rows()
    assert [(row.key, row.here, row.state) for row in rows] == [(first, True, "earlier"), (second, True, "in use")]
    for name, why in ((first, "counts beside"), (second, "names patients now"), ("00000000", "there is no key")):
        with pytest.raises(NotDone, match=why):
            pseudonym_keys(cluster).check_destroy(name)

    cluster.kill_workers()


@pytest.mark.faults
@pytest.mark.kafka
def test_wrong_keys_are_one_sentence_each_and_lose_and_double_nothing(cluster: Cluster) -> None:
    emit(cluster, 5)
    before = len(own_events(cluster))
    keys = load_keys(cluster.settings.home)
    pseudonym = Pseudonyms(keys.pseudonym, keys.pseudonym_id).patient(f"Patient/{PATIENTS[2]}")
    other = load_keys(cluster.folder / "other")

    def host(name: str, *, without: str = "", theirs: tuple[str, ...] = (), cut: str = "") -> dict[str, str]:
        """A host with the installation's keys, but for what is said."""
        folder = cluster.folder / name / "keys"
        shutil.copytree(keys.folder, folder)
        for each in theirs:
            shutil.copy(other.folder / each, folder)
        if cut:
            (folder / cut).write_bytes(b"half a key")
        if without:
            (folder / without).unlink()
        return {"WARDWATCH_DATA_DIR": str(folder.parent)}

    both = ("vault.public", "vault.private")
    workers = [
        (host("another-s", theirs=both), "are not those of this installation (vault)"),
        (host("cut", cut="vault.public"), "vault.public holds 10 bytes where a key has 32: restore it"),
    ]
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda case: command(cluster, "worker", **case[0]), workers))
    for (_, told), done in zip(workers, ended, strict=True):
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("wardwatch: ")
        assert told in line

    given = {"vault_private_key": SecretStr(b64encode(other.vault_private()).decode())}
    nothing = {"vault_private_key_command": f"{sys.executable} -c 0"}
    asked: list[tuple[dict[str, str], dict[str, Any], str]] = [
        (host("none", without="vault.private"), {}, "identities are revealed only where the vault's private key is"),
        (host("wrong"), given, "does not belong to its public key: take the installation's own"),
        (host("silent"), nothing, "which prints a key, printed nothing: mend it"),
        (host("theirs", theirs=both), {}, "this entry was sealed to another key"),
    ]
    for where, more, told in asked:
        there = {"data_dir": Path(where["WARDWATCH_DATA_DIR"]), **more}
        settings = cluster.settings.model_copy(update=there)
        with pytest.raises(NotRevealed) as caught:
            reveal(settings, keys_of(settings), pseudonym, "synthetic case 5")
        (line,) = sentences(caught.value)
        assert told in line

    cluster.add_worker()  # with the right ones: what came meanwhile is there, once
    cluster.settle(seconds=60)
    assert len(named(cluster, 5)) == len(PATIENTS)
    assert reveal(cluster.settings, keys, pseudonym, "synthetic case 6").identity.identifier == f"Patient/{PATIENTS[2]}"
    cluster.settle(seconds=60)
    cluster.kill_workers()
    judgement = judge(cluster.settings)
    assert judgement.wrong == []
    assert judgement.counts[topics.DEAD_LETTERS] == 0
    looks = [e["fields"]["event.outcome"] for e in own_events(cluster)[before:]]
    assert looks == ["failure"] * 4 + ["success"]


def kept(cluster: Cluster) -> int:
    if not cluster.settings.events_path.exists():
        return 0
    try:
        store = EventStore(cluster.settings.events_path, read_only=True)
    except StoreError:
        return 0  # it is being made
    try:
        return store.count()
    finally:
        store.close()


def balanced(port: int) -> bool:
    """Whether what the worker's numbers say of events adds up, and it is behind in nothing."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    found = {
        (sample.name.removeprefix("wardwatch_"), sample.labels.get("reason", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("step", "events") == "events"
    }
    taken, passed, dead = (found.get((f"records_{name}_total", ""), 0) for name in ("taken", "passed", "dead"))
    filtered = sum(value for (name, _), value in found.items() if name == "records_filtered_total")
    assert taken == passed + dead + filtered
    return taken > 0 and found.get(("lag_records", "")) == 0


def _look_at_status(cluster: Cluster, keys: Keys) -> None:
    status = json.loads(command(cluster, "status", "--json", "--seconds", "0.5").stdout)
    assert [row["key"] for row in status["keys"]] == list(keys.pseudonyms)
    assert [row["state"] for row in status["keys"]] == ["earlier", "in use"]
    assert status["vault_entries"] >= 2 * len(PATIENTS), "under each of two keys"
    assert status["keeping"]["lag"] < 100  # watermarks come every second
    assert any(not said["stopped"] for said in status["keeping"]["workers"].values())


def told_of(cluster: Cluster, entities: set[str]) -> list[dict[str, Any]]:
    """Events about any of ``entities`` as they lie in Kafka, each once."""
    found: dict[str, dict[str, Any]] = {}
    for records in read_topic(cluster.kafka.bootstrap, topics.EVENTS).values():
        for lying in records:
            for record in unpack(lying).records:
                value = orjson.loads(record.value)
                about = {value.get("actor"), *value.get("patients", ()), value.get("fields", {}).get("wardwatch.about")}
                if value.get("overlap") != "earlier" and about & entities:
                    found[value["id"]] = value
    return list(found.values())


@pytest.mark.faults
@pytest.mark.kafka
def test_who_looked_is_answered_alike_by_file_and_index(cluster: Cluster, elasticsearch_url: str) -> None:
    emit(cluster, 4)
    cluster.add_worker()  # reads again what the one that was killed had not committed, and finds the same
    cluster.settle(seconds=60)
    everything = {f"user:Practitioner/synthetic-p{n}" for n in range(5)} | {f"user:{operator()}"}
    whole = len(told_of(cluster, everything))
    index = {"WARDWATCH_EVENTS_INDEX": "true", "WARDWATCH_ELASTICSEARCH": elasticsearch_url}
    made = command(cluster, "setup", **index)
    assert "wardwatch-events" in made.stdout, made.stderr
    indexing = EventsWorker(cluster, WARDWATCH_APPLICATION="indexing", **index)
    worker = EventsWorker(cluster)
    worker.wait_for(lambda: kept(cluster) > 0)
    worker.process.kill()
    worker.process.wait()
    port = free_port()
    worker = EventsWorker(cluster, WARDWATCH_EVENTS_METRICS_PORT=str(port))
    worker.wait_for(lambda: kept(cluster) == whole)
    worker.wait_for(lambda: balanced(port))
    _look_at_status(cluster, keys_of_run := load_keys(cluster.settings.home))
    assert len(keys_of_run.pseudonyms) == 2

    keys = load_keys(cluster.settings.home)
    names = {Pseudonyms(key, name).patient(f"Patient/{PATIENTS[1]}") for name, key in keys.pseudonyms.items()}
    wanted = Counter(event["actor"] for event in told_of(cluster, names))
    now = int(time.time() * 1000) + 60_000
    answer = who(cluster.settings, keys, f"Patient/{PATIENTS[1]}", since=now - 86_400_000, until=now, reason="case 1")
    assert {access.actor: access.count for access in answer.entries} == wanted
    assert all(access.actions["read"] and access.purposes["TREAT"] for access in answer.entries)
    assert answer.entries[0].count == max(wanted.values())
    entries = timeline(cluster.settings, keys, f"user:{operator()}", since=0, until=now).entries
    assert {entry["kind"] for entry in entries} >= ({"event", "alert"} if own_events(cluster) else set())
    assert entries == sorted(entries, key=lambda entry: entry["time"])
    shown = command(cluster, "who", f"Patient/{PATIENTS[1]}", "--since", "1d", "--json")
    assert {one["actor"]: one["count"] for one in json.loads(shown.stdout)["accesses"]}.items() >= wanted.items()
    assert "say 30d, 12h" in command(cluster, "who", "Patient/1", "--since", "yesterday").stderr
    indexed = cluster.settings.model_copy(update={"events_index": True, "elasticsearch": elasticsearch_url})
    url = f"{elasticsearch_url}/wardwatch-events-*"
    indexing.wait_for(
        lambda: httpx.post(f"{url}/_refresh").is_success and httpx.get(f"{url}/_count").json()["count"] >= whole
    )
    again = who(indexed, keys, f"Patient/{PATIENTS[1]}", since=now - 86_400_000, until=now - 60_000)
    embedded = [access for access in again.entries if access.actor != f"user:{operator()}"]
    assert embedded == [access for access in answer.entries if access.actor != f"user:{operator()}"]
    for one in (worker, indexing):
        one.process.terminate()
    assert [one.process.wait(30) for one in (worker, indexing)] == [0, 0]
    cluster.settle(seconds=60)
    cluster.stop_workers()
    judgement = judge(cluster.settings)
    assert judgement.wrong == []
    assert judgement.counts[topics.DEAD_LETTERS] == 0
    asked = [(e["fields"]["event.action"], e["fields"].get("wardwatch.patient")) for e in own_events(cluster)]
    newest = sorted(names, key=lambda name: keys.pseudonym_id in name)[-1]
    assert asked.count(("list-accesses", [newest])) == 3
    assert ("show-timeline", None) in asked

    first = keys.pseudonyms.keys() - {keys.pseudonym_id}
    later = PseudonymKeys(cluster.settings, keys, now=now + 2 * 86_400_000)  # past the overlap
    later.check_destroy(*first)
    assert "is destroyed" in next(told := later.destroy(*first))
    assert list(told) == []
    left = load_keys(cluster.settings.home)
    assert list(left.pseudonyms) == [keys.pseudonym_id]
    assert [row.state for row in PseudonymKeys(cluster.settings, left, now=now).rows()] == ["destroyed", "in use"]
    old = next(name for name in names if name != newest)
    assert reveal(cluster.settings, left, old, "case 2").identity.identifier == f"Patient/{PATIENTS[1]}"
