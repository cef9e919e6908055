"""The commands, as a shell has them: what they print, where errors go, and how they end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from streams import topics
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

    def run_together(self, *commands: list[str]) -> Iterator[subprocess.CompletedProcess[str]]:
        """Several at once, for those that wait for something."""
        with ThreadPoolExecutor() as pool:
            yield from pool.map(lambda command: self.run(*command), commands)


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


def test_times_without_an_offset_are_where_the_ehr_stands(shell: Shell, tmp_path: Path) -> None:
    message = tmp_path / "adt.hl7"
    message.write_text("MSH|^~\\&|ADT|H|||20260105090000||ADT^A01|c-1\nPID|1||synthetic-0001^^^H\n")
    refused = shell.run("normalize", str(message))
    assert refused.returncode == 1
    assert f"{message}:1: MSH-7 has no offset from UTC" in refused.stderr
    shell.environment["WARDWATCH_EHR_ZONE"] = "Europe/Berlin"
    assert json.loads(shell.run("normalize", str(message)).stdout)["@timestamp"] == 1_767_600_000_000


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
    assert re.search(r"broken\.yml:\d+: ", result.stderr)
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("normalize", "--source", "cloudtrial", "-"), "did you mean cloudtrail"),
        (("detect", "--rules", "/nowhere", "-"), "/nowhere is not there"),
        (("worker", "--log-level", "loud"), "--log-level loud is none of DEBUG, INFO, WARNING and ERROR"),
        (("syslog", "--cert", "/nowhere", "--key", "/nowhere"), "/nowhere is no file: name a certificate in --cert"),
        (("dead-letters", "replay", "x/0/0", "--all"), "name positions or choose, not both"),
        (("dead-letters", "replay"), "name positions, or choose by --all, --producer or --reason"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    result = shell.run(*arguments)
    assert result.returncode == 1
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_without_kafka_a_command_is_one_sentence(shell: Shell) -> None:
    told = "no Kafka answers at 127.0.0.1:9: start it, or name another in WARDWATCH_KAFKA"
    for result in shell.run_together(["setup"], ["status"], ["emit", "-"]):
        assert result.returncode == 1
        assert told in result.stderr
        assert "Traceback" not in result.stderr


def test_a_wrong_setting_is_named(shell: Shell) -> None:
    shell.environment["WARDWATCH_PARTITIONS"] = "many"
    result = shell.run("setup")
    assert result.returncode == 1
    assert result.stderr.startswith("wardwatch: setting WARDWATCH_PARTITIONS: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("partitions = ", "is no TOML"),
        ("partition = 4", "setting WARDWATCH_PARTITION: Extra inputs are not permitted"),
        (None, "is no file: mend the path, or unset it"),
    ],
)
def test_a_wrong_settings_file_is_told(shell: Shell, tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "settings.toml"
    if text is not None:
        path.write_text(text)
    shell.environment["WARDWATCH_CONFIG"] = str(path)
    result = shell.run("setup")
    assert result.returncode == 1
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RECEIVERS__ONCALL__SECRET", "a secret", "a webhook secret is whsec_ and base64"),
        ("RECEIVERS__ONCALL__SECRET", "whsec_c2hvcnQ=", "a webhook secret holds 24 to 64 bytes, this one 5"),
        ("RECEIVERS__ONCALL__MINIMUM_SEVERITY", "urgent", "Input should be 'informational', "),
        ("ELASTICSEARCH", "elasticsearch:9200", "String should match pattern"),
        ("SESSION_TIMEOUT", "0", "greater than or equal to 1.5"),
        ("EHR_ZONE", "Europe/Berln", "there is no time zone Europe/Berln"),
    ],
)
def test_what_a_setting_cannot_be_is_told_before_it_is_needed(shell: Shell, name: str, value: str, told: str) -> None:
    shell.environment |= {"WARDWATCH_RECEIVERS__ONCALL__URL": "http://127.0.0.1:9", f"WARDWATCH_{name}": value}
    result = shell.run("worker")
    assert result.returncode == 1
    assert result.stderr.startswith(f"wardwatch: setting WARDWATCH_{name}: ")
    assert told in result.stderr
    assert "c2hvcnQ" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_receiver_that_is_no_json_is_told(shell: Shell) -> None:
    shell.environment["WARDWATCH_RECEIVERS"] = "oncall"
    result = shell.run("setup")
    assert result.returncode == 1
    assert "receivers" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_reader_that_leaves_early_is_no_error(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text("\n".join([lines(AUDIT, TRAIL)] * 2000))
    command = f"{sys.executable} -m streams.cli detect --only-rules {path} | head -n 1"
    result = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=shell.environment, capture_output=True, text=True, check=False
    )
    assert json.loads(result.stdout)["line"] == 1
    assert result.stderr == ""


def test_json_lines_are_read_one_at_a_time(shell: Shell, tmp_path: Path) -> None:
    """Peak memory of a file of many megabytes stays near that of a small one."""
    small, large = tmp_path / "small", tmp_path / "large"
    record = json.dumps(DEVICE) + "\n"
    small.write_text(record)
    large.write_text(record * 100_000)
    measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
    measure += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    peaks = []
    for path in (small, large):
        command = [sys.executable, "-c", measure, sys.executable, "-m", "streams.cli", "normalize", str(path)]
        out = subprocess.run(command, cwd=ROOT, env=shell.environment, capture_output=True, text=True, check=True)
        peaks.append(int(out.stdout))
    assert large.stat().st_size > 30_000_000
    assert peaks[1] < peaks[0] * 1.25, peaks


def test_a_data_folder_that_is_none_is_one_sentence(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    shell.environment["WARDWATCH_DATA_DIR"] = str(tmp_path / "file")
    result = shell.run("normalize", "-", stdin=lines(AUDIT))
    assert result.returncode == 1
    assert result.stderr.endswith("cannot be used (Not a directory): name another folder in WARDWATCH_DATA_DIR\n")


COMMANDS = [
    "up",
    "worker",
    "setup",
    "acls",
    "status",
    "emit",
    "intake",
    "syslog",
    "normalize",
    "detect",
    "schemas",
    "config",
    "doctor",
    "completion",
    "reveal",
    "who",
    "timeline",
    "dead-letters",
    "sources",
    "notify",
    "keys",
]
GROUPS = {
    "dead-letters": ("list", "show", "replay"),
    "sources": ("list", "check"),
    "notify": ("list", "test"),
    "keys": ("list", "create", "rotate", "destroy"),
}
#: Each command that does something, those of a group by their whole names.
WHOLE = [
    *(command for command in COMMANDS if command not in GROUPS),
    *(f"{group} {name}" for group, names in GROUPS.items() for name in names),
]


def test_help_names_every_command(shell: Shell) -> None:
    told = shell.run("--help").stdout
    assert told.startswith("Usage: wardwatch ")
    assert [line.split()[0] for line in told.partition("Commands:\n")[2].splitlines()] == COMMANDS
    assert "..." not in told.partition("Commands:\n")[2], "what a command does is not cut short"


@pytest.mark.parametrize("command", WHOLE)
def test_every_option_is_explained(shell: Shell, command: str) -> None:
    told = shell.run(*command.split(), "--help").stdout
    options = re.findall(r"^  (?:-h, )?(--[a-z-]+(?: [A-Z]+)?)(.*(?:\n {8,}\S.*)*)", told, re.MULTILINE)
    assert options
    for name, explained in options:
        assert re.search(r"[a-z]{2,} [a-z]+|[A-Z][a-z]+ ", explained), name


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
import streams.cli
heavy = {"kafka", "faust", "aiokafka", "river", "numpy", "pydantic", "elasticsearch", "nacl", "sigma", "rich"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_beside_the_base_install_it_says_what_brings_the_commands() -> None:
    code = f"import sys; sys.path.append({str(ROOT)!r}); import streams.cli"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == (
        "wardwatch: the emitter alone is installed here; the commands come with pip install 'wardwatch[server]'\n"
    )


def test_damaged_keys_are_one_sentence(shell: Shell) -> None:
    folder = Path(shell.environment["WARDWATCH_DATA_DIR"]) / "keys"
    folder.mkdir(parents=True)
    (folder / "pseudonym.key").write_bytes(b"half")
    result = shell.run("detect", "-", stdin=lines(AUDIT))
    assert result.returncode == 1
    assert result.stderr == (
        f"wardwatch: {folder / 'pseudonym.key'} holds 4 bytes where a key has 32: restore it from your backup\n"
    )


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
    assert running.run("dead-letters", "list", "--producer", "nobody").stdout == ""
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


def test_emit_check_says_per_line_what_is_wrong_and_sends_nothing(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(lines(TRAIL, {**TRAIL, "eventTime": "yesterday"}, {"a": 1}, "nonsense"))
    checked = shell.run("emit", "--check", str(path))  # no Kafka answers here, and none is asked
    assert checked.returncode == 1
    told = checked.stderr.splitlines()
    assert told[0] == f"{path}:2: eventTime is no RFC 3339 date and time"
    assert told[1].startswith(f"{path}:3: the record has the shape of no source known here")
    assert told[2].startswith(f"{path}:4: the record is no JSON")
    assert told[3] == "1 events are right, 3 are not, 1 cloudtrail; nothing was sent"
    path.write_text(lines(TRAIL))
    assert shell.run("emit", "--check", str(path)).returncode == 0


@pytest.mark.kafka
def test_acls_on_a_kafka_that_lets_everybody_do_everything_says_so(kafka: str, tmp_path: Path) -> None:
    told = Shell(tmp_path / "home", kafka).run("acls", "deploy/kafka/acls.toml")
    assert told.returncode == 1
    assert told.stderr.startswith(f"wardwatch: Kafka at {kafka} has no authorizer, so that everybody may do everything")


def test_settings_that_cannot_work_are_one_sentence(shell: Shell) -> None:
    shell.environment |= {"WARDWATCH_KAFKA_SECURITY__PROTOCOL": "SASL_SSL"}
    told = shell.run("status")
    assert told.returncode == 1
    assert told.stderr == "wardwatch: setting WARDWATCH_KAFKA_SECURITY: SCRAM-SHA-512 needs a username\n"
