"""Every shipped rule carries events that it must match and events that it must not, and says what to do."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from detectors.base import SEVERITIES
from detectors.rules import Rule, starter_rules

RULES = starter_rules()
SOURCES = {
    "ehr": ("fhir", "auditevent", "ehr"),
    "device": ("wardwatch", "", "device"),
    "cloud": ("aws", "cloudtrail", ""),
}
CASES = [
    pytest.param(rule, kind, number, id=f"{rule.path}-{kind}-{number}")
    for rule in RULES.rules
    for kind in ("positive", "negative")
    for number in range(len(rule.custom["wardwatch"]["tests"][kind]))
]


class LogSource:
    def __init__(self, rule: Rule) -> None:
        self.product, self.service, self.category = rule.product, rule.service, rule.category


def test_all_of_it_loads() -> None:
    assert RULES.problems == ()
    assert len(RULES.rules) == 20
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


@pytest.mark.parametrize(("rule", "kind", "number"), CASES)
def test_its_own_events(rule: Rule, kind: str, number: int) -> None:
    event: dict[str, Any] = rule.custom["wardwatch"]["tests"][kind][number]
    found = [match.rule.id for match in RULES.match(event, {}, LogSource(rule))]
    assert (rule.id in found) == (kind == "positive")
