"""Who a pseudonym is, on real Kafka: told first and shown then; and the key changes in the middle of a run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from cluster import ROOT, Cluster
from oracle import judge
from topic_reading import read_topic

from streams import topics
from streams.blocks import unpack
from streams.commands.own_audit import operator
from streams.commands.pseudonym_keys import NotDone, PseudonymKeys
from streams.commands.reveal import NotRevealed, reveal
from streams.demo.records import audit_event
from streams.emitter import Emitter
from streams.keys import load_keys
from streams.pseudonyms import Pseudonyms
from streams.sinks.store import AlertStore

PATIENTS = [f"synthetic-{number:06}" for number in range(40)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("identity"), environment={"WARDWATCH_ROTATION_NOTICE": "3"})
    made.start()
    made.add_worker()
    yield made
    made.stop()


def command(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        cwd=cluster.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **cluster.environment},
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
        if b'"source":"wardwatch"' in record.value
    ]
    return sorted(found, key=lambda event: event["time"])


def names(cluster: Cluster, key: str) -> set[str]:
    """Patients' pseudonyms under one key, as events have them."""
    found = set()
    for records in read_topic(cluster.kafka.bootstrap, topics.EVENTS).values():
        for lying in records:
            for record in unpack(lying).records:
                found |= set(re.findall(rf"patient:{key}\.[a-z2-7]{{24}}", record.value.decode()))
    return found


@pytest.mark.faults
@pytest.mark.kafka
def test_a_look_behind_a_pseudonym_and_a_rotation_in_the_middle_of_a_run(cluster: Cluster) -> None:
    emit(cluster, 1)
    cluster.settle(seconds=60)
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
    cluster.settle(seconds=60)
    assert names(cluster, second) == set()
    start = pseudonym_keys(cluster).rows()[1].start
    assert start is not None
    while time.time() * 1000 <= start:
        time.sleep(0.05)
    emit(cluster, 3)
    cluster.settle(seconds=60)
    assert len(names(cluster, second)) == len(PATIENTS)
    assert len(names(cluster, first) - {f"patient:{first}.{'a' * 24}"}) == len(PATIENTS)

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

    for worker in cluster.workers:
        worker.kill()
    cluster.workers.clear()
    cluster.add_worker()  # reads again what it had not committed, and finds the same
    emit(cluster, 4)
    cluster.settle(seconds=60)
    cluster.stop_workers()
    judgement = judge(cluster.settings)
    assert judgement.wrong == []
    assert judgement.counts[topics.DEAD_LETTERS] == 0
