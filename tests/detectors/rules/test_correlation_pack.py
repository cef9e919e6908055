"""Every shipped correlation carries courses of events that it must tell of and others that it must not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from detectors.base import SEVERITIES
from detectors.rules import starter_rules
from detectors.rules.attack import attack
from detectors.rules.correlation import Memory, Plan
from streams.commands.rules.courses import steps
from streams.pipeline import LATENESS, Reader
from streams.privacy import Pseudonyms
from streams.sources.catalog import recognise

RULES = starter_rules()
READER = Reader(RULES, Pseudonyms(bytes(range(32)), "k1"))
TOLD = [plan for plan in RULES.correlations.plans if plan.alone]
#: A week after the events: none is dated in the future, or too long ago to be believed.
RECEIVED = 1_768_176_000_000
COURSES = [
    pytest.param(plan, kind, number, id=f"{plan.rule.path}-{kind}-{number}")
    for plan in TOLD
    for kind in ("positive", "negative")
    for number in range(len(plan.rule.custom["wardwatch"]["tests"][kind]))
]


def told_of(course: list[dict[str, Any]]) -> set[str]:
    """Ids of the correlations that tell of a course, once all that could come late has come."""
    memory = Memory(RULES.correlations, lateness=LATENESS)
    found = []
    for number, event in enumerate(steps(course)):
        fallback = f"synthetic-{number}"
        released = READER.read(event, recognise(event), fallback_id=lambda id_=fallback: id_, received=RECEIVED)
        found.extend(memory.take(released.hits, 0))
    found.extend(memory.settle())
    return {str(finding.rule["id"]) for finding in found}


def test_there_are_enough_of_them_and_no_rule_is_silent_for_their_sake() -> None:
    assert RULES.problems == ()
    assert len(TOLD) >= 28
    silent = RULES.correlations.silent
    acts = {rule.id for rule in RULES.rules if rule.path == "packs/correlations/acts.yml"}
    referred = {member.id for plan in RULES.correlations.plans for member in plan.members}
    assert {rule.id for rule in RULES.rules if rule.id in silent} == acts
    assert acts <= referred, "an act that no correlation counts"


@pytest.mark.parametrize("plan", TOLD, ids=lambda plan: plan.rule.path)
def test_says_what_an_analyst_needs(plan: Plan) -> None:
    rule = plan.rule
    assert UUID(rule.id).version == 4
    assert rule.author == "Wardwatch"
    assert rule.level in SEVERITIES
    assert rule.description.endswith(".")
    assert rule.response.endswith(".")
    assert rule.response.startswith("Call ") or rule.level != "critical"
    assert rule.group_by, "a correlation is about somebody or something"
    tests = rule.custom["wardwatch"]["tests"]
    assert set(tests) == {"positive", "negative"}
    assert all(tests.values())
    tactics = {tag.removeprefix("attack.") for tag in rule.tags if tag.startswith("attack.")} - {
        name.lower() for name in rule.techniques
    }
    served = [set(attack().techniques[technique]) for technique in rule.techniques]
    assert served
    assert all(serving & tactics for serving in served), "a technique of no tactic named"
    assert tactics <= set().union(*served), "a tactic that no technique serves"


@pytest.mark.parametrize(("plan", "kind", "number"), COURSES)
def test_its_own_courses(plan: Plan, kind: str, number: int) -> None:
    course = plan.rule.custom["wardwatch"]["tests"][kind][number]
    assert (plan.rule.id in told_of(course)) == (kind == "positive")
