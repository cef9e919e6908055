"""Every promise and command in the papers for a newcomer is one that holds: what they show is run here as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from streams import cli
from streams.emitter import TOPICS
from streams.keys import load_keys
from streams.settings import Receiver, Settings
from streams.sinks.elasticsearch import ALERTS, FINDINGS
from streams.sinks.webhook import decode_secret, sign

ROOT = Path(__file__).parents[1]
PAPERS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
README = PAPERS["README.md"]
#: Commands are compared with this: everything after a shell comment is for people.
_COMMAND = re.compile(r"\./wardwatch ([^\n`|]*)")


def blocks(paper: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAPERS[paper], re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    found = []
    for name, text in PAPERS.items():
        for told in _COMMAND.findall(text):
            command = told.partition("#")[0].strip()
            if command and re.match(r"[a-z]", command):
                found.append((name, command))
    return found


@pytest.mark.parametrize(("paper", "command"), commands())
def test_every_command_is_one_there_is(paper: str, command: str) -> None:
    words = command.split()
    if words[0] == "test":
        return
    at: Any = typer.main.get_command(cli.app)
    while words and words[0] in getattr(at, "commands", {}):
        at = at.commands[words.pop(0)]
    assert not hasattr(at, "commands"), command
    options = {name for option in at.params for name in option.opts}
    assert {word for word in words if word.startswith("-")} <= options, command


@pytest.mark.parametrize("paper", PAPERS)
def test_every_link_leads_somewhere(paper: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAPERS[paper]):
        if "://" not in target:
            assert (ROOT / paper).parent.joinpath(target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("paper", PAPERS)
def test_every_file_named_is_there(paper: str) -> None:
    for named in re.findall(r"(?<![\w/.-])(?:streams|detectors|dashboards|tests|docs|\.ci)/[\w./-]*\w", PAPERS[paper]):
        assert (ROOT / named).exists(), named


def test_the_pictures_are_small() -> None:
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert {picture.name for picture in pictures} == {"console.png", "architecture.svg"}
    assert all(picture.stat().st_size < 300_000 for picture in pictures)


@pytest.mark.kafka
def test_the_emitter_s_example_emits(kafka: str) -> None:
    (example,) = [block for block in blocks("README.md", "python") if "Emitter(" in block]
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    missing = set(TOPICS.values()) - set(admin.list_topics())
    if missing:
        admin.create_topics([NewTopic(name, 1, 1) for name in missing])
    admin.close()
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    partitions = [
        TopicPartition(name, n) for name in set(TOPICS.values()) for n in consumer.partitions_for_topic(name) or ()
    ]
    before = consumer.end_offsets(partitions)
    assert "127.0.0.1:8901" in example
    exec(example.replace("127.0.0.1:8901", kafka), {})
    after = consumer.end_offsets(partitions)
    consumer.close()
    grown = [tp.topic for tp in partitions for _ in range(after[tp] - before[tp])]
    assert sorted(grown) == sorted(set(TOPICS.values()))


def test_the_address_of_the_example_is_where_up_serves() -> None:
    assert Settings.model_fields["kafka"].default == "127.0.0.1:8901"


def detect(folder: Path, arguments: list[str]) -> list[dict[str, Any]]:
    result = subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "WARDWATCH_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_rule_finds_its_own_events_and_no_others(tmp_path: Path) -> None:
    (text,) = blocks("README.md", "yaml")
    (shown,) = blocks("README.md", "json")
    (command,) = [command for _, command in commands() if command.startswith("detect ")]
    (tmp_path / "night-export.yml").write_text(text)
    tests = yaml.safe_load(text)["wardwatch"]["tests"]
    events = [*tests["positive"], *tests["negative"]]
    (tmp_path / "events.jsonl").write_text("\n".join(json.dumps(event) for event in events))
    found = detect(tmp_path, command.split())
    assert found == [json.loads(shown)]
    assert len(tests["negative"]) == 1


def test_the_settings_shown_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = blocks("README.md", "toml")
    (tmp_path / "wardwatch.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.partitions == 24
    secret = settings.receivers["oncall"].secret
    assert secret is not None
    assert 24 <= len(decode_secret(secret.get_secret_value())) <= 64
    assert f"`{ALERTS}-*`" in README
    assert f"`{FINDINGS}-*`" in README


def test_a_receiver_s_check_takes_our_signature_and_no_other() -> None:
    (example,) = [block for block in blocks("README.md", "python") if "def verify" in block]
    scope: dict[str, Any] = {}
    exec(example, scope)
    verify = scope["verify"]
    secret = tomllib.loads(blocks("README.md", "toml")[0])["receivers"]["oncall"]["secret"]
    now = int(time.time())

    def headers(timestamp: int, key: bytes = decode_secret(secret)) -> dict[str, str]:
        signature = sign(key, "msg_1", timestamp, b"{}")
        return {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,old {signature}"}

    assert verify(secret, headers(now), b"{}")
    assert not verify(secret, headers(now), b"{ }")
    assert not verify(secret, headers(now - 600), b"{}")
    assert not verify(secret, headers(now, bytes(32)), b"{}")
    assert not verify(secret, {**headers(now), "webhook-id": "msg_2"}, b"{}")


def test_the_installation_s_own_key_is_printed_as_receivers_want_it(tmp_path: Path) -> None:
    (command,) = re.findall(r"^    (printf .*)$", PAPERS["docs/settings.md"], re.MULTILINE)
    keys = load_keys(tmp_path / ".wardwatch")
    printed = subprocess.run(
        ["sh", "-c", command], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    assert decode_secret(printed.stdout.decode().strip()) == keys.webhook


def test_every_setting_is_in_its_table_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", PAPERS["docs/settings.md"], re.MULTILINE)
    assert [name for name, _ in rows] == list(Settings.model_fields)
    for name, default in rows:
        value = Settings.model_fields[name].get_default(call_default_factory=True)
        told = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        assert default == (json.dumps(told) if isinstance(told, bool | list | dict) else str(told)), name
    for name in Receiver.model_fields:
        assert f"`{name}`" in PAPERS["docs/settings.md"]


def test_environment_names_are_settings() -> None:
    known = {f"WARDWATCH_{name.upper()}" for name in Settings.model_fields}
    known |= {f"WARDWATCH_RECEIVERS__ONCALL__{name.upper()}" for name in Receiver.model_fields}
    known |= {"WARDWATCH_CONFIG", "WARDWATCH_PYTHON", "WARDWATCH_LONG", "WARDWATCH_REQUIRE_BROWSER"}
    known |= {f"WARDWATCH_TEST_{name}" for name in ("KAFKA", "ELASTICSEARCH", "DATA")}
    for paper in ("README.md", "CONTRIBUTING.md", "docs/settings.md", "docs/extending.md"):
        assert set(re.findall(r"WARDWATCH_\w*[A-Z]", PAPERS[paper])) <= known, paper


def test_the_detector_and_the_source_shown_keep_their_contracts() -> None:
    """Their blocks end with the checks, which raise."""
    code = blocks("docs/extending.md", "python")
    assert [name for name in ("check_detector(", "check_source(") if not any(name in block for block in code)] == []
    scope: dict[str, Any] = {"__name__": "shown"}
    for block in code:
        exec(block, scope)


def test_the_device_event_shown_is_read(tmp_path: Path) -> None:
    (shown,) = blocks("docs/device-events.md", "json")
    (tmp_path / "event.json").write_text(shown)
    (document,) = detect(tmp_path, ["normalize", "--source", "device", "event.json"])
    assert document["event"]["action"] == "limit_override"
