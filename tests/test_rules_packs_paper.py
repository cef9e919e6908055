"""docs/rules-packs.md lists every shipped rule and correlation, and docs/device-events.md every word they know.

The tables are made from the files here; where one differs, its right text is in the failure.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detectors.rules import Rule, starter_rules
from detectors.rules.correlation import Plan
from detectors.rules.expression import questions
from streams.sources.catalog import SOURCES, recognise

ROOT = Path(__file__).parents[1]
PAPER = (ROOT / "docs" / "rules-packs.md").read_text()
DEVICES = (ROOT / "docs" / "device-events.md").read_text()
RULES = starter_rules()
LEVELS = ("critical", "high", "medium", "low", "informational")


def rows_of(pack: str) -> list[str]:
    """The rows of a pack's table, the loudest first."""
    rules = [rule for rule in RULES.rules if rule.path.startswith(f"packs/{pack}/")]
    return [
        f"| {rule.title} | {rule.level} | {_read_from(rule)} | {_attack(rule.tags)} |"
        for rule in sorted(rules, key=lambda rule: (LEVELS.index(rule.level), rule.title))
    ]


def correlation_rows() -> list[str]:
    plans = [plan for plan in RULES.correlations.plans if plan.alone]
    return [
        f"| {plan.rule.title} | {plan.rule.level} | {_asks(plan)} | {', '.join(plan.rule.group_by)} |"
        f" {plan.rule.span} | {_attack(plan.rule.tags)} |"
        for plan in sorted(plans, key=lambda plan: (LEVELS.index(plan.rule.level), plan.rule.title))
    ]


def _read_from(rule: Rule) -> str:
    logsources = {source.name: source.logsource for source in SOURCES}
    if (rule.product, rule.category) == ("", "ehr"):
        names = dict.fromkeys(recognise(event).name for event in rule.custom["wardwatch"]["tests"]["positive"])
        return f"every source of the EHR; tried on {', '.join(f'`{name}`' for name in names)}"
    if rule.product == "wardwatch" and rule.category == "device":
        return f"`device`: {', '.join(f'`{word}`' for word in _words(rule))}"
    names = [n for n, one in logsources.items() if rule.applies_to(one.product, one.service, one.category)]
    return ", ".join(f"`{name}`" for name in names)


def _words(rule: Rule) -> list[str]:
    asked = [test for test in questions(rule.expression) if test.field == "action" and test.kind == "equals"]
    said = [str(word) for test in asked for word in test.operands]
    events = [test for test in questions(rule.expression) if test.field == "event" and test.kind == "equals"]
    return list(dict.fromkeys(said or [f"{word}" for test in events for word in test.operands])) or ["measurement"]


def _asks(plan: Plan) -> str:
    members = [member.title for member in plan.members]
    if plan.rule.kind == "temporal_ordered":
        return ", then ".join(members)
    if plan.rule.kind == "temporal":
        return f"{', '.join(members[:-1])}, without: {members[-1]}"
    if plan.rule.kind == "new_term":
        return f"new {', '.join(plan.rule.fields)}: {' or '.join(members)}"
    if plan.rule.kind == "absence":
        return f"none: {' or '.join(members)}"
    of = f" different {plan.rule.fields[0]} of" if plan.rule.kind == "value_count" else ""
    least = plan.rule.bounds.least if plan.rule.bounds else 0
    return f"{least}{of}: {' or '.join(members)}"


def _attack(tags: tuple[str, ...]) -> str:
    """Techniques; the product's own word where ATT&CK has none."""
    techniques = [tag[7:].upper() for tag in tags if re.match(r"attack\.t\d", tag)]
    return ", ".join(techniques or [tag for tag in tags if tag.startswith("wardwatch.")])


def table(heading: str) -> list[str]:
    section = PAPER.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| rule")]


@pytest.mark.parametrize(
    ("heading", "pack"),
    [("EHR", "ehr"), ("Devices", "device"), ("Clouds and identities", "cloud"), ("Wardwatch itself", "own")],
)
def test_every_rule_is_in_its_table(heading: str, pack: str) -> None:
    assert table(heading) == rows_of(pack), "\n".join(rows_of(pack))


def test_every_correlation_is_in_the_table() -> None:
    assert table("Correlations") == correlation_rows(), "\n".join(correlation_rows())


def test_the_numbers_said_are_those_there_are() -> None:
    counts = [int(number) for number in re.findall(r"\*\*(\d+)\*\*", PAPER)]
    assert counts == [len(rows_of(pack)) for pack in ("ehr", "device", "cloud")] + [len(correlation_rows())]
    shipped = sum(len(rows_of(pack)) for pack in ("ehr", "device", "cloud", "own"))
    said = f"{shipped} rules and {len(correlation_rows())} correlations"
    assert said in (ROOT / "README.md").read_text()
    assert said in (ROOT / "CHANGELOG.md").read_text()


def test_every_word_that_device_rules_know_is_in_the_devices_paper() -> None:
    section = DEVICES.partition("## Words that rules know")[2]
    said = set(re.findall(r"`([\w.]+)`", section))
    devices = [rule for rule in RULES.rules if rule.product == "wardwatch" and rule.category == "device"]
    for rule in devices:
        asked = [test for test in questions(rule.expression) if test.field]
        words = {str(word) for test in asked if test.field == "action" for word in test.operands}
        details = {test.field for test in asked if test.field and test.field.startswith("details.")}
        assert words | details <= said, (rule.title, words | details - said)
