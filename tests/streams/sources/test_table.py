"""A table's file makes a source that keeps the contract, whatever it maps; each row says what its file says it does."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detectors.rules import RuleSet
from streams.commands.sources import check
from streams.deadletters import DeadLetters
from streams.pipeline import Ingest, Reader
from streams.privacy import Pseudonyms, release
from streams.records import RawRecord
from streams.sources import catalog
from streams.sources.base import BadRecord, Draft
from streams.sources.checks import check_source
from streams.sources.ecs import EXPECTED, FIELDS
from streams.sources.known import Sources, load_sources
from streams.sources.table import ALWAYS, Table
from streams.sources.table_file import Column, TableFile
from streams.sources.table_load import load_table, load_tables
from streams.sources.time_patterns import PARTS

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "tables" / "acme-ehr.toml"
ROWS = list(csv.DictReader(EXAMPLE.with_suffix(".csv").read_text().splitlines(), delimiter=";"))
RECEIVED = 1_795_000_000_000
FHIR_RECORD = {"resourceType": "AuditEvent", "id": "x"}

SMALL = """
name = "small"
recognise = ["AT", "WHO"]
time = {column = "AT"}
actor = {column = "WHO"}
action = {otherwise = {action = "read", category = "database", type = "access"}}
"""


def table(text: str = "", base: str = SMALL) -> Table:
    """The source of ``base`` with the keys of ``text`` beside or instead of its own."""
    return Table(TableFile.model_validate({**tomllib.loads(base), **tomllib.loads(text)}))


def example() -> Table:
    found, problems = load_table(EXAMPLE)
    assert found is not None, problems
    return found


def read(text: str, **row: Any) -> Draft:
    return table(text).normalise({"AT": "2026-03-01T08:00:00Z", "WHO": "synthetic-1", **row})


def refusal(text: str, **row: Any) -> str:
    with pytest.raises(BadRecord) as caught:
        read(text, **row)
    return str(caught.value)


# --- the worked example -----------------------------------------------------------------------------------------------

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


# --- any valid file ---------------------------------------------------------------------------------------------------

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


def toml(content: dict[str, Any]) -> str:
    """``content`` as TOML: every value inline, where JSON's strings are TOML's."""

    def inline(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {inline(child)}" for key, child in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(inline, value)) + "]"
        return json.dumps(value)

    return "\n".join(f"{key} = {inline(value)}" for key, value in content.items())


# --- times ------------------------------------------------------------------------------------------------------------

BERLIN = 'time = {column = "AT", format = "%d.%m.%Y %H:%M", zone = "Europe/Berlin"'


@pytest.mark.parametrize(
    ("more", "text", "utc"),
    [
        ("}", "01.07.2026 12:00", "2026-07-01T10:00"),
        ("}", "01.01.2026 12:00", "2026-01-01T11:00"),
        ("}", "25.10.2026 02:30", "2026-10-25T00:30"),
        (', repeated = "later"}', "25.10.2026 02:30", "2026-10-25T01:30"),
        (', repeated = "refuse"}', "25.10.2026 02:30", "came twice in Europe/Berlin"),
        ("}", "29.03.2026 02:30", "never was in Europe/Berlin"),
        (', skipped = "shift"}', "29.03.2026 02:30", "2026-03-29T01:30"),
        ("}", "29.03.2026 03:00", "2026-03-29T01:00"),
        ("}", "31.02.2026 12:00", "no time of the format"),
        ("}", "2026-03-01T08:00:00Z", "no time of the format"),
    ],
)
def test_a_local_time_is_one_of_its_zone(more: str, text: str, utc: str) -> None:
    if not utc.startswith("2026"):
        assert utc in refusal(BERLIN + more, AT=text)
        return
    draft = read(BERLIN + more, AT=text)
    assert datetime.fromtimestamp(draft.time / 1000, UTC).isoformat() == f"{utc}:00+00:00"
    assert draft.fields.get("wardwatch.repeated_hour", False) == text.startswith("25.10.2026 02")


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2037, 1, 1)),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"]),
)
def test_a_moment_written_locally_is_read_back(moment: datetime, zone: str) -> None:
    """Whatever the zone did: one of the two readings of a local time is the moment that wrote it."""
    utc = moment.replace(microsecond=0, tzinfo=UTC)
    text = utc.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")
    times = {
        read(f'time = {{column = "AT", zone = "{zone}", repeated = "{which}"}}', AT=text).time
        for which in ("earlier", "later")
    }
    assert round(utc.timestamp() * 1000) in times


@pytest.mark.parametrize(
    ("format", "text", "ms"),
    [
        ("iso", "2026-03-01T08:00:00.1234567+01:00", 1772348400123),
        ("iso", "2026-03-01T08:00:00z", 1772352000000),
        ("unix", "1772352000.5", 1772352000500),
        ("unix", 1772352000, 1772352000000),
        ("unix_ms", 1772352000123, 1772352000123),
        ("%d/%b/%Y:%H:%M:%S %z", "01/Mar/2026:08:00:00 +0100", 1772348400000),
        ("iso", "2026-03-01", None),
        ("iso", "2026-03-01T08:00:00", None),
        ("unix", "-1", None),
        ("unix", "nan", None),
        ("unix_ms", "1e300", None),
        ("unix", True, None),
    ],
)
def test_a_time_with_an_offset_needs_no_zone(format: str, text: Any, ms: int | None) -> None:
    keys = f'time = {{column = "AT", format = "{format}"}}'
    if ms is None:
        assert "column AT" in refusal(keys, AT=text)
    else:
        assert read(keys, AT=text).time == ms


# --- values -----------------------------------------------------------------------------------------------------------

F = 'fields = {"%s" = %s}\nreleased = ["%s"]'


@pytest.mark.parametrize(
    ("field", "column", "cell", "value"),
    [
        ("source.ip", '"C"', "2001:DB8::9", "2001:db8::9"),
        ("source.ip", '"C"', "workstation-9", "no IP address"),
        ("source.ip", '{column = "C", unreadable = "leave out"}', "workstation-9", None),
        ("source.port", '"C"', "443", 443),
        ("source.port", '"C"', 443, 443),
        ("source.port", '"C"', "44_3", "no whole number"),
        ("source.port", '"C"', str(2**63), "no whole number"),
        ("event.risk_score", '"C"', "inf", "no number"),
        ("wardwatch.vip", '{column = "C", type = "boolean"}', "Y", True),
        ("wardwatch.vip", '{column = "C", type = "boolean"}', False, False),
        ("wardwatch.vip", '{column = "C", type = "boolean"}', "perhaps", "no yes or no"),
        ("user.roles", '{column = "C", separator = ";"}', "nurse; clerk ;", ["nurse", "clerk"]),
        ("user.roles", '{column = "C", separator = ";"}', ["nurse", 7], ["nurse", "7"]),
        ("user.name", '"C"', ["a", "b"], "a"),
        ("user.name", '{column = "C", longest = 3}', "four", "4 characters, and 3 are taken"),
        ("user.name", '{column = "C", values = {A = "Alpha"}}', " a ", "Alpha"),
        ("user.name", '{column = "C", values = {A = "Alpha"}}', "B", "values lacks"),
        ("user.name", '"C"', {"x": 1}, "no text and no number"),
        ("user.name", '"C"', None, None),
        ("user.name", '"C.x"', None, None),
    ],
)
def test_a_cell_is_what_its_field_wants(field: str, column: str, cell: Any, value: Any) -> None:
    keys = F % (field, column, field)
    if isinstance(value, str) and value not in ("2001:db8::9", "a", "Alpha"):
        assert value in refusal(keys, C=cell)
    else:
        assert read(keys, C=cell).fields.get(field) == value


def test_a_column_may_lie_within_an_object() -> None:
    draft = table('actor = {column = "user.id"}').normalise({"AT": "2026-03-01T08:00:00Z", "user": {"id": 4711}})
    assert draft.actor == "user:4711"


@pytest.mark.parametrize(
    ("keys", "row", "entities"),
    [
        ('actor = {column = "WHO", otherwise = "batch"}', {"WHO": ""}, ("user:batch", "", [])),
        ('actor = {column = "WHO", kind = "device"}', {}, ("device:synthetic-1", "device:synthetic-1", [])),
        ('actor = {column = "WHO", kind = "patient"}', {}, ("patient:synthetic-1", "", ["synthetic-1"])),
        (
            'actor = {column = "WHO", kind = "patient"}\npatients = [{column = "WHO", reference = true}]',
            {},
            ("patient:Patient/synthetic-1", "", ["Patient/synthetic-1"]),
        ),
        ('fields = {"device.id" = "D"}', {"D": "pump-1"}, ("user:synthetic-1", "device:pump-1", [])),
        ('patients = [{column = "P", separator = "|"}]', {"P": "a1|b2|a1"}, ("user:synthetic-1", "", ["a1", "b2"])),
    ],
)
def test_a_row_names_its_entities(keys: str, row: dict[str, str], entities: tuple[str, str, list[str]]) -> None:
    draft = read(keys, **row)
    assert (draft.actor, draft.device, draft.patients) == entities


def test_a_line_is_read_by_the_columns_named() -> None:
    source = example()
    line = ",".join(f'"{value}"' if "," in value else value for value in list(ROWS[0].values())[:11]) + ',"a ""b"", c"'
    assert source.normalise({"message": line + "\r\n"}) == source.normalise({**ROWS[0], "COMMENT": 'a "b", c'})
    with pytest.raises(BadRecord, match="2 values where the table has 12 columns"):
        source.normalise({"message": "1001,x"})
    with pytest.raises(BadRecord, match="a quote is not closed"):
        source.normalise({"message": '1001,"x'})


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "key", "reason"),
    [
        ('name = "auto"', "name", "means something else"),
        ('name = "Ehr"', "name", "match"),
        ('topic = "events"', "topic", "audit.ehr"),
        ('colums = ["A"]', "colums", "did you mean columns?"),
        ('time = {column = "AT", zome = "UTC"}', "time.zome", "did you mean zone?"),
        ('time = {column = "AT", format = "%d.%m.%Y %H:%M"}', "time.zone", "is missing"),
        ('time = {column = "AT", format = "unix", zone = "UTC"}', "time.zone", "is idle"),
        ('time = {column = "AT", zone = "CEST"}', "time.zone", "no zone of IANA's"),
        ('time = {column = "AT", zone = "../etc/passwd"}', "time.zone", "no zone of IANA's"),
        ('time = {column = "AT", format = "%d.%m. %H:%M", zone = "UTC"}', "time.format", "no whole date"),
        ('time = {column = "AT", format = "%d.%m.%Y", zone = "UTC"}', "time.format", "no time of day"),
        ('time = {column = "AT", format = "%c", zone = "UTC"}', "time.format", "has %c"),
        ('time = {column = "AT", format = "%d.%m.%Y %H:%M %d", zone = "UTC"}', "time.format", "twice"),
        ('time = {column = "AT", format = "DD.MM.YYYY", zone = "UTC"}', "time.format", "neither iso"),
        ("actor = {}", "actor.column", "is missing"),
        ('action = {column = "A"}', "action", "neither values nor otherwise"),
        ('action = {otherwise = {category = "database", type = "access"}}', "action.otherwise.action", "no column"),
        (
            'action = {otherwise = {action = "x", category = "datbase", type = "access"}}',
            "action.otherwise.category",
            "did you mean database?",
        ),
        (
            'action = {otherwise = {action = "x", category = "database", type = "deletion"}}',
            "action.otherwise.type",
            "only access, change, error, info",
        ),
        (
            '[action]\ncolumn = "A"\n[action.values]\nx = {category = "web", type = "info"}\n'
            'X = {category = "web", type = "info"}',
            "action.values.X",
            "there twice",
        ),
        ("outcome = {}", "outcome", "neither column nor otherwise"),
        ('outcome = {column = "A"}', "outcome.values", "what do the values of A mean?"),
        ('outcome = {column = "A", values = {x = "good"}}', "outcome.values.x", "success"),
        ('patients = [{column = "P", system = "s", reference = true}]', "patients.0", "not both"),
        ('fields = {"user.nmae" = "A"}', "fields.user.nmae", "did you mean user.name?"),
        ('fields = {"user.id" = "A"}', "fields.user.id", "the key actor says"),
        ('fields = {"wardwatch.patient" = "A"}', "fields.wardwatch.patient", "the key patients says"),
        ('fields = {"wardwatch.timely" = "A"}', "fields.wardwatch.timely", "Wardwatch itself"),
        ('fields = {"source.ip" = {column = "A", type = "text"}}', "fields.source.ip.type", "is ip in ECS"),
        ('fields = {"source.ip" = {column = "A", values = {}}}', "fields.source.ip.values", "is ip"),
        ('constants = {"event.kind" = "x"}', "constants.event.kind", "no field of ECS that a column may fill"),
        ('constants = {"source.port" = "x"}', "constants.source.port", "is integer in ECS"),
        ('released = ["user.name"]', "released", "filled by nothing"),
        ('released = ["user.id"]', "released", "always is"),
        (
            'identifies = ["A"]\nfields = {"user.name" = "A"}\nreleased = ["user.name"]',
            "released",
            "identifies a patient",
        ),
        ('columns = ["AT", "WHOM"]', "actor.column", "did you mean WHOM?"),
        ('columns = ["AT", "AT", "WHO"]', "columns", "twice"),
        ('delimiter = "\\""', "delimiter", "cannot be a quote"),
        ("recognise = []", "recognise", "at least 1"),
        ("time = {", "", "is no TOML"),
    ],
)
def test_a_mistake_is_told_by_key_and_reason(tmp_path: Path, keys: str, key: str, reason: str) -> None:
    path = tmp_path / "table.toml"
    if keys.endswith("{"):
        path.write_text(keys)
    else:
        path.write_text(toml({**tomllib.loads(SMALL), **tomllib.loads(keys)}))
    found, problems = load_table(path)
    assert found is None
    told = [problem for problem in problems if problem.key.startswith(key) and reason in problem.reason]
    assert told, problems
    assert str(told[0]).startswith(f"{path}: ")


def test_every_mistake_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text(
        SMALL + 'released = ["user.nam"]\n[fields]\n"user.nmae" = "A"\n"source.ip" = {column = "B", type = "text"}'
    )
    _, problems = load_table(path)
    assert [problem.key for problem in problems] == ["fields.user.nmae", "fields.source.ip.type", "released"]


def test_a_folder_s_good_files_are_taken_beside_the_bad(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(SMALL)
    (tmp_path / "b.toml").write_text(SMALL)
    (tmp_path / "c.toml").write_text(SMALL.replace('"small"', '"other"'))
    (tmp_path / "d.toml").write_text(SMALL.replace('"small"', '"fhir"'))
    (tmp_path / "e.toml").write_text(SMALL.replace('"small"', '"wide"').replace('"WHO"]', '"WHO", "MORE"]'))
    tables, problems = load_tables([tmp_path, tmp_path / "none.toml"], ["fhir"])
    assert [found.name for found in tables] == ["small", "wide"]
    assert [(Path(problem.file).name, problem.key) for problem in problems] == [
        ("b.toml", "name"),
        ("c.toml", "recognise"),
        ("d.toml", "name"),
        ("none.toml", ""),
    ]


def test_a_table_s_rows_are_found_after_the_catalog_s(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(SMALL)
    (tmp_path / "b.toml").write_text(SMALL.replace('"small"', '"wide"').replace('"WHO"]', '"WHO", "MORE"]'))
    (tmp_path / "c.toml").write_text(SMALL.replace('"small"', '"named"').replace('["AT", "WHO"]', '"header"'))
    sources, problems = load_sources([tmp_path])
    assert not problems
    assert sources.recognise({"AT": 1, "WHO": 2}).name == "small"
    assert sources.recognise({"AT": 1, "WHO": 2, "MORE": 3}, "audit.ehr").name == "wide"
    assert sources.recognise({"AT": 1, "WHO": 2, "resourceType": "AuditEvent"}).name == "fhir"
    assert sources.by_name("named").name == "named"
    with pytest.raises(BadRecord, match="no source known here"):
        sources.recognise({"AT": 1, "WHO": 2}, "audit.iot")
    with pytest.raises(ValueError, match="did you mean small"):
        sources.by_name("smal")
    assert [source.name for source in Sources()] == [source.name for source in catalog.SOURCES]


def test_every_field_a_column_may_fill_is_one_of_ecs(outside_data: Path) -> None:
    with (outside_data / "ecs" / "ecs_fields.csv").open() as file:
        kinds = {row["Field"]: row["Type"] for row in csv.DictReader(file)}
    text = {"keyword", "wildcard", "match_only_text"}
    wanted = {"text": text, "integer": {"long"}, "number": {"float"}, "boolean": {"boolean"}, "ip": {"ip"}}
    assert {name for name, type_ in FIELDS.items() if kinds.get(name) not in wanted[type_]} == set()


# --- the way in -------------------------------------------------------------------------------------------------------


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


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PYTHONPATH": str(ROOT),
        "WARDWATCH_DATA_DIR": str(folder),
        "WARDWATCH_SOURCES": json.dumps([str(EXAMPLE.parent)]),
    }
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_take_a_table(tmp_path: Path) -> None:
    rows = str(EXAMPLE.with_suffix(".csv"))
    checked = command(tmp_path, "sources", "check", str(EXAMPLE), rows)
    assert checked.returncode == 0, checked.stderr
    assert "rows: 4 read\n" in checked.stderr
    read = command(tmp_path, "normalize", rows)
    assert (read.returncode, read.stderr) == (0, "")
    plain, sample = ([json.loads(line) for line in done.stdout.splitlines()] for done in (read, checked))
    assert [document["event"] for document in plain] == [document["event"] for document in sample]
    assert [document["wardwatch"]["source"] for document in plain] == ["acme-ehr"] * 4

    broken = tmp_path / "broken.toml"
    broken.write_text(SMALL + 'released = ["user.name"]')
    told = io.StringIO()
    assert check(broken, [rows], form="auto", now=RECEIVED, out=told, errors=told) == 1
    assert told.getvalue() == f"{broken}: released: user.name is filled by nothing here\n"


def test_a_sample_s_bad_row_and_idle_columns_are_told(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "AT,WHO,SHOE SIZE\n2026-03-01T08:00:00Z,synthetic-1,9\nyesterday,synthetic-2,8\n"
    )
    (tmp_path / "table.toml").write_text(SMALL)
    out, errors = io.StringIO(), io.StringIO()
    rows = str(tmp_path / "rows.csv")
    assert check(tmp_path / "table.toml", [rows], form="auto", now=RECEIVED, out=out, errors=errors) == 1
    assert len(out.getvalue().splitlines()) == 1
    assert errors.getvalue().splitlines()[1:] == [
        f"{rows}:3: column AT is no time of the format iso",
        "rows: 1 read, 1 refused",
        "columns that nothing reads: SHOE SIZE",
    ]


def test_the_page_names_every_key_and_its_example_is_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "tables.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (required|[^|]*?) ?\| (.*) \|$", page, re.MULTILINE)
    keys = {name: (default.strip(" `").strip('"'), said) for name, default, said in rows}
    assert set(keys) == set(TableFile.model_fields)
    for name, field in TableFile.model_fields.items():
        default, said = keys[name]
        assert (default == "required") == field.is_required(), name
        if isinstance(field.default, str | float):
            assert default == str(field.default).removesuffix(".0"), name
        part = getattr(field.annotation, "model_fields", None) or {}
        for key in part:
            assert f"`{key}`" in said, (name, key)
    for column in Column.model_fields:
        assert column in keys["fields"][1]
    (example,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "table.toml").write_text(example)
    found, problems = load_table(tmp_path / "table.toml")
    assert found is not None, problems
    draft = found.normalise({"ACCESS_TIME": "01.03.2026 08:15:00", "USER_ID": "synthetic-1", "PAT_ID": "synthetic-2"})
    assert draft.patients == ["Patient/synthetic-2"]
    for directive in PARTS:
        assert directive == "%" or f"%{directive}" in page
