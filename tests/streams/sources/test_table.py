"""A table's file makes a source that keeps the contract, whatever it maps; each row says what its file says it does."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapped import FHIR_RECORD, RECEIVED, ROWS, example, table, toml

from detectors.rules import RuleSet
from streams.deadletters import DeadLetters
from streams.pipeline import Ingest, Reader
from streams.privacy import Pseudonyms, release
from streams.records import RawRecord
from streams.sources.checks import check_source
from streams.sources.ecs import EXPECTED, FIELDS
from streams.sources.known import Sources
from streams.sources.table import ALWAYS, Table
from streams.sources.table_load import load_table

#: By LOG_ID, read off the example with one's own eyes: UTC, actor, action, category, type, outcome, patients.
SAID = {
    "1001": ("2026-03-01T07:15:00", "synthetic-nurse-7", "read", "database", "access", "success", 1),
    "1002": ("2026-03-01T07:16:30", "synthetic-nurse-7", "update", "database", "change", "success", 1),
    "1003": (
        "2026-03-01T22:58:02",
        "synthetic-doctor-2",
        "emergency-override-start",
        "database",
        "access",
        "success",
        1,
    ),
    "1004": ("2026-10-25T00:30:00", "synthetic-doctor-2", "login", "authentication", "start", "failure", 0),
}


def test_the_example_says_what_it_says() -> None:
    source = example()
    assert {row["LOG_ID"] for row in ROWS} == SAID.keys()
    for row in ROWS:
        draft = source.normalise(row)
        fields = draft.fields
        when = datetime.fromtimestamp(draft.time / 1000, UTC).isoformat().removesuffix("+00:00")
        kinds = (*fields["event.category"], *fields["event.type"])
        said = (when, draft.actor.removeprefix("user:"), fields["event.action"], *kinds, fields["event.outcome"])
        assert (*said, len(draft.patients)) == SAID[row["LOG_ID"]]
        assert draft.id == f"acme-ehr:{row['LOG_ID']}"
        assert draft.address == f"address:{row['WORKSTATION_IP']}"
        assert ("wardwatch.repeated_hour" in fields) == (row["LOG_ID"] == "1004")


def test_no_patient_leaves_the_example() -> None:
    source, pseudonyms = example(), Pseudonyms(bytes(16), "k")
    for row in ROWS:
        event = release(source.normalise(row), source, pseudonyms, fallback_id=str, received=RECEIVED)
        for name in ("PAT_MRN", "PAT_NAME", "PAT_DOB"):
            assert row[name] == "NULL" or row[name] not in repr(event)
        assert "Ada" not in repr(event)
    # The same person in a FHIR record, by the identifier of the same system.
    assert event.patients == ()
    first = release(source.normalise(ROWS[0]), source, pseudonyms, fallback_id=str, received=RECEIVED)
    assert first.patients == (pseudonyms.patient("urn:oid:2.999.1|SYN-000123"),)


def test_what_names_the_patient_is_taken_out_of_what_is_released() -> None:
    source = table('identifies = ["NAME"]\nfields = {"event.reason" = "NOTE"}\nreleased = ["event.reason"]')
    row = {"AT": "2026-03-01T08:00:00Z", "WHO": "synthetic-1", "NAME": "Synthetic, Ada"}
    for note, kept in (("called ada synthetic back", False), ("called back", True)):
        draft = source.normalise({**row, "NOTE": note})
        event = release(draft, source, Pseudonyms(bytes(16), "k"), fallback_id=str, received=RECEIVED)
        assert ("event.reason" in event.fields) is kept


@pytest.mark.parametrize("source", [example(), table()], ids=["example", "small"])
def test_a_table_keeps_the_contract(source: Table) -> None:
    rows: list[Mapping[str, Any]] = [dict(row) for row in ROWS]
    if source.name == "small":
        rows = [{"AT": "2026-03-01T08:00:00Z", "WHO": "synthetic-1"}]
    check_source(source, rows, [FHIR_RECORD, {"eventName": "x", "eventSource": "y"}])


_NAME = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters=" _-."), min_size=1, max_size=12)
_COLUMNS = st.lists(_NAME.filter(lambda n: n.strip() == n and "." not in n), min_size=6, max_size=10, unique=True)
_CELLS = {"text": "synthetic text", "integer": "17", "number": "1.5", "boolean": "yes", "ip": "192.0.2.7"}
_TIMES = {
    "iso": "2026-03-01T08:00:00",
    "unix": "1772352000",
    "unix_ms": 1772352000123,
    "%d.%m.%Y %H:%M": "01.03.2026 08:00",
    "%b %d %Y %I:%M:%S %p": "Mar 01 2026 08:00:00 AM",
    "%Y-%m-%dT%H:%M:%S.%f%z": "2026-03-01T08:00:00.5+0100",
}


@st.composite
def mappings(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A valid file, as TOML gives it, and a row that it reads."""
    columns = draw(_COLUMNS)
    at, who, does, ended, person, *others = columns
    pattern = draw(st.sampled_from(sorted(_TIMES)))
    values = draw(st.lists(_NAME.filter(str.strip), min_size=1, max_size=3, unique_by=lambda v: v.strip().casefold()))
    category = draw(st.sampled_from(sorted(EXPECTED)))
    act = {"action": draw(_NAME.filter(str.strip)), "category": category, "type": sorted(EXPECTED[category])[:2]}
    file: dict[str, Any] = {
        "name": draw(st.from_regex(r"[a-z][a-z._-]{1,20}", fullmatch=True).filter(lambda n: n not in ("auto", "raw"))),
        "topic": draw(st.sampled_from(["audit.ehr", "audit.iot", "audit.cloud"])),
        "recognise": draw(st.one_of(st.just("header"), st.just([at, who, does]))),
        "time": {"column": at, "format": pattern, "skipped": draw(st.sampled_from(["refuse", "shift"]))},
        "actor": {"column": who, "kind": draw(st.sampled_from(["user", "device", "patient"]))},
        "action": {"column": does, "values": dict.fromkeys(values, act)},
        "outcome": {"column": ended, "values": {"ok": "success"}, "otherwise": "failure"},
        "patients": [{"column": person, "reference": True}],
        "identifies": draw(st.sampled_from([[], [others[0]]])),
        "fields": {},
    }
    if pattern in ("iso", "%d.%m.%Y %H:%M", "%b %d %Y %I:%M:%S %p"):
        file["time"]["zone"] = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]))
    row: dict[str, Any] = {
        at: _TIMES[pattern],
        who: "synthetic-7",
        does: values[0],
        ended: "OK",
        person: "synthetic-0001",
    }
    targets = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=len(others), max_size=len(others), unique=True))
    for column, target in zip(others, targets, strict=True):
        file["fields"][target] = draw(st.sampled_from([column, {"column": column, "separator": ";"}]))
        row[column] = _CELLS[FIELDS[target]]
    file["released"] = [
        name for name in file["fields"] if name not in ALWAYS and others[0] not in str(file["fields"][name])
    ]
    if draw(st.booleans()):
        file["id"] = {"columns": [at, who]}
    return file, row


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mappings())
def test_every_valid_file_makes_a_source_that_keeps_the_contract(
    tmp_path_factory: pytest.TempPathFactory, mapping: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    content, row = mapping
    path = tmp_path_factory.mktemp("tables") / "table.toml"
    path.write_text(toml(content))
    found, problems = load_table(path)
    assert found is not None, (problems, content)
    check_source(found, [row], [FHIR_RECORD], frozenset(FIELDS) | ALWAYS | {"event.kind"})


def test_every_field_a_column_may_fill_is_one_of_ecs(outside_data: Path) -> None:
    with (outside_data / "ecs" / "ecs_fields.csv").open() as file:
        kinds = {row["Field"]: row["Type"] for row in csv.DictReader(file)}
    text = {"keyword", "wildcard", "match_only_text"}
    wanted = {"text": text, "integer": {"long"}, "number": {"float"}, "boolean": {"boolean"}, "ip": {"ip"}}
    assert {name for name, type_ in FIELDS.items() if kinds.get(name) not in wanted[type_]} == set()


def test_ingest_takes_rows_and_lines() -> None:
    sources = Sources([example(), table()])
    ingest = Ingest(Reader(RuleSet([]), Pseudonyms(bytes(16), "k")), DeadLetters(bytes(range(32))), sources=sources)

    def sent(value: str, source: str = "") -> tuple[str, str]:
        headers = {"source": source.encode()} if source else {}
        found = ingest.derive(RawRecord("audit.ehr", 0, 7, RECEIVED, value.encode(), headers))
        return found.source, found.outputs[0].topic

    row = json.dumps(ROWS[0])
    assert sent(row) == sent(row, "acme-ehr") == ("acme-ehr", "events")
    line = ",".join(list(ROWS[2].values()))
    assert sent(line.replace("Synthetic, Bob", '"Synthetic, Bob"'), "acme-ehr") == ("acme-ehr", "events")
    assert sent(line, "acme-ehr") == ("", "dead.letters")
    assert sent(line) == ("", "dead.letters")
    assert sent("a,b", "small") == ("", "dead.letters")
    assert sent(row, "acme") == ("", "dead.letters")
