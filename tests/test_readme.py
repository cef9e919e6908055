"""Every promise and command in the papers for a newcomer is one that holds: what they show is run here as it stands."""

from __future__ import annotations

import asyncio
import fnmatch
import inspect
import json
import logging
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
import yaml
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from topic_reading import read_topic
from typer.testing import CliRunner

from detectors.registry import registered
from detectors.rules import starter_rules
from streams import cli
from streams.conditions import Look
from streams.emitter import TOPICS, DeviceEvent, Emitter, Spool
from streams.event_keeping import FILTERED
from streams.keys import load_keys
from streams.metrics import Metrics
from streams.receivers import AnyReceiver, WebhookReceiver
from streams.security import Security
from streams.settings import KafkaSecurity, Settings
from streams.sinks.attempts import RETRIES
from streams.sinks.elasticsearch import ALERTS, FINDINGS
from streams.sinks.webhook import decode_secret, sign
from streams.sources.catalog import SOURCES
from streams.state import COUNTS
from streams.troubles import KINDS
from streams.vault import Vault

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
    inputs = set(TOPICS.values())
    partitions = [TopicPartition(name, n) for name in inputs for n in consumer.partitions_for_topic(name) or ()]
    before = consumer.end_offsets(partitions)
    assert "127.0.0.1:8901" in example
    exec(example.replace("127.0.0.1:8901", kafka), {})
    after = consumer.end_offsets(partitions)
    consumer.close()
    grown = [tp.topic for tp in partitions for _ in range(after[tp] - before[tp])]
    assert sorted(grown) == sorted(inputs)


@pytest.mark.kafka
def test_what_the_emitter_s_paper_shows_runs(
    kafka: str, tmp_path: Path, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block as it stands, at another address and in another folder; what they emit arrives."""
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    missing = set(TOPICS.values()) - set(admin.list_topics())
    if missing:
        admin.create_topics([NewTopic(name, 1, 1) for name in missing])
    admin.close()
    (command,) = re.findall(r"^    (openssl .*)$", PAPERS["docs/emitter.md"], re.MULTILINE)
    made = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    monkeypatch.setenv("SPOOL_KEY", made.stdout.strip())
    scope: dict[str, Any] = {}
    for block in blocks("docs/emitter.md", "python"):
        exec(block.replace("127.0.0.1:8901", kafka).replace("/var/spool/pump-gateway", str(tmp_path / "spool")), scope)
        if "spool" in block:
            spooling = scope["emitter"]
    device = DeviceEvent(device="pump-1", type="infusion-pump", event="alarm", action="occlusion", id=f"{unique}-1")
    asyncio.run(scope["report"](device.record()))
    scope["configure"](spooling)
    scope["opened"](f"Practitioner/synthetic-{unique}", "Patient/synthetic-1")
    logging.getLogger("audit").handlers.clear()
    spooling.close()
    assert spooling.spooled == 0
    for topic, wanted in (("audit.iot", f"{unique}-1"), ("audit.ehr", f"Practitioner/synthetic-{unique}")):
        found = [r for some in read_topic(kafka, topic).values() for r in some if wanted.encode() in r.value]
        assert len(found) == 1, topic


def test_the_defaults_the_emitter_s_paper_tells_are_those_it_has() -> None:
    paper, given = PAPERS["docs/emitter.md"], inspect.signature(Emitter).parameters
    spool = inspect.signature(Spool).parameters
    for told in (
        f"`buffer` bytes ({given['buffer'].default // 1024**2} MB)",
        f"`max_block` seconds ({given['max_block'].default:.0f})",
        f'`when_full="{given["when_full"].default}"` | the default',
        f"`spool_after` seconds ({given['spool_after'].default:.0f})",
        f"`Spool(..., fsync={spool['fsync'].default})` by default",
    ):
        assert told in paper, told


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
    checked = CliRunner().invoke(cli.app, ["rules", "check", str(tmp_path / "night-export.yml")])
    assert (checked.exit_code, checked.stdout) == (0, "1 rule: 0 errors, 0 warnings, 0 notes\n")


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
        told = "" if name == "kafka_security" else told
        assert default == (json.dumps(told) if isinstance(told, bool | list | dict) else str(told)), name


def test_every_field_of_a_receiver_is_told_and_one_of_each_kind_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (text,) = blocks("docs/receivers.md", "toml")
    authorities = tmp_path / "hospital-ca.pem"
    authorities.touch()
    assert "/etc/wardwatch/hospital-ca.pem" in text
    (tmp_path / "wardwatch.toml").write_text(text.replace("/etc/wardwatch/hospital-ca.pem", str(authorities)))
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    kinds = {type(receiver) for receiver in settings.receivers.values()}
    rows = re.findall(r"^\| `(\w+)` \| .*\| .*\| .*\| .*\|$", PAPERS["docs/receivers.md"], re.MULTILINE)
    assert {receiver.kind for receiver in settings.receivers.values()} == set(rows)
    assert len(kinds) == len(get_args(get_args(AnyReceiver)[0]))
    for kind in kinds:
        for name in kind.model_fields:
            assert f"`{name}`" in PAPERS["docs/receivers.md"], name
    defaults = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \| [^|]*\|$", PAPERS["docs/receivers.md"], re.M))
    assert len(defaults) >= 4
    for name, default in defaults.items():
        assert str(WebhookReceiver.model_fields[name].default) == default, name
    sources = {source.name for source in SOURCES}
    finders = {d.name for d in registered()} | {rule.title for rule in starter_rules().rules} | {"sigma"}
    shown = re.findall(r"`(fhir|device|cloud\*|rate\.\*)`", PAPERS["docs/receivers.md"])
    assert len(shown) == 4
    for glob in [*shown, *(g for r in settings.receivers.values() for g in (*r.sources, *r.detectors))]:
        assert fnmatch.filter(sources | finders, glob), f"{glob} matches nothing there is"
    told = re.search(r"tried at once,\nthen after (.*),\sover restarts", PAPERS["docs/receivers.md"])
    assert told is not None
    assert told[1] == "5 seconds, 5 and 30 minutes, 2, 5, 10, 14, 20 and 24 hours"
    hours = [number * 3600 for number in (2, 5, 10, 14, 20, 24)]
    assert (5, 5 * 60, 30 * 60, *hours) == RETRIES


def test_every_alert_of_the_pipeline_is_in_its_table_and_no_other() -> None:
    rows = re.findall(
        r"^\| `pipeline\.(\w+)` \| (\w+) \| [^|]* \| ([^|]*) \|$", PAPERS["docs/operations.md"], re.MULTILINE
    )
    assert {name: severity for name, severity, _ in rows} == {name: kind.severity for name, kind in KINDS.items()}
    at_once = {name for name, _, limit in rows if limit == "at once"}
    assert at_once == {"lost", "lost_events", "dead_letters", "rotation", "quarantine", "rules"}
    limits = set(re.findall(r"`(\w+_(?:after|limit))`", PAPERS["docs/operations.md"]))
    assert limits == {name for name in Settings.model_fields if name.endswith(("_after", "_limit"))} - {
        "idle_after",
        "stuck_after",
    }


def test_every_metric_is_in_its_table_and_no_other(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `(wardwatch_\w+)` \| ([^|]*)\| ([^|]*)\|$", PAPERS["docs/operations.md"], re.MULTILINE)
    metrics = Metrics(tmp_path)
    vault = Vault(bytes(32), None)  # type: ignore[arg-type]  # it writes nothing
    metrics.update(Look(), {}, now=0, rate=0, vault=vault)
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in metrics.collect()}
    assert [name for name, *_ in rows if name not in names] == []
    assert len(rows) == len(names)
    (filtered,) = (text for name, _, text in rows if "filtered" in name)
    assert re.findall(r"`(\w+)`", filtered) == [*COUNTS, "events", *FILTERED]


def test_every_setting_of_a_secured_kafka_is_in_its_table_and_no_other(tmp_path: Path) -> None:
    paper = PAPERS["docs/kafka-security.md"]
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", paper, re.MULTILINE)
    assert [name for name, _ in rows] == list(KafkaSecurity.model_fields)
    defaults = [field.default for field in KafkaSecurity.model_fields.values()]
    told = [d.get_secret_value() if hasattr(d, "get_secret_value") else d for d in defaults]
    assert [default for _, default in rows] == told
    (tmp_path / "password").write_text("synthetic")
    shown = tomllib.loads(blocks("docs/kafka-security.md", "toml")[0])["kafka_security"]
    assert KafkaSecurity(**{**shown, "password_file": str(tmp_path / "password")}).security.sasl
    (example,) = blocks("docs/kafka-security.md", "python")
    exec(example.rpartition("emitter = ")[0], {})


def test_environment_names_are_settings() -> None:
    known = {f"WARDWATCH_{name.upper()}" for name in Settings.model_fields}
    known |= {f"WARDWATCH_RECEIVERS__ONCALL__{name.upper()}" for name in WebhookReceiver.model_fields}
    known |= {f"{Security.PREFIX}{name.upper()}" for name in KafkaSecurity.model_fields} | {Security.PREFIX}
    known |= {
        "WARDWATCH_CONFIG",
        "WARDWATCH_SECRETS",
        "WARDWATCH_PYTHON",
        "WARDWATCH_LONG",
        "WARDWATCH_MILLION",
        "WARDWATCH_REQUIRE_BROWSER",
        "WARDWATCH_REQUIRE_FULL_DISK",
        "WARDWATCH_REQUIRE_CLOCK",
    }
    known |= {f"WARDWATCH_TEST_{name}" for name in ("KAFKA", "ELASTICSEARCH", "DATA")}
    for paper in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/settings.md",
        "docs/extending.md",
        "docs/receivers.md",
        "docs/kafka-security.md",
    ):
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
