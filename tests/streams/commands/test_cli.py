"""The commands, as a shell has them: what they print, where errors go, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.demo.records import audit_event, cloudtrail, device_event
from streams.embedded.kafka import EmbeddedKafka

ROOT = Path(__file__).parents[3]
NOW = int(time.time() * 1000)


class Shell:
    def __init__(self, home: Path, kafka: str = "127.0.0.1:9") -> None:
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "WARDWATCH_DATA_DIR": str(home),
            "WARDWATCH_KAFKA": kafka,
            "COLUMNS": "120",
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "streams.cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "home")


def lines(*records: Any) -> str:
    return "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records)


AUDIT = audit_event(
    id="a-1",
    time=NOW,
    interaction="delete",
    staff="synthetic-p1",
    address="192.0.2.7",
    patient="synthetic-000001",
)
TRAIL = cloudtrail(
    id="c-1", time=NOW, name="StopLogging", service="cloudtrail", user="synthetic-admin", address="192.0.2.1"
)
DEVICE = device_event(
    id="d-1",
    time=NOW,
    device="pump-1",
    type="infusion-pump",
    event="telemetry",
    action="measurement",
    address="192.0.2.9",
)


def test_normalize_writes_ecs_in_order_and_errors_with_their_place(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text(lines(AUDIT, "{broken", DEVICE, TRAIL))
    result = shell.run("normalize", str(path))
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [d["wardwatch"]["source"] for d in documents] == ["fhir", "device", "cloudtrail"]
    assert documents[0]["@timestamp"] == NOW
    assert documents[2]["event"]["action"] == "StopLogging"
    assert result.stderr.startswith(f"{path}:2: the record is no JSON")
    assert result.returncode == 1
    assert "synthetic-000001" not in result.stdout


def test_detect_gives_one_object_a_finding(shell: Shell) -> None:
    result = shell.run("detect", "--only-rules", "-", stdin=lines(DEVICE, AUDIT, TRAIL))
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(f["line"], f["rule.name"]) for f in findings] == [
        (2, "Patient record deleted"),
        (3, "CloudTrail recording stopped or narrowed"),
    ]
    assert set(findings[0]) == {
        "file", "line", "detector", "rule.id", "rule.name", "severity", "entity", "event_id", "time",
    }  # fmt: skip
    assert result.returncode == 0


def test_detect_raw_reads_any_record_with_rules_of_your_own(shell: Shell, tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: Synthetic rule\nid: 5f3c1a52-0000-4000-8000-000000000001\nlogsource: {product: anything}\n"
        "detection: {selection: {a.b|contains: needle}, condition: selection}\nlevel: high\n"
    )
    result = shell.run(
        "detect", "--source", "raw", "--rules", str(rule), "-", stdin='{"a": {"b": "a Needle"}}\n{"a": 1}'
    )
    (finding,) = map(json.loads, result.stdout.splitlines())
    assert (finding["line"], finding["rule.id"]) == (1, "5f3c1a52-0000-4000-8000-000000000001")


def test_a_broken_rule_is_told_and_costs_itself(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text("title: [")
    result = shell.run("detect", "--rules", str(tmp_path), "-", stdin=lines(AUDIT))
    assert "broken.yml: " in result.stderr
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("normalize", "--source", "cloudtrial", "-"), "did you mean cloudtrail"),
        (("detect", "--rules", "/nowhere", "-"), "/nowhere is not there"),
        (("setup",), "no Kafka answers at 127.0.0.1:9"),
        (("dead-letters", "replay"), "name positions, or give --all"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    result = shell.run(*arguments)
    assert result.returncode == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_setting_is_named(shell: Shell) -> None:
    shell.environment["WARDWATCH_PARTITIONS"] = "many"
    result = shell.run("setup")
    assert result.returncode == 2
    assert "setting WARDWATCH_PARTITIONS: " in result.stderr


def test_help_names_every_command(shell: Shell) -> None:
    told = shell.run("--help").stdout
    for command in ("up", "worker", "setup", "status", "emit", "normalize", "detect", "dead-letters"):
        assert command in told


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Shell]:
    """A shell beside a broker of its own and a worker."""
    broker = EmbeddedKafka(tmp_path / "kafka", port=0)
    broker.start()
    shell = Shell(tmp_path / "home", broker.bootstrap)
    assert shell.run("setup").returncode == 0
    worker = subprocess.Popen([sys.executable, "-m", "streams.worker"], cwd=ROOT, env=shell.environment)
    try:
        yield shell
    finally:
        worker.terminate()
        worker.wait(30)
        broker.stop()


@pytest.mark.kafka
def test_from_emit_to_dead_letters_and_back(running: Shell, tmp_path: Path) -> None:
    path = tmp_path / "events"
    bad = {**AUDIT, "id": "a-2", "recorded": "2026-03-01T10:00:00"}
    path.write_text(lines(AUDIT, DEVICE, TRAIL, bad, "{"))
    emitted = running.run("emit", str(path))
    assert emitted.stderr.splitlines()[-1] == "4 events sent, 1 not"
    assert emitted.returncode == 1

    for _ in range(100):
        status = json.loads(running.run("status", "--json").stdout)
        if status["alerts"] and status["dead_letters"] and not any(status["lag"].values()):
            break
        time.sleep(0.2)
    assert sum(status["alerts"].values()) == 2
    assert status["dead_letters"] == 1
    assert status["last_alert"]["title"]
    assert "dead letters" in running.run("status").stdout

    listed = running.run("dead-letters", "list", "--json").stdout
    letter = json.loads(listed)
    assert letter["reason"].startswith("recorded")
    assert "synthetic-000001" not in listed
    assert "sealed" not in letter
    assert running.run("dead-letters", "list", "--producer", "nobody").stdout == ""

    shown = running.run("dead-letters", "show", letter["position"])
    assert json.loads(shown.stdout) == bad
    assert running.run("dead-letters", "show", "x/0/0").returncode == 1
    assert running.run("dead-letters", "replay", letter["position"]).stdout == "1 records sent again\n"

    (Path(running.environment["WARDWATCH_DATA_DIR"]) / "keys" / "dead-letters.private").unlink()
    refused = running.run("dead-letters", "show", letter["position"])
    assert "open only where their private key is" in refused.stderr
