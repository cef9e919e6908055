"""What doctor says as a whole: its lines, its exit code, and what it says of two clocks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams import cli
from streams.commands.doctor import Finding, lines
from streams.commands.doctor.finding import clock_finding


def test_nothing_there_is_told_and_the_exit_code_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARDWATCH_KAFKA", "127.0.0.1:9")
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr("streams.commands.doctor.kafka._PATIENCE", 0.3)
    result = CliRunner().invoke(cli.app, ["doctor", "--json"])
    assert result.exit_code == 1
    assert [(one["about"], one["level"]) for one in json.loads(result.stdout)] == [
        ("settings", "ok"), ("data folder", "error"), ("kafka", "error"),
    ]  # fmt: skip
    assert os.listdir(tmp_path) == []


def test_a_warning_alone_is_no_failure_and_a_mend_stands_below() -> None:
    found = [Finding("keys", "warning", "others may read it", "chmod 600"), Finding("disk", "ok", "room")]
    assert list(lines(found)) == [
        "warning  keys           others may read it",
        "                        -> chmod 600",
        "ok       disk           room",
    ]


@pytest.mark.parametrize(
    ("off", "level", "told"), [(0, "ok", "within"), (30, "warning", "30 s behind"), (-600, "error", "600 s ahead of")]
)
def test_two_clocks(off: float, level: str, told: str) -> None:
    found = clock_finding("clock", 1_772_323_200 + off, 1_772_323_200)
    assert found.level == level
    assert told in found.told
