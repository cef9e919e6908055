"""``wardwatch notify``, as a shell has it: receivers are listed without secrets, and one is tried in one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from receiving import receiving

ROOT = Path(__file__).parents[3]


def run(home: Path, settings: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(settings)
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", "notify", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "WARDWATCH_DATA_DIR": str(home),
            "WARDWATCH_CONFIG": str(home / "settings.toml"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


SETTINGS = """
private_hosts = ["127.0.0.1"]
public_url = "https://wardwatch.example/"
[receivers.siem]
url = "http://127.0.0.1:9/secret-path"
[receivers.chat]
kind = "slack"
url = "{url}"
minimum_severity = "high"
sources = ["fhir"]
group_minutes = 10
per_hour = 20
"""


def test_receivers_are_listed_without_secrets(tmp_path: Path) -> None:
    settings = SETTINGS.format(url="https://hooks.example/secret-path")
    result = run(tmp_path, settings, "list")
    assert result.stdout.splitlines() == [
        f"{'chat':<16} {'slack':<12} {'hooks.example':<32} "
        "high and above; sources fhir; grouped by 10 min; at most 20 an hour",
        f"{'siem':<16} {'webhook':<12} {'127.0.0.1':<32} low and above",
    ]
    documents = [json.loads(line) for line in run(tmp_path, settings, "list", "--json").stdout.splitlines()]
    assert [document["name"] for document in documents] == ["chat", "siem"]
    assert documents[0]["per_hour"] == 20
    assert "secret" not in result.stdout + str(documents)
    assert run(tmp_path, "", "list").stdout.startswith("no receivers are set")


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (200, b"ok", r"chat \(slack at 127\.0\.0\.1\) took it: 200, after \d+\.\d s"),
        (
            404,
            b"no_\x1b[31mservice\n" + b"x" * 5000,
            r"wardwatch: chat \(slack at 127\.0\.0\.1\) did not take it: status 404, it says: no_\?\[31mservice x+, "
            r"after \d+\.\d s",
        ),
    ],
)
def test_a_test_message_says_so_and_its_answer_is_told(tmp_path: Path, status: int, answer: bytes, told: str) -> None:
    with receiving(lambda _: (status, {}, answer)) as receiver:
        result = run(tmp_path, SETTINGS.format(url=receiver.url), "test", "chat")
    assert result.returncode == (0 if status == 200 else 1)
    (line,) = (result.stdout + result.stderr).splitlines()
    assert re.fullmatch(told, line)
    assert len(line) < 350
    (got,) = receiver.received
    message = orjson.loads(got.body)
    assert message["text"] == "informational: [TEST] Test message from Wardwatch"
    assert "This is a test, and no alert." in str(message)
    assert "https://wardwatch.example/" in str(message)


def test_what_keeps_it_from_being_sent_is_told(tmp_path: Path) -> None:
    assert (
        "no connection (connection refused)"
        in run(tmp_path, SETTINGS.format(url="https://a.example"), "test", "siem").stderr
    )
    result = run(tmp_path, SETTINGS.format(url="https://a.example"), "test", "pager")
    assert result.stderr == "wardwatch: there is no receiver pager: the settings have chat, siem\n"
    (tmp_path / "no.pem").write_text("nothing")
    settings = SETTINGS.format(url="https://a.example") + f'ca_file = "{tmp_path / "no.pem"}"\n'
    result = run(tmp_path, settings, "test", "chat")
    assert result.stderr == f"wardwatch: receiver chat: {tmp_path / 'no.pem'} holds no certificates in PEM\n"
