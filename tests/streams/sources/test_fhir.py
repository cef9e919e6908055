"""FHIR R4 AuditEvents become drafts: every BALP shape, DICOM's own events, and refusals that say why."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from streams.demo.records import audit_event
from streams.sources.base import BadRecord, Source
from streams.sources.fhir import FHIR

_FOLDER = os.environ.get("WARDWATCH_TEST_DATA")
_needs_data = pytest.mark.skipif(not _FOLDER, reason="WARDWATCH_TEST_DATA names no folder with real records")


def _event(**over: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "id": "synthetic-1",
        "time": 1_767_600_000_123,
        "interaction": "read",
        "staff": "p-001",
        "address": "192.0.2.7",
        "patient": "synthetic-0001",
    }
    return audit_event(**(arguments | over))


def _lines(name: str) -> list[dict[str, Any]]:
    assert _FOLDER
    return [json.loads(line) for line in (Path(_FOLDER) / "fhir" / name).read_text("utf-8").splitlines()]


def test_is_a_source() -> None:
    assert isinstance(FHIR, Source)


def test_read_of_an_observation() -> None:
    draft = FHIR.normalise(_event())
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
        "source.address": "192.0.2.7",
    }


@_needs_data
@pytest.mark.outside_data
def test_published_examples() -> None:
    read = 0
    for line in _lines("auditevent_examples.jsonl"):
        record = line["resource"]
        if line["fhir_version"] == "R4":
            draft = FHIR.normalise(record)
            read += 1
            assert draft.time == datetime.fromisoformat(record["recorded"]).timestamp() * 1000
            assert draft.fields["event.outcome"] == ("success" if record["outcome"] == "0" else "failure")
            assert draft.actor.partition(":")[2]
        else:
            with pytest.raises(BadRecord, match=line["fhir_version"]):
                FHIR.normalise(record)
    assert read == 28


@_needs_data
@pytest.mark.outside_data
def test_the_draft_shape_of_r5_is_refused_by_name() -> None:
    for record in _lines("auditevent_xes_r5draft.jsonl"):
        with pytest.raises(BadRecord, match="R5"):
            FHIR.normalise(record)
