"""Matching, gating, explaining, and the findings that come of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from detectors.base import Event
from detectors.rules import Match, Rule, RuleSet, finding
from detectors.rules.rule import read_rule


@dataclass(frozen=True)
class Source:
    product: str = ""
    service: str = ""
    category: str = ""


def rule(detection: dict[str, Any], **more: Any) -> Rule:
    number = more.pop("number", 1)
    document = {
        "title": f"Rule {number}",
        "id": f"00000000-0000-4000-8000-{number:012}",
        "logsource": {"product": "p"},
        "detection": {"condition": "s", **detection},
        **more,
    }
    return read_rule(document, "test", 1)


def matches(detection: dict[str, Any], record: dict[str, Any], fields: dict[str, Any] | None = None) -> bool:
    return bool(RuleSet([rule(detection)]).match(record, fields or {}, None))


@pytest.mark.parametrize(
    ("selection", "record", "expected"),
    [
        ({"a": 553}, {"a": "553"}, True),
        ({"a": "553"}, {"a": 553}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": True}, {"a": "TRUE"}, True),
        ({"a": None}, {}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {"a": []}, True),
        ({"a": None}, {"a": {"b": 1}}, False),
        ({"a": ""}, {"a": ""}, True),
        ({"a": ""}, {}, False),
        ({"a.b": "flat"}, {"a.b": "flat", "a": {"b": "nested"}}, True),
        ({"a.b": "nested"}, {"a.b": "flat", "a": {"b": "nested"}}, False),
        ({"a.b": "2"}, {"a": [{"b": "1"}, [{"b": ["3", "2"]}]]}, True),
        ({"a|exists": True}, {"a": None}, True),
        ({"a|exists": False}, {"a": []}, False),
        ({"a|cidr": "10.0.0.0/8"}, {"a": ["x", "10.9.8.7"]}, True),
        ({"a|cidr": "10.0.0.0/8"}, {"a": 167772161}, False),
        ({"a|gte": 5}, {"a": "5.0"}, True),
        ({"a|gte": 5}, {"a": "many"}, False),
        ({"a|re": "^Ab"}, {"a": "ab"}, False),
        ({"a|re|i": "^Ab"}, {"a": "ab"}, True),
        ({"a|re": "x[[:digit:]]y"}, {"a": "x5y"}, True),
        ([{"a|contains": "x"}, {"a|contains|cased": "Y"}], {"a": "y"}, False),
        ([{"a|contains|cased": "Y"}, {"a|contains": "x"}], {"a": "X"}, True),
        ({"a|hour|gte": 18}, {"a": "2026-01-05T18:30:00+05:00"}, True),
        ({"a|week": 2}, {"a": "2026-01-05"}, True),
        ({"a": r"b\*c"}, {"a": "b*c"}, True),
        ({"a": r"b\*c"}, {"a": "bxc"}, False),
        ({"a": "b?c*d"}, {"a": "B\nC\nD"}, True),
        ({"e.f": "x"}, {"g": 1}, False),
    ],
)
def test_values(selection: Any, record: dict[str, Any], expected: bool) -> None:
    assert matches({"s": selection}, record) is expected


def test_the_record_goes_before_the_ecs_fields() -> None:
    assert matches({"s": {"user.name": "x"}}, {}, {"user.name": "x"})
    assert not matches({"s": {"user.name": "x"}}, {"user": {"name": "y"}}, {"user.name": "x"})
    assert not matches({"s": {"user.name": "x"}}, {"user": {"name": None}}, {"user.name": "x"})


def test_a_keyword_is_inside_any_value_and_not_in_names_or_across_values() -> None:
    record = {"name": ["one", {"deep": "has EVIL word"}], "evil-key": "two"}
    assert matches({"s": ["evil"]}, record)
    assert matches({"s": ["thr*ee"]}, record, {"f": "a three"})
    assert not matches({"s": ["evil-key"]}, record)
    assert not matches({"s": ["onetwo"]}, {"a": "one", "b": "two"})


def test_gating_by_log_source() -> None:
    rules = RuleSet(
        rule({"s": {"a": "x"}}, number=n, logsource=source)
        for n, source in enumerate(
            ({"product": "P"}, {"product": "p", "service": "q"}, {"category": "c"}, {"service": "other"})
        )
    )
    found = [int(match.rule.id[-1]) for match in rules.match({"a": "x"}, {}, Source("p", "q", "c"))]
    assert found == [0, 1, 2]
    assert len(rules.match({"a": "x"}, {}, Source("p"))) == 1
    assert len(rules.match({"a": "x"}, {}, None)) == 4


def test_evidence_names_what_held() -> None:
    detection = {
        "s": {"a|startswith": "X", "l.m": ["1", "2"], "gone": None},
        "o": {"b": "never"},
        "f": {"c": "no"},
        "condition": "(s or o) and not f",
    }
    (match,) = RuleSet([rule(detection)]).match({"a": "xyz", "l": [{"m": 0}, {"m": 2}], "b": 1}, {}, None)
    assert match.evidence() == {"a": "xyz", "l.m": 2, "gone": None}


def test_unindexed_rules_are_named() -> None:
    rules = RuleSet(
        [
            rule({"s": {"a": "x"}}, number=1),
            rule({"s": ["keyword"]}, number=2),
            rule({"s": {"a": None}}, number=3),
            rule({"s": {"a": "x"}, "t": {"b": "y"}, "condition": "not s or t"}, number=4),
        ]
    )
    assert [rule.title for rule in rules.unindexed] == ["Rule 2", "Rule 3", "Rule 4"]


def test_new_values_beyond_what_is_remembered_still_match() -> None:
    rules = RuleSet([rule({"s": {"a|contains": "evil"}})])
    for number in range(6000):
        assert not rules.match({"a": f"good {number}", f"k{number}": 1}, {}, None)
    assert rules.match({"a": "an evil one"}, {}, None)
    assert rules.match({"a": "x" * 200 + "evil", "new": 1}, {}, None)


def test_deep_nesting_in_an_event_harms_nobody() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert matches({"s": {"a.b": "x"}}, {"a": {"b": deep}})
    assert matches({"s": ["x"]}, {"a": deep})
    assert matches({"s": {"a.b": "x"}}, {"a": [deep, {"b": "x"}]})


@pytest.mark.parametrize("pattern", ["(x+)+y", "(x|xx)*y", ".*x.*x.*y", "(x*)*(x*)*y"])
def test_regular_expressions_take_linear_time(pattern: str) -> None:
    rules = RuleSet([rule({"s": {"a|re": f"{pattern}|z"}})])
    start = time.process_time()
    rules.match({"a": "x" * 1_000_000}, {}, None)
    assert time.process_time() - start < 5


def test_wildcards_take_bounded_time() -> None:
    rules = RuleSet([rule({"s": {"a": "*x*x*x*x*x*x*y*x"}})])
    start = time.process_time()
    rules.match({"a": "x" * 100_000}, {}, None)
    assert time.process_time() - start < 2


def test_half_a_surrogate_pair_is_searched_too() -> None:
    assert matches({"s": {"a|re": "ev[ij]l"}}, {"a": "\ud800 evil"})


EVENT = Event(
    id="e1",
    time=1_767_600_000_000,
    source="fhir",
    actor="user:Practitioner/p-001",
    device="device:pump-1",
    fields={"event.action": "read", "user.id": "Practitioner/p-001", "labels.x": "y"},
)


def match_of(**more: Any) -> Match:
    detection = {"s": {"entity.name|contains": "secret", "event.action": "read"}}
    one = rule(detection, tags=["attack.t1213"], author="A", level="high", **more)
    (found,) = RuleSet([one]).match({"entity": [{"name": "Secret Name"}]}, EVENT.fields, None)
    return found


def test_a_finding_quotes_only_what_left_ingest() -> None:
    made = finding(match_of(), EVENT, "actor")
    assert "secret" not in repr(made).casefold()
    assert made.evidence == {"event.action": "read", "user.id": "Practitioner/p-001"}
    assert made.reason == "entity.name contains a listed text, event.action has a listed value."
    assert (made.detector, made.severity, made.techniques, made.event_ids) == ("sigma", "high", ("T1213",), ("e1",))
    told = {name: made.rule[name] for name in ("id", "author", "level", "tags", "path")}
    assert told == {
        "id": "00000000-0000-4000-8000-000000000001",
        "author": "A",
        "level": "high",
        "tags": ("attack.t1213",),
        "path": "test",
    }
    assert made.rule["version"] == match_of().rule.version
    assert made == finding(match_of(), EVENT, "actor")


def test_a_finding_is_about_the_subject() -> None:
    assert finding(match_of(), EVENT, "actor").entity == EVENT.actor
    assert finding(match_of(), EVENT, "device").entity == EVENT.device
    assert finding(match_of(wardwatch={"subject": "device"}), EVENT, "actor").entity == EVENT.device
    no_device = Event(id="e1", time=1, source="fhir", actor="user:x", fields=EVENT.fields)
    assert finding(match_of(), no_device, "device").entity == "user:x"
