"""The commands, as a shell has them: what they print, where errors go, and how they end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import AUDIT, DEVICE, NOW, ROOT, TRAIL, Shell, lines


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
        ("partition = 4", "WARDWATCH_PARTITION: there is no such setting; did you mean WARDWATCH_PARTITIONS?"),
        ("synthetic = 4", "setting WARDWATCH_SYNTHETIC: there is no such setting\n"),
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
    told = "cannot be used (Not a directory): let this user have it, or name another folder in WARDWATCH_DATA_DIR\n"
    assert result.stderr.endswith(told)


def test_damaged_keys_are_one_sentence(shell: Shell) -> None:
    folder = Path(shell.environment["WARDWATCH_DATA_DIR"]) / "keys"
    folder.mkdir(parents=True)
    (folder / "pseudonym.key").write_bytes(b"half")
    result = shell.run("detect", "-", stdin=lines(AUDIT))
    assert result.returncode == 1
    assert result.stderr == (
        f"wardwatch: {folder / 'pseudonym.key'} holds 4 bytes where a key has 32: restore it from your backup\n"
    )


def test_emit_check_says_per_line_what_is_wrong_and_sends_nothing(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(lines(TRAIL, {**TRAIL, "eventTime": "yesterday"}, {"a": 1}, "nonsense"))
    checked = shell.run("emit", "--check", str(path))  # no Kafka answers here, and none is asked
    assert checked.returncode == 1
    told = checked.stderr.splitlines()
    assert told[0] == f"{path}:2: eventTime is no RFC 3339 date and time"
    assert told[1].startswith(f"{path}:3: the record has the shape of no source known here")
    assert told[2].startswith(f"{path}:4: the record is no JSON")
    assert told[3] == "1 of 4 events are right (1 cloudtrail); nothing was sent"
    path.write_text(lines(TRAIL))
    assert shell.run("emit", "--check", str(path)).returncode == 0


def test_settings_that_cannot_work_are_one_sentence(shell: Shell) -> None:
    shell.environment |= {"WARDWATCH_KAFKA_SECURITY__PROTOCOL": "SASL_SSL"}
    told = shell.run("status")
    assert told.returncode == 1
    assert told.stderr == "wardwatch: setting WARDWATCH_KAFKA_SECURITY: SCRAM-SHA-512 needs a username\n"
