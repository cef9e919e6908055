"""A correlation that cannot be evaluated is reported with file, line and reason, and costs itself alone."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from detectors.rules import RuleSet, load
from detectors.rules.correlation.bounds import billionths

RULES = """\
title: Failed login
id: 11111111-1111-4111-8111-111111111111
name: failed
logsource: {product: p}
detection: {selection: {a: x}, condition: selection}
---
title: Login
id: 22222222-2222-4222-8222-222222222222
name: login
logsource: {product: p}
detection: {selection: {a: y}, condition: selection}
"""


def loaded(folder: Path, *files: str) -> RuleSet:
    for number, text in enumerate(files):
        (folder / f"{number}.yml").write_text(text)
    return load([folder])


def correlation(title: str = "C", /, **section: Any) -> str:
    body = {"type": "event_count", "rules": ["failed"], "group-by": ["user"], "timespan": "1h", "condition": {"gte": 3}}
    body |= {name.replace("_", "-"): value for name, value in section.items()}
    return "---\n" + yaml.safe_dump(
        {"title": title, "name": title.lower(), "correlation": {k: v for k, v in body.items() if v is not None}}
    )


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no type": ({"type": None}, "type is none of"),
    "unknown type": ({"type": "near"}, "type is none of"),
    "unknown key": ({"group_by_typo": ["a"]}, "group-by-typo"),
    "no timespan": ({"timespan": None}, "timespan is missing"),
    "timespan of nothing": ({"timespan": "0s"}, "timespan is missing"),
    "timespan in words": ({"timespan": "an hour"}, "timespan is missing"),
    "timespan of ages": ({"timespan": "11y"}, "ten years"),
    "no rules": ({"rules": []}, "rules is empty"),
    "one rule twice": ({"rules": ["failed", "failed"]}, "names one twice"),
    "by id and by name": ({"rules": ["failed", "11111111-1111-4111-8111-111111111111"]}, "names one rule twice"),
    "unknown rule": ({"rules": ["nobody"]}, "'nobody'"),
    "no condition": ({"condition": None}, "needs one such as"),
    "empty condition": ({"condition": {}}, "compares nothing"),
    "condition in words": ({"condition": "failed"}, "is no map"),
    "limit in words": ({"condition": {"gte": "3"}}, "condition.gte is no number"),
    "endless limit": ({"condition": {"gte": float("inf")}}, "condition.gte is no number"),
    "nothing satisfies it": ({"condition": {"gt": 5, "lt": 5}}, "no number satisfies"),
    "equal and not equal": ({"condition": {"eq": 5, "neq": 5}}, "no number satisfies"),
    "field of a count": ({"condition": {"gte": 3, "field": "a"}}, "means nothing: field"),
    "no field": ({"type": "value_count"}, "condition.field is missing"),
    "fields of a sum": ({"type": "value_sum", "condition": {"gte": 3, "field": ["a", "b"]}}, "needs one"),
    "percentile of a sum": (
        {"type": "value_sum", "condition": {"gte": 3, "field": "a", "percentile": 5}},
        "percentile",
    ),
    "percentile past all": (
        {"type": "value_percentile", "condition": {"gte": 3, "field": "a", "percentile": 101}},
        "from 0 to 100",
    ),
    "more values than are kept": ({"type": "value_count", "condition": {"gt": 2000, "field": "a"}}, "ask for fewer"),
    "alias of a stranger": ({"aliases": {"u": {"login": "a"}}}, "none of the correlation's rules"),
    "alias of nothing": ({"aliases": {"u": "a"}}, "aliases is no map"),
    "more rules than it has": ({"type": "temporal", "condition": {"gte": 2}}, "another number"),
    "order and fewer": (
        {"type": "temporal_ordered", "rules": ["failed", "login"], "condition": {"lt": 2}},
        "excludes that number",
    ),
    "order and not": (
        {"type": "temporal_ordered", "rules": ["failed", "login"], "condition": "failed and not login"},
        "excludes that",
    ),
    "condition without end": ({"type": "temporal", "condition": "failed and"}, "ends where"),
    "condition with two names": ({"type": "temporal", "condition": "failed login"}, "goes on with 'login'"),
    "open bracket": ({"type": "temporal", "condition": "(failed"}, "not closed"),
    "deep condition": ({"type": "temporal", "condition": "not " * 30 + "failed"}, "deeper"),
    "a new term of nothing": ({"type": "new_term", "condition": None}, "correlation.field is missing"),
    "a new term of too much": ({"type": "new_term", "condition": None, "field": list("abcd")}, "more than 3"),
    "a new term so often": ({"type": "new_term", "field": "a"}, "new_term takes no condition"),
    "learned for longer than remembered": (
        {"type": "new_term", "condition": None, "field": "a", "learning": "2h"},
        "give it a longer timespan",
    ),
    "learned for a while": ({"type": "new_term", "condition": None, "field": "a", "learning": "some"}, "learning is"),
    "an absence so often": ({"type": "absence"}, "absence takes no condition"),
    "an absence of a field": ({"type": "absence", "condition": None, "field": "a"}, "means nothing: field"),
    "an absence that learns": ({"type": "absence", "condition": None, "learning": "1h"}, "means nothing: learning"),
    "a count that learns": ({"learning": "1h"}, "means nothing: learning"),
    "condition of others": ({"type": "temporal", "condition": "failed or login"}, "must be in both"),
    "generate in words": ({"generate": "yes"}, "generate is neither"),
    "group-by a map": ({"group_by": {"a": "b"}}, "group-by is no list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_evaluated_is_refused(name: str, tmp_path: Path) -> None:
    section, reason = REFUSED[name]
    rules = loaded(tmp_path, RULES + correlation(**section) + correlation("Good"))
    (problem,) = rules.problems
    assert (problem.path, problem.line) == (str(tmp_path / "0.yml"), RULES.count("\n") + 2)
    assert reason in problem.reason
    assert [plan.rule.title for plan in rules.correlations.plans] == ["Good"]
    assert len(rules.rules) == 2


def test_references_by_name_and_id_within_and_across_files(tmp_path: Path) -> None:
    by_id = correlation("By id", rules=["22222222-2222-4222-8222-222222222222".upper()])
    other = correlation("Of another", rules=["by id", "failed"], type="temporal", condition=None)
    rules = loaded(tmp_path, other + by_id, RULES)
    assert rules.problems == ()
    first, second = rules.correlations.plans
    assert {first.rule.title, second.rule.title} == {"By id", "Of another"}
    assert {"11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"} == set(
        rules.correlations.feeds
    )


def test_a_name_is_looked_up_in_its_own_file_first(tmp_path: Path) -> None:
    same_name = RULES.replace("1111", "3333").replace("2222", "4444")
    rules = loaded(tmp_path, RULES + correlation("Mine"), same_name, correlation("Whose"))
    (problem,) = rules.problems
    assert problem.path.endswith("2.yml")
    assert "2 rules are called so" in problem.reason
    (plan,) = rules.correlations.plans
    assert plan.members[0].id.startswith("1111")


def test_circles_are_refused_and_so_is_what_refers_to_them(tmp_path: Path) -> None:
    circle = correlation("A", rules=["b"]) + correlation("B", rules=["c"]) + correlation("C", rules=["a"])
    rules = loaded(tmp_path, RULES + circle + correlation("D", rules=["a"]) + correlation("Self", rules=["self"]))
    assert rules.correlations.plans == ()
    reasons = {problem.reason for problem in rules.problems}
    assert any("circle: C > A > B > C" in reason or "circle: A > B > C > A" in reason for reason in reasons)
    assert any("circle: Self > Self" in reason for reason in reasons)
    assert any("'a', which was not loaded" in reason for reason in reasons)
    assert len(rules.problems) == 5


def test_a_tower_of_correlations_is_bounded(tmp_path: Path) -> None:
    """Nine on one another are too many, and so are more than are told of one match."""
    tower = "".join(correlation(f"T{n}", rules=[f"t{n - 1}" if n else "failed"]) for n in range(20))
    wide = "".join(correlation(f"W{n}", rules=["t0"]) for n in range(30))
    rules = loaded(tmp_path, RULES + tower + wide)
    assert all(
        "built on one another" in p.reason or "not loaded" in p.reason or "hears" in p.reason for p in rules.problems
    )
    assert max(plan.depth for plan in rules.correlations.plans) < 8
    assert all(len(feed.above) <= 16 for feeds in rules.correlations.feeds.values() for feed in feeds)


@pytest.mark.parametrize(
    ("kind", "section", "reason"),
    [
        ("absence", {"type": "absence", "condition": None}, "which is of type absence"),
        ("absence", {"type": "new_term", "condition": None, "field": "a"}, "which is of type absence"),
        ("new_term", {"type": "absence", "condition": None}, "which is of type new_term"),
        ("absence", {"type": "value_sum", "condition": {"gte": 3, "field": "a"}}, "tells of none"),
        ("absence", {"type": "value_count", "condition": {"gte": 3, "field": "a"}}, ""),
        ("absence", {"type": "temporal_ordered", "condition": None, "rules": ["inner", "login"]}, ""),
        ("new_term", {"type": "temporal_ordered", "condition": None, "rules": ["inner", "login"]}, ""),
        ("new_term", {"type": "event_count"}, ""),
    ],
)
def test_what_may_refer_to_a_type_that_remembers(
    kind: str, section: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    inner = correlation("Inner", type=kind, condition=None, field="a" if kind == "new_term" else None)
    rules = loaded(tmp_path, RULES + inner + correlation("Outer", **{"rules": ["inner"], **section}))
    assert [problem.reason for problem in rules.problems if reason not in problem.reason] == []
    assert len(rules.problems) == bool(reason)
    assert len(rules.correlations.plans) == 2 - bool(reason)


def test_how_long_is_learned_where_a_rule_does_not_say(tmp_path: Path) -> None:
    new = {"type": "new_term", "condition": None, "field": "a"}
    rules = loaded(
        tmp_path,
        RULES
        + correlation("Short", **new)
        + correlation("Long", **new, timespan="90d")
        + correlation("Never", **new, learning="0s"),
    )
    assert {plan.rule.title: plan.rule.learning for plan in rules.correlations.plans} == {
        "Short": 3_600_000,
        "Long": 7 * 86_400_000,
        "Never": 0,
    }


def test_what_a_correlation_refers_to_alerts_only_where_it_says_so(tmp_path: Path) -> None:
    rules = loaded(
        tmp_path,
        RULES
        + correlation("Quiet", rules=["failed", "login"])
        + correlation("Loud", rules=["login"], generate=True)
        + correlation("Above", rules=["loud", "quiet"], type="temporal", condition=None),
    )
    assert rules.problems == ()
    assert rules.correlations.silent == {"11111111-1111-4111-8111-111111111111", *(
        plan.rule.id for plan in rules.correlations.plans if plan.rule.title in ("Quiet", "Loud")
    )}  # fmt: skip
    assert {plan.rule.title: plan.alone for plan in rules.correlations.plans} == {
        "Quiet": False,
        "Loud": False,
        "Above": True,
    }


def test_the_version_of_a_set_holds_its_correlations(tmp_path: Path) -> None:
    before = loaded(tmp_path, RULES + correlation())
    after = loaded(tmp_path, RULES + correlation(condition={"gte": 4}))
    assert before.version != after.version
    assert before.correlations.plans[0].key != after.correlations.plans[0].key, "it begins anew"
    renamed = loaded(tmp_path, RULES + correlation().replace("title: C", "title: D").replace("name: c", "id: c-1"))
    assert renamed.version != before.version


def test_the_specifications_example_is_read(tmp_path: Path) -> None:
    """The chain at the end of Sigma's specification, with other texts."""
    rules = loaded(
        tmp_path,
        dedent("""\
            title: Failed logins and then one that succeeds
            id: b180ead8-d58f-40b2-ae54-c8940995b9b6
            correlation:
                type: temporal_ordered
                rules: [many_failed, login]
                group-by: [User]
                timespan: 10m
            falsepositives: [Unlikely]
            level: high
            ---
            title: Many failed
            name: many_failed
            correlation:
                type: event_count
                rules: [failed]
                group-by: [User]
                timespan: 10m
                condition: {gte: 10}
            ---
            """)
        + RULES,
    )
    assert rules.problems == ()
    chain = next(plan for plan in rules.correlations.plans if plan.chained)
    assert (chain.rule.level, chain.rule.timespan, chain.depth) == ("high", 600_000, 1)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5 * 10**9),
        ("5", 5 * 10**9),
        (" 0.1 ", 10**8),
        (0.1, 10**8),
        ("-1e3", -(10**12)),
        (10**18, 10**27),
        *[
            (v, None)
            for v in (True, None, "", "five", "1_0", "\u0665", "nan", "inf", 1e400, "1e999", 10**18 + 1, [], {})
        ],
    ],
)
def test_numbers_of_events(value: object, number: int | None) -> None:
    assert billionths(value) == number


def test_a_long_text_of_digits_costs_no_time() -> None:
    assert billionths("9" * 1_000_000) is None
    assert billionths("0." + "1" * 1_000_000) == 111_111_111
