"""Processing pipelines of pySigma fit rules to other names, and do nothing that a file should not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detectors.rules import RuleSet, load, starter_rules

RULE = """\
title: Command
id: command
taxonomy: ours
logsource: {product: windows, category: process_creation}
detection:
    selection:
        process_command_line|contains|windash: ' -enc'
        User|expand: '%Administrators%'
        noise: x
    condition: selection
fields: [process_command_line]
"""
MAPPING = """\
name: ours to sigma
priority: 10
vars:
    Administrators: [root, 'adm_*']
transformations:
    - id: names
      type: field_name_mapping
      mapping: {process_command_line: CommandLine, User: [User, user.name]}
      rule_conditions:
          - {type: logsource, product: windows}
    - type: value_placeholders
    - type: drop_detection_item
      field_name_conditions:
          - {type: include_fields, fields: [noise]}
"""


def loaded(folder: Path, *pipelines: str, rule: str = RULE, **more: Any) -> RuleSet:
    (folder / "rule.yml").write_text(rule)
    paths = []
    for number, text in enumerate(pipelines):
        paths.append(folder / f"pipeline{number}.txt")
        paths[-1].write_text(text)
    return load([folder / "rule.yml"], pipelines=paths, **more)


def ids(rules: RuleSet, **event: str) -> list[str]:
    return [match.rule.id for match in rules.match(event, {}, None)]


def test_names_are_mapped_placeholders_filled_and_items_dropped(tmp_path: Path) -> None:
    rules = loaded(tmp_path, MAPPING)
    assert rules.problems == ()
    (rule,) = rules.rules
    assert rule.fields == ("CommandLine",)
    assert ids(rules, CommandLine="p /ENC x", User="root") == ["command"]
    assert ids(rules, CommandLine="p \u2015enc x", **{"user.name": "ADM_7"}) == ["command"]
    assert ids(rules, CommandLine="p /enc x", User="bob") == []
    assert ids(rules, process_command_line="p /enc x", User="root") == []


def test_lists_serve_what_a_pipeline_leaves(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "Administrators.txt").write_text("root\n")
    rules = loaded(tmp_path, MAPPING.replace("    - type: value_placeholders\n", ""), lists=[tmp_path / "lists"])
    assert ids(rules, CommandLine="p -enc x", User="root") == ["command"]


def test_without_a_pipeline_the_rule_is_refused(tmp_path: Path) -> None:
    reasons = [problem.reason for problem in loaded(tmp_path).problems]
    assert len(reasons) == 1
    assert "taxonomy is 'ours'" in reasons[0]
    other = MAPPING.replace("product: windows", "product: linux")
    other = other[: other.index("    - type: value_placeholders")]
    rule = RULE.replace("        User|expand: '%Administrators%'\n", "")
    (problem,) = loaded(tmp_path, other, rule=rule).problems
    assert "no pipeline maps" in problem.reason


def test_pipelines_are_done_in_order_of_priority_and_are_part_of_the_version(tmp_path: Path) -> None:
    rule = RULE.replace("taxonomy: ours\n", "").replace("        User|expand: '%Administrators%'\n", "")
    prefix = "name: p\npriority: {}\ntransformations: [{{type: field_name_prefix, prefix: 'win.'}}]\n"
    first, last = (
        loaded(tmp_path, MAPPING, prefix.format(1), rule=rule),
        loaded(tmp_path, MAPPING, prefix.format(20), rule=rule),
    )
    # With the prefix first, nothing has the names that the mapping knows.
    assert ids(first, **{"win.process_command_line": "p -enc", "win.noise": "x"}) == ["command"]
    assert ids(last, **{"win.CommandLine": "p -enc"}) == ["command"]
    assert len({rules.version for rules in (first, last, loaded(tmp_path, rule=rule))}) == 3


def test_log_sources_conditions_and_failures(tmp_path: Path) -> None:
    pipeline = """\
name: more
transformations:
    - {type: change_logsource, product: ours, category: started}
    - {type: add_condition, conditions: {host: ward}}
    - {type: set_custom_attribute, attribute: mapped, value: "yes"}
"""
    rule = "title: t\nid: t\nlogsource: {product: p}\ndetection: {s: {a: x}, t: {b: y}, condition: s or not t}\n"
    rules = loaded(tmp_path, pipeline, rule=rule)
    (made,) = rules.rules
    assert (made.product, made.category, made.service, made.custom) == ("ours", "started", "", {"mapped": "yes"})
    assert ids(rules, a="x", b="y", host="ward") == ["t"]
    assert ids(rules, a="x", b="y") == ids(rules, a="q", b="y", host="ward") == []
    (problem,) = loaded(tmp_path, "transformations: [{type: rule_failure, message: not here}]", rule=rule).problems
    assert problem.reason == "not here"
    everything = "transformations: [{type: drop_detection_item}]"
    (problem,) = loaded(tmp_path, everything, rule=rule).problems
    assert "nothing is left" in problem.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("transformations: [{type: command_placeholders, command: [touch, PATH]}]", "command_placeholders"),
        ("transformations: [{type: http_placeholders, url: 'http://127.0.0.1:1/'}]", "http_placeholders"),
        ("transformations: [{type: file_placeholders, path: /etc/passwd}]", "file_placeholders"),
        ("transformations: [{type: nest, items: [{type: command_placeholders}]}]", "command_placeholders"),
        ("transformations: [{type: unheard_of}]", "unheard_of"),
        ("transformations: [{type: field_name_mapping}]", "cannot be read"),
        ("transformations: 5", "cannot be read"),
        ("- a", "no map"),
        ("a: [", "YAML"),
    ],
)
def test_a_pipeline_that_cannot_be_used_is_told_and_the_rules_stand(text: str, reason: str, tmp_path: Path) -> None:
    rule = RULE.replace("taxonomy: ours\n", "").replace("        User|expand: '%Administrators%'\n", "")
    rules = loaded(tmp_path, "---\n" + text.replace("PATH", str(tmp_path / "ran")), rule=rule)
    assert [problem.path for problem in rules.problems] == [str(tmp_path / "pipeline0.txt")]
    assert reason in rules.problems[0].reason
    assert len(rules.rules) == 1
    assert not (tmp_path / "ran").exists()


def test_variables_written_in_python_are_not_run(tmp_path: Path) -> None:
    (tmp_path / "vars.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nvars = {{}}\n")
    text = "vars_path: vars.py\nfinalizers: [{type: template, template: x, path: vars.py}]\ntransformations: []"
    rule = RULE.replace("taxonomy: ours\n", "").replace("        User|expand: '%Administrators%'\n", "")
    assert len(loaded(tmp_path, text, rule=rule).rules) == 1
    assert not (tmp_path / "ran").exists()


def test_the_starter_pack_goes_through_none(tmp_path: Path) -> None:
    prefix = "transformations: [{type: field_name_prefix, prefix: 'win.'}]"
    rules = loaded(tmp_path, prefix, beside_starter=True)
    versions = {rule.id: rule.version for rule in rules.rules}
    assert {rule.id: rule.version for rule in starter_rules().rules}.items() <= versions.items()
