"""The commands beside a real broker and a worker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import AUDIT, DEVICE, ROOT, TRAIL, Shell, lines
from kafka import KafkaProducer

from streams import topics
from streams.embedded.kafka import EmbeddedKafka

TABLE = ROOT / "examples" / "tables" / "acme-ehr.csv"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Shell]:
    """A shell beside a broker of its own and a worker, which read a table of one's own too."""
    broker = EmbeddedKafka(tmp_path / "kafka", port=0)
    broker.start()
    shell = Shell(tmp_path / "home", broker.bootstrap)
    shell.environment["WARDWATCH_SOURCES"] = json.dumps([str(TABLE.parent)])
    assert shell.run("setup").returncode == 0
    worker = subprocess.Popen([sys.executable, "-m", "streams.worker"], cwd=ROOT, env=shell.environment)
    try:
        yield shell
    finally:
        worker.terminate()
        worker.wait(30)
        broker.stop()


def settled(shell: Shell, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status once nothing lags and it is ``done``."""
    for _ in range(60):
        result = shell.run("status", "--json", "--seconds", "0.5")
        assert result.returncode == 0, result.stderr
        status: dict[str, Any] = json.loads(result.stdout)
        if not any(status["lag"].values()) and done(status):
            return status
    raise AssertionError(status)


@pytest.mark.kafka
def test_from_emit_to_dead_letters_and_back(running: Shell, tmp_path: Path) -> None:
    path = tmp_path / "events"
    bad = {**AUDIT, "id": "a-2", "recorded": "2026-03-01T10:00:00"}
    path.write_text(lines(AUDIT, DEVICE, TRAIL, bad, "{"))
    emitted = running.run("emit", str(path))
    assert emitted.stderr.splitlines()[-1] == "4 events sent, 1 not"
    assert emitted.returncode == 1

    status = settled(running, lambda found: sum(found["alerts"].values()) == 2 and found["dead_letters"] == 1)
    assert status["last_alert"]["title"]
    told = running.run("status").stdout
    assert "dead letters  1\n" in told
    assert re.search(r"^worker +\S+: runs$", told, re.MULTILINE)
    assert "last alert    " in told

    listed = running.run("dead-letters", "list", "--json", "--producer", "wardwatch-emit").stdout
    letter = json.loads(listed)
    assert letter["headers"] == {"source": "fhir", "producer": "wardwatch-emit"}
    assert letter["reason"].startswith("recorded")
    assert "synthetic-000001" not in listed
    assert "sealed" not in listed
    nobody = running.run("dead-letters", "list", "--producer", "nobody")
    assert (nobody.stdout, nobody.stderr) == ("", "there is no dead letter that fits, but for those sent again\n")
    assert running.run("dead-letters", "list", "--reason", "no such").stdout == ""
    assert json.loads(running.run("dead-letters", "list", "--count", "--json").stdout)["count"] == 1

    shown = running.run("dead-letters", "show", letter["position"])
    assert json.loads(shown.stdout) == bad
    assert running.run("dead-letters", "show", "x/0/0").returncode == 1
    assert running.run("dead-letters", "replay", letter["position"]).stdout == "1 record sent again\n"
    missing = running.run("dead-letters", "replay", "x/0/0")
    assert (missing.returncode, missing.stdout) == (1, "0 records sent again\n")
    assert "there is no such letter: x/0/0" in missing.stderr

    # Sent again it fails again: the first letter is answered, and a new one is open.
    settled(running, lambda found: found["dead_letters"] == 1)
    again = json.loads(running.run("dead-letters", "list", "--json").stdout)
    assert again["position"] != letter["position"]
    assert len(running.run("dead-letters", "list", "--replayed").stdout.splitlines()) == 2

    # One record that holds two: what can be read of it counts, and the other's letter is its alone.
    undated = {**TRAIL, "eventID": "c-undated", "eventTime": "yesterday"}
    producer = KafkaProducer(bootstrap_servers=running.environment["WARDWATCH_KAFKA"])
    producer.send("audit.cloud", json.dumps({"Records": [undated, {**TRAIL, "eventID": "c-2"}]}).encode()).get(30)
    producer.close()
    settled(running, lambda found: sum(found["alerts"].values()) == 3 and found["dead_letters"] == 2)
    open_letters = map(json.loads, running.run("dead-letters", "list", "--json").stdout.splitlines())
    (position,) = [found["position"] for found in open_letters if found["topic"] == "audit.cloud"]
    assert position.endswith(".1")
    assert json.loads(running.run("dead-letters", "show", position).stdout) == undated
    assert running.run("dead-letters", "replay", position).stdout == "1 record sent again\n"

    rows = running.run("emit", str(TABLE))
    assert (rows.returncode, rows.stderr) == (0, "4 events sent, 0 not\n")
    after = settled(running, lambda found: True)
    assert after["dead_letters"] == 2, "every row was read, and none stops the worker"

    (Path(running.environment["WARDWATCH_DATA_DIR"]) / "keys" / "dead-letters.private").unlink()
    refused = running.run("dead-letters", "show", again["position"])
    assert "open only where their private key is" in refused.stderr


@pytest.mark.kafka
def test_status_on_another_machine_and_setup_twice(running: Shell, tmp_path: Path) -> None:
    """Neither the store nor the keys are there: what it says comes from Kafka."""
    running.run("emit", "-", stdin=lines(TRAIL))
    settled(running, lambda found: found["last_alert"] is not None)
    elsewhere = Shell(tmp_path / "elsewhere", running.environment["WARDWATCH_KAFKA"])
    emitting = subprocess.Popen(
        [sys.executable, "-m", "streams.demo", "--rate", "50", "--staff", "20"], cwd=ROOT, env=running.environment
    )
    try:
        status = json.loads(elsewhere.run("status", "--json", "--seconds", "4").stdout)
    finally:
        emitting.terminate()
        emitting.wait(30)
    assert status["arriving"] > 0
    assert status["last_alert"]["title"] == "CloudTrail recording stopped or narrowed"
    assert status["workers"] == {}
    assert not (tmp_path / "elsewhere").exists()
    assert f"all {len(topics.ALL)} were there (4 partitions each)" in running.run("setup").stdout
    running.environment["WARDWATCH_PARTITIONS"] = "8"
    refused = running.run("setup")
    assert refused.returncode == 1
    assert "set WARDWATCH_PARTITIONS=4, or replay into new topics" in refused.stderr


@pytest.mark.kafka
def test_without_topics_one_sentence_says_what_to_run(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path / "kafka", port=0)
    broker.start()
    try:
        shell = Shell(tmp_path / "home", broker.bootstrap)
        for result in shell.run_together(["worker"], ["status"], ["dead-letters", "list"]):
            assert result.returncode == 1
            told = r"wardwatch: topics are missing \(.*\): run wardwatch setup\n"
            assert re.fullmatch(told, result.stderr), result.args
        made = shell.run("setup").stdout
        assert made.startswith(
            f"topics         {len(topics.ALL)} made (4 partitions, 1 replica each): audit.ehr, audit.iot"
        )
        assert "elasticsearch  not set" in made
    finally:
        broker.stop()


@pytest.mark.kafka
def test_acls_on_a_kafka_that_lets_everybody_do_everything_says_so(kafka: str, tmp_path: Path) -> None:
    told = Shell(tmp_path / "home", kafka).run("acls", "deploy/kafka/acls.toml")
    assert told.returncode == 1
    assert told.stderr.startswith(f"wardwatch: Kafka at {kafka} has no authorizer, so that everybody may do everything")
