"""The events inside rules are tried as the stream tries them, and what fails says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rule_files import GOOD, changed, write

from streams.commands.rules.papers import starter_folder
from streams.commands.rules.trial import as_junit, failures, try_rules
from streams.sources.known import CATALOG

TRAIL = GOOD["wardwatch"]["tests"]["positive"][0]
#: Synthetic, like everybody in it.
AUDIT: dict[str, Any] = {
    "resourceType": "AuditEvent",
    "type": {"code": "rest"},
    "action": "R",
    "recorded": "2026-01-05T08:00:00Z",
    "outcome": "0",
    "agent": [{"who": {"reference": "Practitioner/synthetic-1"}, "requestor": True}],
    "source": {"observer": {"reference": "Device/ehr-1"}},
    "entity": [{"what": {"reference": "Patient/synthetic-0001"}, "type": {"code": "1"}, "role": {"code": "1"}}],
}
FHIR = {"product": "fhir", "service": "auditevent"}


def events(positive: list[Any], negative: list[Any]) -> dict[str, Any]:
    return {"response": "Ask.", "tests": {"positive": positive, "negative": negative}}


def test_the_starter_pack_passes() -> None:
    tried = try_rules([starter_folder()], CATALOG)
    assert len(tried.trials) > 90
    assert list(failures(tried)) == []
    # What correlations count is tried by their courses, in tests/detectors/rules/test_correlation_pack.py.
    assert [rule.path for rule in tried.untried if not rule.path.endswith("correlations/acts.yml")] == []


def test_what_fails_is_told_with_its_line_and_the_answer_that_decided(tmp_path: Path) -> None:
    rule = changed(wardwatch=events([{**TRAIL, "eventName": "GetTrail"}], [TRAIL]))
    path = write(tmp_path, rule)
    tried = try_rules([path], CATALOG)
    assert [(trial.name, trial.how, trial.why) for trial in tried.trials] == [
        ("positive 1", "cloudtrail", "it does not match"),
        ("negative 1", "cloudtrail", "it matches"),
    ]
    told = list(failures(tried))
    first = tried.trials[0]
    assert told[0] == f"{path}:{first.line}: {rule['title']}: positive 1 (cloudtrail): it does not match"
    assert "eventSource" in path.read_text().splitlines()[first.line - 1]
    assert any('false eventName is stoplogging: "GetTrail"' in line for line in told)


def test_a_rule_on_ecs_is_tried_through_its_source_and_never_as_it_stands(tmp_path: Path) -> None:
    rule = changed(detection={"s": {"event.action": "StopLogging"}, "condition": "s"})
    path = write(tmp_path, rule)
    assert all(trial.passed for trial in try_rules([path], CATALOG).trials)
    assert [trial.passed for trial in try_rules([path], CATALOG, "raw").trials] == [False, True]


def test_an_event_of_another_log_source_is_no_match_and_says_so(tmp_path: Path) -> None:
    rule = changed(detection={"s": {"event.kind": "event"}, "condition": "s"}, wardwatch=events([AUDIT], [AUDIT]))
    positive, negative = try_rules([write(tmp_path, rule)], CATALOG).trials
    assert not positive.passed
    assert positive.why == (
        "it does not match: the rule asks for product: aws, service: cloudtrail, and the event is of product: fhir, "
        "service: auditevent, category: ehr (source fhir)"
    )
    assert negative.passed


def test_a_rule_whose_log_source_nothing_sends_is_tried_as_it_stands(tmp_path: Path) -> None:
    rule = changed(
        logsource={"product": "windows"},
        detection={"s": {"Image|endswith": "\\x.exe"}, "condition": "s"},
        wardwatch=events([{"Image": "C:\\x.exe"}], [{"Image": "C:\\y.exe"}]),
    )
    trials = try_rules([write(tmp_path, rule)], CATALOG).trials
    assert [(trial.passed, trial.how) for trial in trials] == [(True, "raw"), (True, "raw")]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ("text", "the event is no map"),
        ({"a": 1}, "the event cannot be read: the record has the shape of no source known here"),
        ({**TRAIL, "eventTime": "noon"}, "the event cannot be read: eventTime"),
    ],
)
def test_an_event_that_cannot_be_read_fails(event: Any, why: str, tmp_path: Path) -> None:
    trials = try_rules([write(tmp_path, changed(wardwatch=events([event], [])))], CATALOG).trials
    assert not trials[0].passed
    assert trials[0].why.startswith(why)


def test_a_patient_stays_out_of_what_is_printed(tmp_path: Path) -> None:
    rule = changed(
        logsource=FHIR,
        detection={"s": {"entity.what.reference": "Patient/x"}, "condition": "s"},
        wardwatch=events([AUDIT], []),
    )
    tried = try_rules([write(tmp_path, rule)], CATALOG)
    assert "synthetic-0001" not in "\n".join(failures(tried)) + as_junit(tried)


def test_junit_counts_and_says_why(tmp_path: Path) -> None:
    write(tmp_path, changed(wardwatch=events([{**TRAIL, "eventName": "GetTrail"}], [])), name="a.yml")
    (tmp_path / "b.yml").write_text("title: no rule\n")
    root = ElementTree.fromstring(as_junit(try_rules([tmp_path], CATALOG)))
    suites = {suite.get("name"): suite for suite in root}
    assert suites[GOOD["title"]].get("failures") == "1"
    failure = suites[GOOD["title"]].find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "it does not match"
    assert "eventName" in (failure.text or "")
    assert suites[str(tmp_path / "b.yml")].find("testcase/error") is not None


COURSE = """\
title: Silent
id: 0f5f3c9e-5a2c-4c1e-8a52-3d1d5d1f6a10
correlation: {type: absence, rules: [read], group-by: [user.id], timespan: 10m}
wardwatch:
    tests:
        positive:
            - [%s, %s]
            - nothing
            - [%s, {a: 1}]
        negative:
            - [%s, {repeat: 3, event: %s}]
            - [{repeat: 0, event: {}}]
---
title: Read
name: read
logsource: {product: fhir, service: auditevent}
detection: {selection: {event.action: read}, condition: selection}
---
title: Nobody hears it
name: unheard
logsource: {product: nobody}
detection: {selection: {a: 1}, condition: selection}
---
title: Over what nobody sends
correlation: {type: absence, rules: [unheard], timespan: 10m}
wardwatch: {tests: {positive: [[{a: 1}]]}}
"""


def test_a_correlation_is_tried_by_its_courses(tmp_path: Path) -> None:
    """Two readers ten minutes apart: the first is silent by then. Each course that is none says why."""
    read = {**AUDIT, "subtype": [{"code": "read"}]}
    other = {**read, "agent": [{"who": {"reference": "Practitioner/synthetic-2"}, "requestor": True}]}
    later = {**other, "recorded": "2026-01-05T08:10:00Z"}
    soon = {**read, "recorded": "2026-01-05T08:09:{n}Z"}
    (tmp_path / "c.yml").write_text(COURSE % tuple(map(json.dumps, (read, later, read, read, soon))))
    tried = try_rules([tmp_path], CATALOG)
    assert tried.rules.problems == ()
    assert [(trial.name, trial.how, trial.why.partition(": fhir,")[0]) for trial in tried.trials] == [
        ("positive 1", "course", ""),
        ("positive 2", "course", "it is no course; write a list of events"),
        (
            "positive 3",
            "course",
            "event 2 of the course cannot be read: the record has the shape of no source known here",
        ),
        ("negative 1", "course", ""),
        ("negative 2", "course", "a step is to be repeated a number of times, 1 to 10000, and needs an event"),
    ]
    assert [rule.title for rule in tried.untried] == ["Read", "Nobody hears it", "Over what nobody sends"]


def test_a_course_that_is_told_otherwise_fails(tmp_path: Path) -> None:
    read = {**AUDIT, "subtype": [{"code": "read"}]}
    text = COURSE % tuple(map(json.dumps, (read,) * 5))
    (tmp_path / "c.yml").write_text(text.replace("type: absence", "type: new_term, learning: 0d, field: source.ip"))
    assert try_rules([tmp_path], CATALOG).trials[0].why == "it does not tell of the course"
    (tmp_path / "c.yml").write_text(text.replace("type: absence", "type: event_count, condition: {gte: 4}"))
    assert try_rules([tmp_path], CATALOG).trials[3].why == "it tells of the course"
