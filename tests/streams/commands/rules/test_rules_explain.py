"""An explanation is a tree whose root agrees with the engine, and prints no patient unless asked to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rule_files import changed, write
from test_rules_trial import AUDIT, FHIR, TRAIL

from detectors.rules import RuleSet, load, starter_rules
from streams.commands.rules.fields import events_of
from streams.commands.rules.verdict import as_json, explained, lines
from streams.sources.known import CATALOG


def told(path: Path, record: dict[str, Any], *, show: bool = False, source: str = "auto") -> list[str]:
    (rule,) = load([path]).rules
    read = None if source == "raw" else CATALOG.recognise(record)
    return list(lines(explained(rule, record, read), show_values=show))


def test_the_condition_is_a_tree_over_the_names_of_its_detections(tmp_path: Path) -> None:
    detection = {
        "selection": {"eventSource|endswith": ".amazonaws.com", "eventName|re": "^Stop"},
        "filter_a": {"userIdentity.type": "Root"},
        "filter_b": {"errorCode|exists": True},
        "condition": "selection and not 1 of filter_*",
    }
    path = write(tmp_path, changed(detection=detection))
    assert told(path, {**TRAIL, "errorCode": "AccessDenied"}) == [
        "condition: selection and not 1 of filter_*",
        "false all of",
        "  true  selection",
        "    true  all of",
        '      true  eventSource ends with .amazonaws.com: "cloudtrail.amazonaws.com"',
        '      true  eventName fits the regular expression ^Stop: "StopLogging"',
        "  false not",
        "    true  any of",
        "      false filter_a",
        "        false userIdentity.type is root: the event does not have it",
        "      true  filter_b",
        '        true  errorCode is present: "AccessDenied"',
    ]


def test_it_agrees_with_the_engine_on_every_event_that_ships() -> None:
    for rule in starter_rules().rules:
        for kind, _, event in events_of(rule.custom):
            source = CATALOG.recognise(event)
            verdict = explained(rule, event, source)
            assert verdict.matches == (kind == "positive"), (rule.title, event)
            assert verdict.tree.held == verdict.held
            assert verdict.condition
            assert as_json(verdict, show_values=False)["matches"] == verdict.matches


def test_it_agrees_where_it_does_not_fit(tmp_path: Path) -> None:
    for rule in starter_rules().rules:
        for record in (TRAIL, AUDIT):
            source = CATALOG.recognise(record)
            draft = source.normalise(record)
            found = RuleSet([rule]).match(record, draft.fields, draft.logsource or source.logsource)
            assert explained(rule, record, source).matches == bool(found)


def test_a_patient_is_hidden_where_the_source_knows_one_and_everything_is_where_none_does(tmp_path: Path) -> None:
    detection = {"s": {"entity.what.reference|contains": "synthetic", "action": "R"}, "condition": "s"}
    path = write(tmp_path, changed(logsource=FHIR, detection=detection))
    hidden = "\n".join(told(path, AUDIT))
    assert "synthetic-0001" not in hidden
    assert "hidden: it may identify a patient" in hidden
    assert 'action is r: "R"' in hidden
    assert 'true  entity.what.reference contains synthetic: "Patient/synthetic-0001"' in "\n".join(
        told(path, AUDIT, show=True)
    )
    raw = "\n".join(told(path, AUDIT, source="raw"))
    assert "synthetic-0001" not in raw
    assert '"R"' not in raw


def test_of_many_values_the_one_that_satisfied_comes_first(tmp_path: Path) -> None:
    path = write(tmp_path, changed(detection={"s": {"resources.ARN": "e"}, "condition": "s"}))
    record = {**TRAIL, "resources": [{"ARN": letter} for letter in "abcdefg"]}
    assert told(path, record)[2] == '  true  resources.ARN is e: "e", "a", "b", "c", 3 more'


def test_nothing_in_a_value_moves_a_cursor(tmp_path: Path) -> None:
    path = write(tmp_path, changed(detection={"s": {"eventName|contains": "Stop"}, "condition": "s"}))
    (_, _, line) = told(path, {**TRAIL, "eventName": "Stop\x1b[2J\u202e" + "x" * 500})
    assert line.isprintable()
    assert len(line) < 200
