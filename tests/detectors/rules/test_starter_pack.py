"""Every shipped rule carries events that it must match and events that it must not, and says what to do."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from detectors.base import SEVERITIES
from detectors.rules import Rule, RuleSet, starter_rules
from detectors.rules.attack import attack
from detectors.rules.index import Index
from detectors.rules.rule import read_rule
from streams.demo.hospital import Hospital
from streams.pipeline import Reader
from streams.privacy import Pseudonyms
from streams.sources.catalog import SOURCES, by_name, recognise

RULES = starter_rules()
#: Rules of each pack that there are at least, and the topic on which its events arrive.
PACKS = {
    "ehr": (45, "audit.ehr"),
    "device": (35, "audit.iot"),
    "cloud": (45, "audit.cloud"),
    "own": (1, "audit.ehr"),
}
#: What ATT&CK has no technique for.
OWN_TAGS = {
    "wardwatch.audit-trail",
    "wardwatch.identity-misuse",
    "wardwatch.maintenance",
    "wardwatch.patient-safety",
}
RECEIVED = 4_102_444_800_000
PSEUDONYMS = Pseudonyms(bytes(range(32)), "k1")
ROOT = Path(__file__).parents[3]
SINGLE = [rule for rule in RULES.rules if rule.path.split("/")[1] in PACKS]
CASES = [
    pytest.param(rule, kind, number, id=f"{rule.path}-{kind}-{number}")
    for rule in SINGLE
    for kind in ("positive", "negative")
    for number in range(len(rule.custom["wardwatch"]["tests"][kind]))
]


@cache
def reader() -> Reader:
    return Reader(RULES, PSEUDONYMS)


def found_in(event: dict[str, Any]) -> set[str]:
    """Ids of the rules that find something in an event on its way through ingest."""
    released = reader().read(event, recognise(event), fallback_id=lambda: "synthetic", received=RECEIVED)
    return {str(finding.rule["id"]) for finding in released.findings}


def test_all_of_it_loads() -> None:
    assert RULES.problems == ()
    counts = Counter(rule.path.split("/")[1] for rule in SINGLE)
    assert all(counts[pack] >= least for pack, (least, _) in PACKS.items()), counts
    assert len({rule.title for rule in SINGLE}) == len(SINGLE)


def test_each_is_looked_for_by_something_that_few_events_have() -> None:
    assert RULES.unindexed == ()


def test_an_ordinary_event_is_tried_with_hardly_any() -> None:
    """The price of a pack: rules whose witness is in an everyday event, counted over a day of the hospital."""
    indexes = {
        source.name: Index(
            (number, RULES._witnesses[number])
            for number, rule in enumerate(RULES.rules)
            if rule.applies_to(source.logsource.product, source.logsource.service, source.logsource.category)
        )
        for source in SOURCES
    }
    tried: Counter[str] = Counter()
    emissions = Hospital(seed=1).traffic(1_760_000_000_000, per_second=20)
    for emission, _ in zip(emissions, range(2000), strict=False):
        fields = by_name(emission.source).normalise(emission.record).fields
        tried.update(
            RULES.rules[n].name or RULES.rules[n].path
            for n in set(indexes[emission.source].candidates(emission.record, fields))
        )
    everyday = {"packs/device/impossible_value.yml", "packs/ehr/search_without_patient.yml"}
    remembered = {"act_aws_role_assumed"}  # what is usual has to be seen for something to be new
    assert set(tried) <= everyday | remembered, tried


@pytest.mark.parametrize("rule", SINGLE, ids=lambda rule: rule.path)
def test_says_what_an_analyst_needs(rule: Rule) -> None:
    assert UUID(rule.id).version == 4
    assert rule.author == "Wardwatch"
    assert rule.status == "experimental"
    assert rule.date
    assert rule.level in SEVERITIES
    assert rule.description.endswith(".")
    assert rule.falsepositives
    assert rule.references
    assert rule.response.endswith(".")
    tests = rule.custom["wardwatch"]["tests"]
    assert set(tests) == {"positive", "negative"}
    assert all(tests.values())


@pytest.mark.parametrize("rule", SINGLE, ids=lambda rule: rule.path)
def test_its_techniques_exist_and_serve_its_tactics(rule: Rule) -> None:
    own = {tag for tag in rule.tags if not tag.startswith("attack.")}
    assert own <= OWN_TAGS
    assert own or rule.techniques
    tactics = {tag.removeprefix("attack.") for tag in rule.tags if tag not in own} - {
        name.lower() for name in rule.techniques
    }
    served = [set(attack().techniques[technique]) for technique in rule.techniques]
    assert all(serving & tactics for serving in served), "a technique of no tactic named"
    assert tactics <= set().union(*served), "a tactic that no technique serves"


@pytest.mark.parametrize(("rule", "kind", "number"), CASES)
def test_its_events_are_such_as_its_source_sends(rule: Rule, kind: str, number: int) -> None:
    event: dict[str, Any] = rule.custom["wardwatch"]["tests"][kind][number]
    source = recognise(event)
    draft = source.normalise(event)
    logsource = draft.logsource or source.logsource
    assert rule.applies_to(logsource.product, logsource.service, logsource.category)
    assert source.topic == PACKS[rule.path.split("/")[1]][1]
    assert draft.time, "a rule's event says when it happened"


@pytest.mark.parametrize(("rule", "kind", "number"), CASES)
def test_its_own_events(rule: Rule, kind: str, number: int) -> None:
    event: dict[str, Any] = rule.custom["wardwatch"]["tests"][kind][number]
    assert (rule.id in found_in(event)) == (kind == "positive")


@pytest.mark.parametrize("rule", SINGLE, ids=lambda rule: rule.path)
def test_each_filter_and_option_decides_about_an_event_of_its_own(rule: Rule) -> None:
    """Without one of its filters a rule matches what it must not; without one of its options it misses something."""
    document = yaml.safe_load((ROOT / "detectors" / "rules" / rule.path).read_text())
    tests = document["wardwatch"]["tests"]
    for name in document["detection"]:
        if name.startswith(("filter", "option")):
            without = {**document["detection"], name: {"synthetic.field": "in no event"}}
            alone = Reader(RuleSet([read_rule({**document, "detection": without}, rule.path, 1)]), PSEUDONYMS)
            if name.startswith("filter"):
                assert any(_matches(alone, event) for event in tests["negative"]), name
            else:
                assert not all(_matches(alone, event) for event in tests["positive"]), name


def _matches(reader: Reader, event: dict[str, Any]) -> bool:
    return bool(reader.read(event, recognise(event), fallback_id=lambda: "synthetic", received=RECEIVED).findings)


def test_what_devices_do_is_about_the_device() -> None:
    for rule in SINGLE:
        if rule.path.startswith("packs/device/"):
            assert rule.subject == "device", rule.path


def test_what_is_critical_is_rare_and_asks_for_somebody_at_once() -> None:
    urgent = [rule for rule in SINGLE if rule.level == "critical"]
    assert 0 < len(urgent) <= len(SINGLE) // 20
    for rule in urgent:
        assert rule.response.startswith("Call "), rule.path


def test_an_ordinary_day_fires_no_rule() -> None:
    hospital = Hospital(seed=11, staff=60, patients=200)
    for emission, _ in zip(hospital.traffic(1_760_000_000_000, per_second=20), range(5000), strict=False):
        source = by_name(emission.source)
        fields = source.normalise(emission.record).fields
        matches = RULES.match(emission.record, fields, source.logsource)
        assert {match.rule.name for match in matches} <= {"act_aws_role_assumed"}, "which alerts nobody by itself"
