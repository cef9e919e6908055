"""Every shipped rule carries events that it must match and events that it must not, and says what to do."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from detectors.base import SEVERITIES
from detectors.rules import Rule, starter_rules
from detectors.rules.attack import attack
from streams.demo.hospital import Hospital
from streams.sources.catalog import by_name, recognise

RULES = starter_rules()
SOURCES = {
    "ehr": ("", "", "ehr"),
    "device": ("wardwatch", "", "device"),
    "cloud": ("aws", "cloudtrail", ""),
    "own": ("wardwatch", "audit", ""),
}
CASES = [
    pytest.param(rule, kind, number, id=f"{rule.path}-{kind}-{number}")
    for rule in RULES.rules
    for kind in ("positive", "negative")
    for number in range(len(rule.custom["wardwatch"]["tests"][kind]))
]


def test_all_of_it_loads() -> None:
    assert RULES.problems == ()
    assert len(RULES.rules) == 21
    assert {rule.path.split("/")[1] for rule in RULES.rules} == SOURCES.keys()
    assert RULES.unindexed == ()


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.path)
def test_says_what_an_analyst_needs(rule: Rule) -> None:
    assert UUID(rule.id).version == 4
    assert rule.author == "Wardwatch"
    assert rule.date
    assert rule.level in SEVERITIES
    assert rule.techniques
    assert rule.description
    assert rule.falsepositives
    assert rule.response.endswith(".")
    assert (rule.product, rule.service, rule.category) == SOURCES[rule.path.split("/")[1]]
    assert all(rule.custom["wardwatch"]["tests"][kind] for kind in ("positive", "negative"))


@pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.path)
def test_its_techniques_exist_and_serve_its_tactics(rule: Rule) -> None:
    tactics = {tag.removeprefix("attack.") for tag in rule.tags} - {name.lower() for name in rule.techniques}
    served = [set(attack().techniques[technique]) for technique in rule.techniques]
    assert all(serving & tactics for serving in served), "a technique of no tactic named"
    assert tactics <= set().union(*served), "a tactic that no technique serves"


@pytest.mark.parametrize(("rule", "kind", "number"), CASES)
def test_its_events_are_such_as_its_source_sends(rule: Rule, kind: str, number: int) -> None:
    event: dict[str, Any] = rule.custom["wardwatch"]["tests"][kind][number]
    source = recognise(event)
    assert rule.applies_to(source.logsource.product, source.logsource.service, source.logsource.category)
    draft = source.normalise(event)
    assert draft.device or rule.subject != "device"


def test_an_ordinary_day_fires_no_rule() -> None:
    hospital = Hospital(seed=11, staff=60, patients=200)
    for emission, _ in zip(hospital.traffic(1_760_000_000_000, per_second=20), range(5000), strict=False):
        source = by_name(emission.source)
        fields = source.normalise(emission.record).fields
        assert RULES.match(emission.record, fields, source.logsource) == []


@pytest.mark.parametrize(("rule", "kind", "number"), CASES)
def test_its_own_events(rule: Rule, kind: str, number: int) -> None:
    event: dict[str, Any] = rule.custom["wardwatch"]["tests"][kind][number]
    source = recognise(event)
    draft = source.normalise(event)
    found = [match.rule.id for match in RULES.match(draft.shown or event, draft.fields, source.logsource)]
    assert (rule.id in found) == (kind == "positive")
