"""Rules tried on recorded events: what they would have found, and what of that is new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Shell
from kafka import KafkaProducer

from streams.commands.backtest_counts import Commonest
from streams.demo.records import cloudtrail
from streams.embedded.kafka import EmbeddedKafka
from streams.rule_topic import File, RuleTopic
from streams.settings import Settings

DAY = 86_400_000
BEGIN = 1_767_600_000_000  # 2026-01-05T08:00:00Z
RULE = """
title: {title}
id: 00000000-0000-4000-8000-00000000000{number}
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {names}}}, condition: s}}
level: high
"""
ACTIVE = RULE.format(title="Synthetic stop", number=1, names="[StopLogging, DeleteTrail]") + (
    "---" + RULE.format(title="Synthetic users", number=2, names="CreateUser")
)
CANDIDATES = RULE.format(title="Synthetic stop", number=1, names="[StopLogging, UpdateTrail]") + (
    "---" + RULE.format(title="Synthetic users", number=2, names="CreateUser")
    + "---" + RULE.format(title="Synthetic wide", number=3, names="'*User'")
    + "---" + RULE.format(title="Synthetic nothing", number=4, names="NoSuchCall")
)  # fmt: skip

#: On a rule that is published, and in no file.
MANY = """
title: Synthetic many calls
correlation:
  type: event_count
  rules: [00000000-0000-4000-8000-000000000007]
  timespan: 1d
  condition: {gte: 21}
"""


def trail(number: int, name: str, day: int, user: str = "synthetic-admin1") -> dict[str, Any]:
    return cloudtrail(
        id=f"c-{number}", time=BEGIN + day * DAY + number, name=name, service="iam", user=user, address="192.0.2.1"
    )


#: Ten days: 4 stops on the third, 2 deletions, 1 update, 10 users made by two people and one deleted, and 3,000 more.
EVENTS = [
    *(trail(n, "StopLogging", 2) for n in range(4)),
    *(trail(n, "DeleteTrail", 4) for n in range(4, 6)),
    trail(6, "UpdateTrail", 4),
    *(trail(n, "CreateUser", n - 7, f"synthetic-admin{n % 2}") for n in range(7, 17)),
    trail(17, "DeleteUser", 9),
    *(trail(n, "GetUserPolicy", (n - 18) // 290) for n in range(18, 3018)),
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Candidates, active rules, events."""
    paths = tmp_path / "candidates.yml", tmp_path / "active.yml", tmp_path / "events.jsonl"
    paths[0].write_text(CANDIDATES)
    paths[1].write_text(ACTIVE)
    *lines, last = (json.dumps(event) for event in EVENTS)
    paths[2].write_text("\n".join([*lines, "{broken", last]) + "\n")
    return paths


def told(shell: Shell, *arguments: str) -> tuple[dict[str, Any], dict[str, Any]]:
    result = shell.run("backtest", *arguments, "--json")
    assert result.stdout, result.stderr
    whole = json.loads(result.stdout)
    return whole, {rule["title"]: rule for rule in whole["rules"]}


def test_hits_days_entities_overlap_and_what_a_new_version_changes(
    shell: Shell, files: tuple[Path, Path, Path]
) -> None:
    candidates, active, events = files
    whole, rules = told(shell, "--rules", str(candidates), "--against", str(active), str(events))
    assert (whole["records"], whole["errors"]) == (3019, 1)
    assert 9.9 < whole["days"] < 10.1
    assert {title: (rule["change"], rule["hits"]) for title, rule in rules.items()} == {
        "Synthetic stop": ("changed", 5),
        "Synthetic users": ("same", 10),
        "Synthetic wide": ("new", 11),
        "Synthetic nothing": ("new", 0),
    }
    assert (rules["Synthetic stop"]["gained"], rules["Synthetic stop"]["lost"]) == (1, 2)
    assert rules["Synthetic stop"]["days"] == {"2026-01-07": 4, "2026-01-09": 1}
    wide = rules["Synthetic wide"]
    assert wide["also_found_by"] == {"00000000-0000-4000-8000-000000000002": 10}
    assert wide["alone"] == 1
    assert wide["entities"]["distinct"] == 2
    assert wide["values"]["event.action"] == {"CreateUser": 10, "DeleteUser": 1}
    assert wide["examples"][0] == f"{events}:8"
    assert whole["alerts_a_day"] == {"active": 1.6, "with_candidates": 2.6}


def test_a_person_reads_the_noisiest_first(shell: Shell, files: tuple[Path, Path, Path]) -> None:
    candidates, active, events = files
    result = shell.run("backtest", "--rules", str(candidates), "--against", str(active), str(events))
    assert result.returncode == 1
    assert result.stderr.startswith(f"{events}:3018: the record is no JSON")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("3,019 records, 1 of them not read, over 10.0 days")
    assert lines[1] == "alerts a day: 1.6 by the active rules, 2.6 with these"
    assert [line.split()[0] for line in lines if " high " in line] == ["11", "10", "5"]
    assert "           1 more than the active one, 2 of its hits lost" in lines
    assert "           also found by Synthetic users (10); 1 by no other" in lines
    assert lines[-1] == "1 found nothing, such as Synthetic nothing"


def test_only_events_of_the_time_that_is_asked_for(shell: Shell, files: tuple[Path, Path, Path]) -> None:
    candidates, active, events = files
    chosen = ("--rules", str(candidates), "--against", str(active), "--since", "2026-01-09", "--until", "2026-01-10")
    _, rules = told(shell, *chosen, str(events))
    assert {title: rule["hits"] for title, rule in rules.items() if rule["hits"]} == {
        "Synthetic stop": 1,
        "Synthetic users": 1,
        "Synthetic wide": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--rules", "RULES"], "name files, or say --kafka"),
        (["--rules", "RULES", "--kafka", "EVENTS"], "name files, or say --kafka"),
        (["--rules", "nowhere.yml", "EVENTS"], "nowhere.yml is not there"),
        (["--rules", "EVENTS", "EVENTS"], "there is no rule to try"),
        (["--rules", "RULES", "--since", "yesterday", "EVENTS"], "yesterday is no time"),
        (["--rules", "RULES", "--source", "cloudtrial", "EVENTS"], "did you mean cloudtrail"),
        (["--rules", "RULES", "--kafka"], "no Kafka answers at 127.0.0.1:9"),
    ],
    ids=str,
)
def test_what_cannot_be_done_says_why(
    shell: Shell, files: tuple[Path, Path, Path], arguments: list[str], reason: str
) -> None:
    named = {"RULES": str(files[0]), "EVENTS": str(files[2])}
    result = shell.run("backtest", *(named.get(word, word) for word in arguments))
    assert result.returncode
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    made = EmbeddedKafka(tmp_path / "kafka", port=0)
    made.start()
    yield made.bootstrap
    made.stop()


@pytest.mark.kafka
def test_what_lies_in_kafka(broker: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home", broker)
    assert shell.run("setup").returncode == 0
    rules = tmp_path / "rules.yml"
    rules.write_text(RULE.format(title="Synthetic call of the test", number=7, names="SyntheticBacktest"))
    producer = KafkaProducer(bootstrap_servers=broker)
    for number in range(20):
        record = json.dumps(trail(number, "SyntheticBacktest", 1)).encode()
        producer.send("audit.cloud", record, headers=[("source", b"cloudtrail")] if number % 2 else [])
    producer.send("audit.cloud", json.dumps({"Records": [trail(20, "SyntheticBacktest", 1)] * 2}).encode())
    producer.flush()
    producer.close()
    whole, found = told(shell, "--rules", str(rules), "--kafka", "--since", "1h")
    assert found["Synthetic call of the test"]["hits"] == 0, "since means the events' own time too"
    whole, found = told(shell, "--rules", str(rules), "--kafka")
    assert found["Synthetic call of the test"]["hits"] == 22
    assert found["Synthetic call of the test"]["examples"][0].startswith("audit.cloud/")
    assert whole["records"] >= 22

    topic = RuleTopic(Settings(kafka=broker))
    topic.publish("team.yml", File(rules.read_text().replace("title: Synthetic", "title: Published")))
    topic.close()
    correlation = tmp_path / "many.yml"
    correlation.write_text(MANY)
    whole, found = told(shell, "--rules", str(correlation), "--kafka")
    assert found["Synthetic many calls"]["hits"] == 1
    assert found["Synthetic many calls"]["also_found_by"] == {"00000000-0000-4000-8000-000000000007": 1}
    assert whole["alerts_a_day"] == {"active": 22, "with_candidates": 1}


def test_counting_is_bounded() -> None:
    counts = Commonest(2)
    for value in ("a", "b", "c", "a", "d"):
        counts.add(value)
    assert counts.counts == {"a": 2, "b": 1}
    assert counts.others == 2
    assert counts.top(1) == [("a", 2)]
