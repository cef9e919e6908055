"""What rules new drafts passes rules check and rules test, and holds no patient of the event it came from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from rule_files import GOOD
from test_rules_trial import AUDIT

from detectors.rules import starter_rules
from streams.commands.rules.check import check
from streams.commands.rules.drafting import Drafted, NotDrafted, draft_rule, file_name
from streams.commands.rules.fields import events_of
from streams.commands.rules.report import exit_code
from streams.commands.rules.trial import failures, try_rules
from streams.demo.hospital import Hospital
from streams.sources.base import BadRecord
from streams.sources.known import CATALOG


def drafted(record: dict[str, Any], fields: Sequence[str] = (), **more: Any) -> Drafted:
    return draft_rule(
        record, CATALOG, source="auto", title="Synthetic thing seen", rule_id=str(uuid4()), today=dt.date(2026, 1, 5),
        fields=fields, **more,
    )  # fmt: skip


def records() -> list[dict[str, Any]]:
    shipped = [
        event for rule in starter_rules().rules for kind, _, event in events_of(rule.custom) if kind == "positive"
    ]
    demo = zip(
        Hospital(seed=3, staff=20, patients=50).traffic(1_760_000_000_000, per_second=20), range(40), strict=False
    )
    return [*shipped, *(emission.record for emission, _ in demo)]


def test_each_passes_check_and_test(tmp_path: Path) -> None:
    for number, record in enumerate(records()):
        before = deepcopy(record)
        made = drafted(record)
        assert record == before
        path = tmp_path / f"{number}_{file_name('Synthetic thing seen')}"
        path.write_text(made.text)
    tried = try_rules([tmp_path], CATALOG)
    assert list(failures(tried)) == []
    assert {trial.kind for trial in tried.trials} == {"positive", "negative"}
    found = check([tmp_path], CATALOG)
    assert exit_code([one for one in found if one.code != "WR303"]) == 0, found  # several events, one detection


def test_no_patient_of_the_event_is_in_it() -> None:
    event = {
        **AUDIT,
        "entity": [
            {
                "what": {"reference": "Patient/synthetic-4711", "display": "Synthetic Name"},
                "type": {"code": "1"},
                "role": {"code": "1"},
                "name": "Synthetic Name",
            }
        ],
    }
    made = drafted(event, ["entity.type.code", "event.action"])
    assert "4711" not in made.text
    assert "Synthetic Name" not in made.text
    with pytest.raises(NotDrafted, match=r"entity\.what\.reference holds what identifies a patient"):
        drafted(event, ["entity.what.reference"])


def test_a_patient_whom_the_source_needs_is_replaced() -> None:
    record = {
        "schema": "wardwatch.device/1",
        "time": "2026-01-05T08:00:00Z",
        "device": {"id": "pump-1", "type": "infusion-pump"},
        "event": "alarm",
        "action": "occlusion",
        "patient": "Patient/synthetic-4711",
    }
    made = drafted(record, ["action"])
    assert "4711" not in made.text
    with pytest.raises(NotDrafted, match="holds what identifies a patient"):
        drafted(record, ["patient"])


def test_the_event_is_cut_down_to_what_the_rule_needs() -> None:
    big = {
        **GOOD["wardwatch"]["tests"]["positive"][0],
        "requestParameters": {"name": "x", "a": [1, {"b": 2}]},
        "awsRegion": "r",
    }
    tests = yaml.safe_load(drafted(big).text)["wardwatch"]["tests"]
    assert tests["positive"] == [GOOD["wardwatch"]["tests"]["positive"][0]]
    assert yaml.safe_load(drafted(big, ["requestParameters.a.b"]).text)["wardwatch"]["tests"]["positive"][0][
        "requestParameters"
    ] == {"a": [1, {"b": 2}]}


def test_wildcards_of_a_value_mean_themselves() -> None:
    record = {**GOOD["wardwatch"]["tests"]["positive"][0], "userAgent": "a*b?c\\*"}
    made = drafted(record, ["userAgent"])
    (event,) = yaml.safe_load(made.text)["wardwatch"]["tests"]["positive"]
    assert event["userAgent"] == "a*b?c\\*"
    assert yaml.safe_load(made.text)["detection"]["selection"]["userAgent"] == "a\\*b\\?c\\\\\\*"


@pytest.mark.parametrize(
    ("fields", "why"),
    [(["nowhere"], "no value under nowhere"), (["requestParameters"], "no value under requestParameters")],
)
def test_what_cannot_be_asked_about_is_told(fields: list[str], why: str) -> None:
    record = {**GOOD["wardwatch"]["tests"]["positive"][0], "requestParameters": {"name": "x"}}
    with pytest.raises(NotDrafted, match=why):
        drafted(record, fields)


def test_an_event_of_no_source_is_refused() -> None:
    with pytest.raises(BadRecord):
        drafted({"a": 1})


def test_a_failure_is_asked_about() -> None:
    record = {**GOOD["wardwatch"]["tests"]["positive"][0], "errorCode": "AccessDenied"}
    made = drafted(record, level="low", author="Synthetic Author")
    document = yaml.safe_load(made.text)
    assert document["detection"]["selection"]["event.outcome"] == "failure"
    assert (document["level"], document["author"], made.source) == ("low", "Synthetic Author", "cloudtrail")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Trail stopped", "trail_stopped.yml"),
        ("../../etc", "etc.yml"),
        ("ÜÖ", "rule.yml"),
        ("x" * 200, "x" * 80 + ".yml"),
    ],
)
def test_a_title_becomes_a_file_s_name(title: str, name: str) -> None:
    assert file_name(title) == name
