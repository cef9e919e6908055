"""Rules that change under a real worker: published, in shadow, flooding, released, withdrawn."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, Shell
from topic_reading import read_topic

from streams import topics
from streams.codecs import decode_finding
from streams.demo.records import cloudtrail
from streams.embedded.kafka import EmbeddedKafka
from streams.emitter import Emitter

pytestmark = pytest.mark.kafka

RULE = """
title: {title}
id: 00000000-0000-4000-8000-00000000000{number}
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {name}}}, condition: s}}
level: high
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell beside a broker of its own and a worker."""
    folder = tmp_path_factory.mktemp("published")
    broker = EmbeddedKafka(folder / "kafka", port=0)
    broker.start()
    shell = Shell(folder / "home", broker.bootstrap)
    shell.environment["WARDWATCH_RULE_MATCHES_PER_MINUTE"] = "50"
    assert shell.run("setup").returncode == 0
    worker = subprocess.Popen([sys.executable, "-m", "streams.worker"], cwd=ROOT, env=shell.environment)
    try:
        yield shell
    finally:
        worker.terminate()
        worker.wait(30)
        broker.stop()


def emit(shell: Shell, name: str, count: int = 1) -> None:
    now = int(time.time() * 1000)
    with Emitter(shell.environment["WARDWATCH_KAFKA"], producer="tests") as emitter:
        for number in range(count):
            record = cloudtrail(
                id=f"{name}-{now}-{number}",
                time=now,
                name=name,
                service="cloudtrail",
                user="synthetic-admin",
                address="192.0.2.1",
            )
            emitter.emit(record, source="cloudtrail")


def findings(shell: Shell, title: str) -> list[Any]:
    records = read_topic(shell.environment["WARDWATCH_KAFKA"], topics.FINDINGS)
    found = [decode_finding(r.value) for several in records.values() for r in several if r.headers[0][0] == "lineage"]
    return [finding for finding in found if finding.title == title]


def status(shell: Shell) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(shell.run("rules", "status", "--json").stdout)
    return told


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "not within the time given"
        time.sleep(0.2)
    return found


def version(shell: Shell) -> str:
    (told,) = until(lambda: list(status(shell)["workers"].values()))
    return str(told["version"])


def test_rules_come_and_go_while_a_worker_runs(running: Shell, tmp_path: Path) -> None:
    first = version(running)
    path = tmp_path / "team.yml"
    path.write_text(RULE.format(title="Synthetic published", number=1, name="CallOne"))
    assert running.run("rules", "publish", str(path), "--shadow").stdout == "team.yml: 1 rule published, in shadow\n"
    until(lambda: version(running) != first, 15)
    emit(running, "CallOne")
    told = running.run("rules", "status")
    assert told.returncode == 0
    assert "published    team.yml by " in told.stdout
    assert ", in shadow" in told.stdout

    running.run("rules", "publish", str(path))
    until(lambda: next(iter(status(running)["workers"].values()))["shadow"] == 0, 15)
    emit(running, "CallOne")
    (finding,) = until(lambda: findings(running, "Synthetic published"))
    assert finding.rule["ruleset"] == version(running)

    running.run("rules", "withdraw", "team.yml")
    until(lambda: version(running) == first, 15)
    emit(running, "CallOne")
    emit(running, "StopLogging")
    until(lambda: findings(running, "CloudTrail recording stopped or narrowed"))
    assert len(findings(running, "Synthetic published")) == 1, "in shadow and withdrawn it says nothing"


def test_a_flood_ends_in_quarantine_and_is_told(running: Shell, tmp_path: Path) -> None:
    path = tmp_path / "flood.yml"
    path.write_text(RULE.format(title="Synthetic flood", number=2, name="CallTwo"))
    running.run("rules", "publish", str(path))
    until(lambda: status(running)["published"] and version(running))
    until(lambda: emit(running, "CallTwo") or findings(running, "Synthetic flood"))
    emit(running, "CallTwo", 60)
    quarantined = until(lambda: status(running)["quarantined"])
    assert "matched" in quarantined["00000000-0000-4000-8000-000000000002"]["reason"]
    told = running.run("rules", "status")
    assert told.returncode == 1
    assert "quarantined  00000000-0000-4000-8000-000000000002 Synthetic flood: it matched " in told.stdout
    emit(running, "CallTwo")
    emit(running, "StopLogging")
    settled = len(findings(running, "Synthetic flood"))

    released = running.run("rules", "release", "00000000-0000-4000-8000-000000000002")
    assert released.stdout == "00000000-0000-4000-8000-000000000002: released\n"
    until(lambda: emit(running, "CallTwo") or len(findings(running, "Synthetic flood")) > settled)
    running.run("rules", "withdraw", "flood.yml")


def test_each_change_is_on_the_record(running: Shell, tmp_path: Path) -> None:
    path = tmp_path / "recorded.yml"
    path.write_text(RULE.format(title="Synthetic recorded", number=3, name="CallThree"))
    running.run("rules", "publish", str(path))
    running.run("rules", "withdraw", "recorded.yml")
    records = [
        r for several in read_topic(running.environment["WARDWATCH_KAFKA"], "audit.ehr").values() for r in several
    ]
    told = [json.loads(record.value) for record in records]
    about = [(one["action"], one["entity"]) for one in told if one.get("entity") == "rules:recorded.yml"]
    assert sorted(about) == [("publish-rules", "rules:recorded.yml"), ("withdraw-rules", "rules:recorded.yml")]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["publish", "BROKEN"], "is not published: "),
        (["publish", "nowhere.yml"], "is not published: "),
        (["publish", "LARGE"], "split it"),
        (["withdraw", "nothing.yml"], "nothing is published under nothing.yml"),
        (["release", "nothing"], "no rule nothing is in quarantine"),
    ],
    ids=str,
)
def test_what_cannot_be_done_says_why(running: Shell, tmp_path: Path, arguments: list[str], reason: str) -> None:
    (tmp_path / "broken.yml").write_text("title: x\ndetection: {broken")
    (tmp_path / "large.yml").write_text(
        RULE.format(title="Synthetic large", number=4, name="Call") + f"description: {'x' * 950_000}"
    )
    names = {"BROKEN": str(tmp_path / "broken.yml"), "LARGE": str(tmp_path / "large.yml")}
    result = running.run("rules", *(names.get(word, word) for word in arguments))
    assert result.returncode == 1
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
