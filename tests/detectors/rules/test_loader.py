"""A broken rule is reported with file, line and reason, and costs only itself."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from detectors.rules import RuleSet, load, starter_rules

GOOD = """\
title: Good
id: 11111111-1111-4111-8111-111111111111
logsource: {product: p}
detection:
    selection: {a: x}
    condition: selection
"""


def loaded(folder: Path, text: str | bytes) -> RuleSet:
    path = folder / "rule.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load([path])


def with_detection(detection: str) -> str:
    head = GOOD[: GOOD.index("detection:")]
    return head + "detection:\n" + indent(dedent(detection), "    ")


REFUSED = {
    "placeholder": ("selection: {'a|expand': '%x%'}\ncondition: selection", "placeholders"),
    "unknown modifier": ("selection: {'a|near': x}\ncondition: selection", "near"),
    "unknown selection": ("selection: {a: x}\ncondition: other", "other"),
    "count of selections": ("s1: {a: x}\ns2: {a: y}\ncondition: 2 of s*", "'1 of', 'any of' or 'all of'"),
    "aggregation": ("selection: {a: x}\ncondition: selection | count() > 5", "pipe"),
    "no condition": ("selection: {a: x}", "condition"),
    "half a condition": ("selection: {a: x}\ncondition: selection and", "its end"),
    "two names": ("selection: {a: x}\ncondition: selection selection", "'and', 'or' or its end"),
    "open bracket": ("selection: {a: x}\ncondition: (selection", "')'"),
    "pattern of nothing": ("selection: {a: x}\ncondition: 1 of other*", "no detection fits"),
    "keyword with startswith": ("selection: {'|startswith': [x, y]}\ncondition: selection", "keyword"),
    "boolean keyword": ("selection: [true]\ncondition: selection", "keyword"),
    "keyword that is a network": ("selection: {'|cidr': 10.0.0.0/8}\ncondition: selection", "name of a field"),
    "cased expression": ("selection: {'a|re|cased': x}\ncondition: selection", "do not go together"),
    "flag without expression": ("selection: {'a|i': x}\ncondition: selection", "do not go together"),
    "contains of null": ("selection: {'a|contains': null}\ncondition: selection", "no text"),
    "encoded wildcard": ("selection: {'a|base64': x*}\ncondition: selection", "wildcard"),
    "encoded nothing": ("selection: {'a|base64offset': ''}\ncondition: selection", "empty"),
    "encoded byte": ("selection: {'a|base64offset|contains': x}\ncondition: selection", "one byte"),
    "UTF-16 that is no text": ("selection: {'a|wide': Größe}\ncondition: selection", "base64"),
    "existence of two kinds": ("selection: {'a|exists': [true, false]}\ncondition: selection", "one boolean"),
    "empty list": ("selection: {a: []}\ncondition: selection", "null"),
    "map as a value": ("selection: {a: {b: x}}\ncondition: selection", "flatten"),
    "compared with a text": ("selection: {'a|lt': many}\ncondition: selection", "number"),
    "reference with a wildcard": ("selection: {'a|fieldref': b*}\ncondition: selection", "wildcard"),
    "no detections": ("condition: selection", "nothing to look for"),
    "bad network": ("selection: {'a|cidr': 10.0.0.1/8}\ncondition: selection", "CIDR"),
    "bad regular expression": ("selection: {'a|re': '(x'}\ncondition: selection", "missing"),
    "lookahead": ("selection: {'a|re': 'a(?!b)'}\ncondition: selection", "RE2"),
    "backreference": ("selection: {'a|re|i': '(a)\\1'}\ncondition: selection", "RE2"),
    "too large when written out": (
        "selection: {'a|re': '((a{1,90}){1,90}){1,90}'}\ncondition: selection",
        "huge counts",
    ),
    "brackets": ("selection: {a: x}\ncondition: " + "(" * 60 + "selection" + ")" * 60, "brackets"),
    "not a number": ("selection: {a: .nan}\ncondition: selection", "number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_evaluated_is_refused(name: str, tmp_path: Path) -> None:
    detection, reason = REFUSED[name]
    rules = loaded(tmp_path, "---\n" + with_detection(detection))
    assert rules.rules == ()
    (problem,) = rules.problems
    assert problem.path == str(tmp_path / "rule.yml")
    assert problem.line == 2
    assert problem.rule_id == "11111111-1111-4111-8111-111111111111"
    assert reason in problem.reason
    assert str(problem).startswith(f"{problem.path}:2: ")


@pytest.mark.parametrize("key", ["correlation", "filter"])
def test_documents_that_are_no_rules_are_refused_and_the_others_stand(key: str, tmp_path: Path) -> None:
    rules = loaded(tmp_path, f"title: Other\n{key}: {{}}\n---\n{GOOD}")
    assert [rule.title for rule in rules.rules] == ["Good"]
    (problem,) = rules.problems
    assert (problem.line, key in problem.reason) == (1, True)


BROKEN = {
    "no yaml": ("title: [", "YAML"),
    "a list": ("- title: x", "no map"),
    "a duplicate key": (GOOD.replace("title: Good", "title: Good\ntitle: Twice"), "twice"),
    "no text": (b"\xff\xfe\x00", "UTF-8"),
    "a tag that would run code": ("!!python/object/apply:os.system ['true']", "YAML value"),
    "too deep": ("a: " + "[" * 5000 + "]" * 5000, "deeper"),
    "too deep on one line": ("- " * 3000 + "x", "deeper"),
    "too large": (b"a" * 1_000_001, "larger"),
    "aliases that multiply": (
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
        "aliases",
    ),
    "an alias to itself": ("a: &a [*a]", "alias"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_cannot_be_read_are_reported(name: str, tmp_path: Path) -> None:
    text, reason = BROKEN[name]
    (tmp_path / "good.yml").write_text(GOOD)
    (tmp_path / "broken.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    rules = load([tmp_path])
    assert [rule.title for rule in rules.rules] == ["Good"]
    (problem,) = rules.problems
    assert problem.path.endswith("broken.yml")
    assert reason in problem.reason


def test_a_syntax_error_does_not_take_what_came_before_it(tmp_path: Path) -> None:
    rules = loaded(tmp_path, GOOD + "---\ntitle: [\n")
    assert len(rules.rules) == len(rules.problems) == 1
    assert rules.problems[0].line is not None
    assert rules.problems[0].line >= 7


def test_a_missing_path_is_a_problem(tmp_path: Path) -> None:
    (problem,) = load([tmp_path / "nowhere.yml"]).problems
    assert "cannot be read" in problem.reason


def test_an_id_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(GOOD)
    (tmp_path / "b.yml").write_text(GOOD.replace("Good", "Copy"))
    rules = load([tmp_path])
    assert [rule.title for rule in rules.rules] == ["Good"]
    assert "a.yml" in rules.problems[0].reason


def test_version_is_of_content_alone(tmp_path: Path) -> None:
    one = loaded(tmp_path, GOOD).version
    assert loaded(tmp_path, "# a comment\n" + GOOD).version == one
    assert loaded(tmp_path, GOOD.replace("{a: x}", "{a: y}")).version != one


def test_metadata(tmp_path: Path) -> None:
    extra = "tags: [attack.t1078.004, attack.persistence, cve.2026-1]\ndate: 2026-01-05\nlevel: high\nown: {k: 1}\n"
    (rule,) = loaded(tmp_path, GOOD + extra).rules
    assert rule.techniques == ("T1078.004",)
    assert rule.tags == ("attack.t1078.004", "attack.persistence", "cve.2026-1")
    assert (rule.level, rule.product, rule.custom, str(rule.date)) == ("high", "p", {"own": {"k": 1}}, "2026-01-05")


def test_a_rule_without_id_or_level_gets_steady_ones(tmp_path: Path) -> None:
    text = GOOD.replace("id: 11111111-1111-4111-8111-111111111111\n", "")
    (one,) = loaded(tmp_path, text).rules
    (other,) = loaded(tmp_path, text.replace("{a: x}", "{a: y}")).rules
    assert one.id == other.id
    assert one.level == "medium"


def test_a_published_rule_takes_the_place_of_any_other_of_its_id(tmp_path: Path) -> None:
    taken = starter_rules().rules[0].id
    (tmp_path / "own.yml").write_text(GOOD)
    texts = {
        "published/a.yml": GOOD.replace("Good", "Published"),
        "published/b.yml": GOOD.replace("Good", "Instead").replace("11111111-1111-4111-8111-111111111111", taken),
        "published/c.yml": GOOD.replace("Good", "Twice"),
    }
    rules = load([tmp_path], beside_starter=True, published=texts)
    assert {rule.title for rule in rules.rules if rule.path.startswith("published/")} == {"Published", "Instead"}
    assert "Good" not in {rule.title for rule in rules.rules}
    assert len(rules.rules) == len(starter_rules().rules) + 1
    assert [problem.path for problem in rules.problems] == ["published/c.yml"]


def test_own_rules_stand_beside_the_starter_pack_and_take_no_id_of_it(tmp_path: Path) -> None:
    starter = starter_rules()
    taken = starter.rules[0].id
    (tmp_path / "own.yml").write_text(GOOD)
    (tmp_path / "taken.yml").write_text(GOOD.replace("11111111-1111-4111-8111-111111111111", taken))
    found = load([tmp_path], beside_starter=True)
    assert [rule.title for rule in found.rules] == [*(rule.title for rule in starter.rules), "Good"]
    assert [(problem.rule_id, problem.path) for problem in found.problems] == [(taken, str(tmp_path / "taken.yml"))]
