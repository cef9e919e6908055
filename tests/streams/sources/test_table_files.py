"""A table's file: each mistake told by its key, files beside each other, the commands and the page."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from mapped import EXAMPLE, RECEIVED, ROOT, SMALL, toml

from streams.commands.sources import check
from streams.sources import catalog
from streams.sources.base import BadRecord
from streams.sources.known import Sources, load_sources
from streams.sources.table_file import Column, TableFile
from streams.sources.table_load import load_table, load_tables
from streams.sources.time_patterns import PARTS


@pytest.mark.parametrize(
    ("keys", "key", "reason"),
    [
        ('name = "auto"', "name", "means something else"),
        ('name = "Ehr"', "name", "small letters"),
        ("time = 5", "time", "is a table of keys of its own"),
        ('fields = {synthetic = "A"}', "fields.synthetic", "that a column may fill. One's own are wardwatch.NAME"),
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
