"""What a table's columns say: times of a zone, cells of their field's type, entities."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapped import ROWS, example, read, refusal, table

from streams.sources.base import BadRecord

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
