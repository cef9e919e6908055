"""What docs/rules-language.md shows works as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detectors.rules import RuleSet, load

PAPER = (Path(__file__).parents[3] / "docs" / "rules-language.md").read_text()
FILTER, RULE, PIPELINE = re.findall(r"^```yaml\n(.*?)^```", PAPER, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lists" / "indicators").mkdir(parents=True)
    (tmp_path / "lists" / "Administrators.txt").write_text("adm-*  # all of them\nsvc-backup-1\n")
    (tmp_path / "lists" / "indicators" / "feed.csv").write_text(
        "value,type,valid_until\n198.51.100.0/24,ip,2026-01-01\n"
    )
    (tmp_path / "rule.yml").write_text(RULE)
    return tmp_path


def found(rules: RuleSet, time: int = 0, **event: str) -> bool:
    return bool(rules.match({}, {name.replace("__", "."): value for name, value in event.items()}, None, time))


def test_the_rule_finds_what_its_lists_say(folder: Path) -> None:
    rules = load([folder / "rule.yml"], lists=[folder / "lists"])
    assert rules.problems == ()
    assert found(rules, source__ip="198.51.100.9")
    assert not found(rules, 1_767_225_600_000, source__ip="198.51.100.9")
    assert found(rules, user__name="ADM-7")
    assert not found(rules, user__name="nurse-7")
    assert not load([folder / "rule.yml"]).rules


def test_the_filter_keeps_out_what_it_says(folder: Path) -> None:
    (folder / "mf_backup.yml").write_text(FILTER)
    rules = load([folder / "rule.yml", folder / "mf_backup.yml"], lists=[folder / "lists"])
    assert rules.problems == ()
    assert not found(rules, user__name="svc-backup-1")
    assert found(rules, user__name="adm-1")


def test_the_pipeline_maps_what_it_says(folder: Path) -> None:
    (folder / "pipeline.yml").write_text(PIPELINE)
    (folder / "rule.yml").write_text(RULE.replace("user.name|", "account|"))
    rules = load([folder / "rule.yml"], lists=[folder / "lists"], pipelines=[folder / "pipeline.yml"])
    assert rules.problems == ()
    assert found(rules, user__name="adm-1")
