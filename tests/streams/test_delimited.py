"""Tables' files give their rows whoever wrote them, and a bad row costs itself alone."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.reading import read_files

HEADER = ["at", "who", "what"]
ROWS = [["1", "a;b", 'say "hi"'], ["2", "ä", "two\nlines"], ["3", "", " x "]]
RECORDS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]


def written(delimiter: str = ",", end: str = "\r\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows([HEADER, *ROWS])  # type: ignore[arg-type]
    return text.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_spelling_gives_its_rows(tmp_path: Path, delimiter: str, end: str, encoding: str) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(written(delimiter, end, csv.QUOTE_ALL).encode(encoding)))
    items = list(read_files([str(path)]))
    assert [item.error for item in items] == [None] * 3
    assert [item.record for item in items] == RECORDS
    assert [item.line for item in items] == [2, 3, 5]


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"1,2\r\n", "2 values where the header names 3"),
        (b"1,2,3,4\r\n", "4 values where the header names 3"),
        (b"1,\xff,3\r\n", "no UTF-8"),
        (b'1,"' + b"x" * 200_000 + b'",3\r\n', "more than 131072 characters"),
    ],
    ids=["few", "many", "bytes", "long"],
)
def test_a_bad_row_costs_itself(tmp_path: Path, bad: bytes, reason: str, place: int) -> None:
    path = tmp_path / "rows.tsv"
    lines = [b"1,2,3\r\n"] * 3
    lines.insert(place, bad)
    path.write_bytes(b"at,who,what\r\n" + b"".join(lines))
    items = list(read_files([str(path)]))
    assert [item.record is None for item in items] == [number == place for number in range(4)]
    assert reason in str(items[place].error)
    assert items[place].line == place + 2


@pytest.mark.parametrize("header", ["", "at", "at,at", "at,,who", '"at'])
def test_a_file_without_a_header_is_told_once(tmp_path: Path, header: str) -> None:
    (tmp_path / "rows.csv").write_text(f"{header}\n1,2,3\n")
    (item,) = read_files([str(tmp_path / "rows.csv")])
    assert "header" in str(item.error)


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\x00")), min_size=3, max_size=3)))
def test_whatever_csv_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, cells: list[list[str]]) -> None:
    path = tmp_path_factory.getbasetemp() / "property.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([HEADER, *cells])
    assert [list((item.record or {}).values()) for item in read_files([str(path)])] == cells


def test_a_log_is_text_or_json_by_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "broker.log").write_text("1772352000: one\n\n1772352001: two\n")
    assert [item.record for item in read_files([str(tmp_path / "broker.log")])] == [
        {"message": "1772352000: one"},
        {"message": "1772352001: two"},
    ]
    (tmp_path / "audit.log").write_text(json.dumps({"a": 1}) + "\n")
    assert [item.record for item in read_files([str(tmp_path / "audit.log")])] == [{"a": 1}]
    (tmp_path / "audit.txt").write_bytes(b"one\n\xff\n")
    told = list(read_files([str(tmp_path / "audit.txt")], "lines"))
    assert [item.error for item in told] == [None, "the line is no UTF-8"]
