"""Every form of file gives its records in order, and what is broken costs itself alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.reading import parse, read_files
from streams.sources.base import BadRecord

RECORDS = [{"n": number, "text": f"synthetic {number}\n"} for number in range(3)]


def forms() -> dict[str, bytes]:
    lines = "\n".join(map(json.dumps, RECORDS))
    return {
        "lines": lines.encode(),
        "lines with blanks": f"\n\n{lines}\n\n".encode(),
        "array": json.dumps(RECORDS).encode(),
        "pretty array": json.dumps(RECORDS, indent=2).encode(),
        "records": json.dumps({"Records": RECORDS}).encode(),
        "pretty records": json.dumps({"Records": RECORDS}, indent=2).encode(),
        "bundle": json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in RECORDS]}).encode(),
    }


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", forms())
def test_every_form_gives_its_records(tmp_path: Path, form: str, zipped: bool) -> None:
    path = tmp_path / "file"
    content = forms()[form]
    path.write_bytes(gzip.compress(content) if zipped else content)
    items = list(read_files([str(path)]))
    assert [item.record for item in items] == RECORDS
    assert [item.error for item in items] == [None] * 3
    if form != "lines with blanks":
        assert [item.line for item in items] == [1, 2, 3]


def test_one_pretty_object_is_one_record(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(json.dumps(RECORDS[0], indent=2))
    assert [item.record for item in read_files([str(path)])] == RECORDS[:1]


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize(
    "bad",
    [b"{", b"nonsense", b"42", b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": "\\ud800"}', b"[" * 100_000, b'{"a": 1}}'],
    ids=["brace", "word", "number", "NaN", "bytes", "surrogate", "deep", "trailing"],
)
def test_a_broken_line_costs_itself(tmp_path: Path, bad: bytes, place: int) -> None:
    path = tmp_path / "file"
    lines = [json.dumps(record).encode() for record in RECORDS]
    lines.insert(place, bad)
    path.write_bytes(b"\n".join(lines))
    items = list(read_files([str(path)]))
    assert [item.record for item in items if item.record is not None] == RECORDS
    (broken,) = [item for item in items if item.error]
    assert broken.line == place + 1
    assert "synthetic" not in broken.error  # type: ignore[operator]


def test_members_that_are_no_objects_are_told_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(json.dumps([RECORDS[0], 7, None, RECORDS[1]]))
    items = list(read_files([str(path)]))
    assert [(item.line, item.error is None) for item in items] == [(1, True), (2, False), (3, False), (4, True)]


def test_a_missing_or_torn_file_is_an_error_and_the_next_goes_on(tmp_path: Path) -> None:
    torn, good = tmp_path / "torn.gz", tmp_path / "good"
    torn.write_bytes(gzip.compress(forms()["lines"])[:-12])
    good.write_bytes(forms()["lines"])
    items = list(read_files([str(tmp_path / "none"), str(tmp_path), str(torn), str(good)]))
    errors = [item for item in items if item.error]
    assert "cannot be read: No such file" in (errors[0].error or "")
    assert errors[0].place == errors[0].file
    assert any(item.file == str(torn) for item in errors)
    assert [item.record for item in items if item.file == str(good)] == RECORDS


@given(st.binary(max_size=60))
def test_bytes_are_an_object_or_a_reason(raw: bytes) -> None:
    try:
        found: object = parse(raw)
    except BadRecord as exc:
        found = str(exc)
    assert isinstance(found, dict) or str(found).startswith(("the record is", "the HL7 message "))
