"""FHIR R4 AuditEvents become drafts: every BALP shape and DICOM's own events, their outcome, time and id."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fhir_records import dicom, event
from outside_fhir import EXPECTED, Expected

from streams.sources.base import Source
from streams.sources.ecs import EXPECTED as EXPECTED_TYPES
from streams.sources.fhir import FHIR
from streams.sources.fhir_terms import ACTIONS, INTERACTIONS, LETTERS
from streams.vocabulary import WORDS

_FOLDER = os.environ.get("WARDWATCH_TEST_DATA")
_needs_data = pytest.mark.skipif(not _FOLDER, reason="WARDWATCH_TEST_DATA names no folder with real records")


def _lines(name: str) -> list[dict[str, Any]]:
    assert _FOLDER
    return [json.loads(line) for line in (Path(_FOLDER) / "fhir" / name).read_text("utf-8").splitlines()]


def test_is_a_source() -> None:
    assert isinstance(FHIR, Source)


def test_read_of_an_observation() -> None:
    draft = FHIR.normalise(event())
    assert (draft.id, draft.time, draft.actor) == ("synthetic-1", 1_767_600_000_123, "user:Practitioner/p-001")
    assert draft.patients == ["Patient/synthetic-0001"]
    assert draft.address == "address:192.0.2.7"
    assert {"synthetic-0001", "Patient/synthetic-0001", "Synthetic Patient synthetic-0001"} <= draft.identifiers
    assert draft.fields == {
        "event.kind": "event",
        "event.action": "read",
        "event.category": ["api"],
        "event.type": ["access"],
        "event.outcome": "success",
        "event.provider": "fhir",
        "event.code": "read",
        "wardwatch.interaction": "read",
        "wardwatch.purpose": ["TREAT"],
        "wardwatch.resource": ["Observation"],
        "wardwatch.patient": ["Patient/synthetic-0001"],
        "http.request.id": "request-synthetic-1",
        "observer.name": "synthetic-ehr.hospital.example",
        "user.id": "Practitioner/p-001",
        "source.ip": "192.0.2.7",
    }


@_needs_data
@pytest.mark.outside_data
def test_published_examples() -> None:
    """Each as the table says that was made from the record, not from the code."""
    read: set[str] = set()
    for line in _lines("auditevent_examples.jsonl"):
        record = line["resource"]
        if line["fhir_version"] != "R4":
            continue  # read by sources of their own
        draft, expected = FHIR.normalise(record), EXPECTED[record["id"]]
        fields = draft.fields
        read.add(record["id"])
        assert draft.id == record["id"]
        assert draft.time == datetime.fromisoformat(record["recorded"]).timestamp() * 1000
        assert expected == Expected(
            draft.actor,
            fields["event.action"],
            fields["event.type"][0],
            fields["event.category"][0],
            fields["event.outcome"],
            draft.address,
            tuple(draft.patients),
            tuple(fields.get("wardwatch.resource", ())),
            tuple(fields.get("wardwatch.purpose", ())),
            draft.device,
            {name: fields.get(name) for name in expected.others},
        ), record["id"]
    assert read == EXPECTED.keys()


# -- BALP 1.1 and DICOM, shape by shape -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "action", "category", "type_"),
    [
        (event(interaction="create"), "create", ["api"], ["creation"]),
        (event(interaction="read"), "read", ["api"], ["access"]),
        (event(interaction="vread"), "vread", ["api"], ["access"]),
        (event(interaction="update"), "update", ["api"], ["change"]),
        (event(interaction="patch"), "patch", ["api"], ["change"]),
        (event(interaction="delete"), "delete", ["api"], ["deletion"]),
        (event(interaction="search"), "search", ["api"], ["access"]),
        (event(interaction="search-type"), "search", ["api"], ["access"]),
        (dicom("110106", "disclose"), "disclose", ["database"], ["access"]),
        (dicom("110107", "disclose"), "disclose", ["database"], ["access"]),
        (dicom("110106", "ITI-32"), "export", ["database"], ["access"]),
        (dicom("110113", "AuthZ-Consent"), "consent-decision", ["api"], ["allowed"]),
        (dicom("110113", "AuthZ-Consent", outcome="8"), "consent-decision", ["api"], ["denied"]),
        (dicom("110114", "110122"), "login", ["authentication", "session"], ["start"]),
        (dicom("110114", "110123"), "logout", ["authentication", "session"], ["end"]),
        (dicom("110113", "110127"), "emergency-override-start", ["iam"], ["admin", "change"]),
        (dicom("110113", "110133"), "audit-stop", ["configuration"], ["change"]),
        (dicom("110113", "110134"), "audit-start", ["configuration"], ["change"]),
        (dicom("110100", "110120"), "application-start", ["process"], ["start"]),
        (event(type_code="own", subtype=("http://example.org", "peek", "")), "peek", ["api"], ["access"]),
    ],
)
def test_what_happened(record: dict[str, Any], action: str, category: list[str], type_: list[str]) -> None:
    fields = FHIR.normalise(record).fields
    assert (fields["event.action"], fields["event.category"], fields["event.type"]) == (action, category, type_)


def test_every_word_is_one_that_ecs_allows() -> None:
    meanings = [*INTERACTIONS.values(), *ACTIONS.values()]
    kinds = [(meaning.category, meaning.type) for meaning in meanings] + list(LETTERS.values())
    for categories, types in kinds:
        for category in categories:
            assert {*types} <= EXPECTED_TYPES[category], (categories, types)
    assert {meaning.action for meaning in meanings} <= WORDS
    assert set(FHIR.normalise(event()).fields) <= FHIR.released


@pytest.mark.parametrize(("code", "outcome"), [("0", "success"), ("4", "failure"), ("8", "failure"), ("12", "failure")])
def test_outcome(code: str, outcome: str) -> None:
    assert FHIR.normalise(event(outcome=code)).fields["event.outcome"] == outcome


def test_an_outcome_left_out_is_unknown() -> None:
    record = event()
    del record["outcome"]
    assert FHIR.normalise(record).fields["event.outcome"] == "unknown"


def test_free_text_is_for_rules_and_is_not_released() -> None:
    record = event() | {"outcomeDesc": "refused by consent"}
    assert FHIR.normalise(record).fields["event.reason"] == "refused by consent"
    assert "event.reason" not in FHIR.released


@pytest.mark.parametrize(
    ("recorded", "time"),
    [
        ("2026-01-05T08:00:00Z", 1_767_600_000_000),
        ("2026-01-05T09:00:00+01:00", 1_767_600_000_000),
        ("2026-01-05T08:00:00.123456789Z", 1_767_600_000_123),
        ("2026-01-05t08:00:00z", 1_767_600_000_000),
        ("2026-01-05 03:00:00.5-05:00", 1_767_600_000_500),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999),
        ("1960-01-01T00:00:00.500Z", -315_619_199_500),
    ],
)
def test_times(recorded: str, time: int) -> None:
    assert FHIR.normalise(event() | {"recorded": recorded}).time == time


# -- ids --------------------------------------------------------------------------------------------------------------


def _without_id(**over: Any) -> dict[str, Any]:
    record = event(**over)
    del record["id"]
    return record


def test_a_record_without_id_has_one_from_its_request() -> None:
    first = FHIR.normalise(_without_id()).id
    assert first
    assert first == FHIR.normalise(_without_id()).id


def test_records_of_one_request_have_ids_of_their_own() -> None:
    """The server's, the client's, and that of each patient found."""
    server, client = _without_id(), _without_id()
    client["source"] = {"observer": {"display": "app.example"}}
    drafts = [FHIR.normalise(record) for record in (server, client, _without_id(patient="synthetic-0002"))]
    assert len({draft.id for draft in drafts}) == 3


def test_without_id_and_request_there_is_none() -> None:
    record = _without_id()
    del record["entity"][0]
    assert FHIR.normalise(record).id == ""
