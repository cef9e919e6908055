"""``wardwatch rules`` as a shell and a CI job have it: what is printed, and how it ends."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import Result
from command_line import AUDIT, TRAIL, Shell, lines
from rule_files import GOOD, changed, write
from typer.testing import CliRunner

from detectors.rules import starter_rules
from streams.cli import app

SHIPPED = len(starter_rules().rules)


def test_the_loop_of_one_rule_from_an_event_to_a_query(shell: Shell, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(lines(AUDIT, TRAIL))
    new = ["rules", "new", "--title", "Synthetic trail stopped", "--from", f"{events}:2", "--author", "Wardwatch"]
    drafted = shell.run(*new, "--out", str(tmp_path))
    rule = tmp_path / "synthetic_trail_stopped.yml"
    assert (drafted.returncode, drafted.stdout) == (0, f"{rule}\n")
    commands = [
        ["rules", "check", str(rule)],
        ["rules", "test", str(rule), "--junit", str(tmp_path / "junit.xml")],
        ["rules", "explain", str(rule), f"{events}:2"],
        ["rules", "explain", str(rule), f"{events}:1"],
        ["rules", "convert", str(rule), "--to", "lucene"],
    ]
    check, test, hit, miss, query = shell.run_together(*commands)
    assert check.returncode == 0
    assert check.stdout.splitlines()[-1].startswith("1 rule: 0 errors, 0 warnings, ")
    assert (test.returncode, test.stdout) == (0, "2 passed, 0 failed\n")
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().find("testsuite") is not None
    assert hit.returncode == 0
    assert "true  event.action is stoplogging" in hit.stdout
    assert miss.returncode == 1
    assert "it is not tried there: the rule asks for product: aws" in miss.stdout
    assert "event.action:StopLogging" in query.stdout
    assert "by case" in query.stderr


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command here, as a shell would in a process of its own."""
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path / "home"))
    return lambda *words: CliRunner().invoke(app, ["rules", *words])


def test_each_ends_as_ci_and_scripts_expect(invoke: Callable[..., Result], tmp_path: Path) -> None:
    good = write(tmp_path, GOOD, name="good.yml")
    (tmp_path / "x").mkdir()
    bad = write(tmp_path / "x", changed(level=None), name="bad.yml")
    layer = tmp_path / "layer.json"
    nowhere = str(tmp_path / "nowhere")
    cases: list[tuple[list[str], int]] = [
        (["check", str(good), "--json"], 0),
        (["check", str(bad), "--sarif"], 1),
        (["check", str(bad), "--ignore", "WR505"], 0),
        (["check", nowhere], 2),
        (["check", str(good), "--json", "--sarif"], 2),
        (["list", "--json"], 0),
        (["coverage", "--layer", str(layer), "--cloud", "--json"], 0),
        (["import", str(bad.parent), str(tmp_path / "mine"), "--json"], 0),
        (["convert", "Nothing of that name", "--to", "esql"], 2),
        (["convert", "Root logged in to the console without a second factor", "--to", "esql", "--json"], 1),
        (["explain", str(good), nowhere], 2),
        (["explain", "No heartbeat of a pump for ten minutes", str(good)], 2),
    ]
    results = [invoke(*words) for words, _ in cases]
    assert [one.exit_code for one in results] == [code for _, code in cases], [one.stderr for one in results]
    check, sarif, _, missing, both, listed, coverage, imported, unnamed, refused, unread, course = results
    assert json.loads(check.stdout) == {"rules": 1, "diagnostics": []}
    assert json.loads(sarif.stdout)["runs"][0]["results"][0]["ruleId"] == "WR505"
    assert missing.stderr == f"wardwatch: {nowhere} is not there\n"
    assert both.stdout == unnamed.stdout == unread.stdout == ""
    by_kind = Counter(one.get("correlation", {}).get("type", "rule") for one in json.loads(listed.stdout))
    assert by_kind["rule"] == SHIPPED
    assert by_kind.total() == SHIPPED + len(starter_rules().correlations.plans)
    assert by_kind["absence"] == 1
    assert course.stderr.endswith("this is for rules of one event: rules test tries the courses inside it\n")
    assert json.loads(coverage.stdout)["rules"] == SHIPPED
    assert json.loads(layer.read_text())["versions"]["layer"] == "4.5"
    assert json.loads(imported.stdout)["copied"] == ["bad.yml"]
    assert "additionalEventData.MFAUsed" in json.loads(refused.stdout)["refused"][0]["why"]


def test_a_file_that_is_there_is_not_overwritten(invoke: Callable[..., Result], tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(lines(TRAIL))
    rule = write(tmp_path, GOOD)
    before = rule.read_bytes()
    again = invoke("new", "--title", "x", "--from", str(events), "--out", str(rule))
    assert (again.exit_code, again.stderr) == (2, f"wardwatch: {rule} is there already: name another file\n")
    assert rule.read_bytes() == before
    folder = tmp_path / "new" / "rules"
    for _ in range(2):
        drafted = invoke("new", "--title", "x", "--from", str(events), "--out", f"{folder}/")
    assert drafted.stderr == f"wardwatch: {folder / 'x.yml'} is there already: name another file\n"
    assert [path.name for path in folder.iterdir()] == ["x.yml"]
    within = invoke("new", "--title", "x", "--from", str(events), "--out", str(rule / "below"))
    assert (within.exit_code, within.stdout) == (2, "")
    beyond = invoke("new", "--title", "x", "--from", f"{events}:9")
    assert (beyond.exit_code, beyond.stderr) == (
        2,
        f"wardwatch: {events}:9 holds no such record: name one as FILE:LINE\n",
    )


def test_rules_of_the_settings_are_active_beside_the_starter_pack(
    invoke: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = write(tmp_path, GOOD)
    monkeypatch.setenv("WARDWATCH_RULES", json.dumps([str(tmp_path)]))
    listed = [one for one in json.loads(invoke("list", "--json").stdout) if "logsource" in one]
    assert len(listed) == SHIPPED + 1
    assert listed[-1]["origin"] == str(rule)
    (tmp_path / "broken.yml").write_text("title: [\n")
    told = invoke("list")
    assert told.exit_code == 1
    assert f"{tmp_path / 'broken.yml'}:" in told.stderr
    assert "starter pack" in told.stdout
