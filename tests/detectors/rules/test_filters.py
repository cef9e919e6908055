"""Filters reach the rules they should, and no other; files of several documents as Sigma 1 wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.rules import RuleSet, load

RULES = """\
title: First
id: first
name: one
logsource: {product: p, category: c}
detection: {s: {a: x}, condition: s}
---
title: Second
id: second
logsource: {product: p}
detection: {s: {a: x}, t: {a: y}, condition: s or t}
---
title: Third
id: third
logsource: {product: q}
detection: {s: {a: x}, condition: s}
"""


def filtering(rules: str, *, source: str = "logsource: {product: p}", condition: str = "not selection") -> str:
    return f"""\
title: Filter
id: filter
{source}
filter:
    rules: {rules}
    selection: {{user|startswith: adm_}}
    condition: {condition}
"""


def found(rules: RuleSet, **event: str) -> list[str]:
    return [match.rule.id for match in rules.match(event, {}, None)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (filtering("[first]"), ["second", "third"]),
        (filtering("[one]"), ["second", "third"]),
        (filtering("First"), ["second", "third"]),
        (filtering("[first, second]"), ["third"]),
        (filtering("[]"), ["third"]),
        (filtering("any"), ["third"]),
        (filtering("any", source="logsource: {category: c}"), ["second", "third"]),
        (filtering("any", source="author: nobody"), []),
        (filtering("[first]", condition="not 1 of sel*"), ["second", "third"]),
        (filtering("[first]") + "---\n" + filtering("[second]").replace("id: filter", "id: other"), ["third"]),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
def test_filters_keep_out_what_they_say(text: str, kept: list[str], apart: bool, tmp_path: Path) -> None:
    """By id, name or title, or all of a log source; in the rules' file (before them) or in one of its own."""
    (tmp_path / "z_rules.yml").write_text(RULES if apart else text + "---\n" + RULES)
    if apart:
        (tmp_path / "mf_filter.yml").write_text(text)
    rules = load([tmp_path])
    assert rules.problems == ()
    assert found(rules, a="x", user="adm_7") == kept
    assert found(rules, a="x", user="p-001") == ["first", "second", "third"]


def test_several_filters_of_one_rule_all_count(tmp_path: Path) -> None:
    second = filtering("[second]").replace("id: filter", "id: other").replace("user|startswith: adm_", "host: lab")
    (tmp_path / "a.yml").write_text("---\n".join([RULES, filtering("[second]"), second]))
    rules = load([tmp_path])
    assert found(rules, a="y", host="ward") == ["second"]
    assert found(rules, a="y", host="lab") == found(rules, a="y", user="adm_1") == []


def test_a_filter_is_part_of_the_version(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(RULES)
    bare = {rule.id: rule.version for rule in load([tmp_path]).rules}
    (tmp_path / "b.yml").write_text(filtering("[first]"))
    with_filter = {rule.id: rule.version for rule in load([tmp_path]).rules}
    assert [name for name in bare if bare[name] != with_filter[name]] == ["first"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (filtering("[fourth]"), "'fourth', which is no rule that was loaded"),
        (filtering("[third]"), "'third', which is a rule of another log source"),
        (filtering("[first]").replace("    rules: [first]\n", ""), "names no rules"),
        (filtering("{a: b}"), "no list of ids"),
        (filtering("[first]", condition="[not selection]"), "one condition"),
        (filtering("[first]", condition="not other"), "'other', which is no detection"),
        (filtering("[first]", source="logsource: {}"), "logsource is empty"),
        (filtering("[first]").replace("title: Filter\n", ""), "title is missing"),
    ],
)
def test_a_filter_that_cannot_be_is_told_and_costs_only_itself(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(RULES)
    (tmp_path / "b.yml").write_text("---\n" + text)
    rules = load([tmp_path])
    (problem,) = rules.problems
    assert (problem.path, problem.line, problem.rule_id) == (str(tmp_path / "b.yml"), 2, "filter")
    assert reason in problem.reason
    assert found(rules, a="x", user="adm_7") == ["first", "second", "third"]


def test_of_several_names_the_missing_one_is_told_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(RULES + "---\n" + filtering("[first, gone]"))
    rules = load([tmp_path])
    assert len(rules.problems) == 1
    assert found(rules, a="x", user="adm_7") == ["second", "third"]


ACTIONS = """\
action: global
title: All
id: all
level: high
logsource: {product: p}
detection: {condition: s}
---
detection: {s: {a: x}}
---
logsource: {service: q}
detection: {s: {a: y}}
level: low
---
action: repeat
detection: {s: {a: z}}
---
action: reset
---
title: Own
id: own
logsource: {product: r}
detection: {s: {a: x}, condition: s}
"""


def test_actions_of_sigma_1(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(ACTIONS)
    rules = load([tmp_path])
    assert rules.problems == ()
    told = [(rule.id, rule.title, rule.level, rule.product, rule.service) for rule in rules.rules]
    assert told == [
        ("all", "All", "high", "p", ""),
        ("all-2", "All", "low", "p", "q"),
        ("all-3", "All", "low", "p", "q"),
        ("own", "Own", "medium", "r", ""),
    ]
    assert [found(rules, a=value) for value in "xyz"] == [["all", "own"], ["all-2"], ["all-3"]]


def test_an_action_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("action: twice\n---\n" + RULES)
    rules = load([tmp_path])
    assert [(problem.line, "global, reset, repeat" in problem.reason) for problem in rules.problems] == [(1, True)]
    assert len(rules.rules) == 3
