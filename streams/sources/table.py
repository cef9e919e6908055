"""A source that a TOML file describes: the access log of an EHR, or whatever else is a table.

A record is a row: an object whose members are columns (a column ``a.b`` is also the member ``b`` of the member ``a``),
or, where the file names the columns, a line of delimited text in ``message``. What a row says beyond the mapping is
there for rules and for nobody else. Patients' columns become pseudonyms, and the values of every column that identifies
a patient are taken out of whatever else is released.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from ipaddress import ip_address
from math import isfinite
from re import compile as regex
from typing import Any, Final
from zoneinfo import ZoneInfo

from streams.pseudonyms import canonical
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.ecs import FIELDS, FieldType
from streams.sources.table_file import Act, Column, Patient, TableFile
from streams.sources.table_times import LocalTimes

__all__ = ["ALWAYS", "Table"]

#: What every table releases, beside what its file lists.
ALWAYS: Final = frozenset(
    {
        "event.action",
        "event.category",
        "event.kind",
        "event.outcome",
        "event.type",
        "user.id",
        "wardwatch.patient",
        "wardwatch.repeated_hour",
    }
)
#: Characters of a name, an id, an action: longer ones are none.
_LONGEST: Final = 512
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0"})
_INTEGER: Final = 2**63
#: Half of a surrogate pair: no UTF-8 says it.
_HALF: Final = regex("[\ud800-\udfff]")


class Table:
    """One table's source; see :class:`streams.sources.base.Source`."""

    def __init__(self, file: TableFile) -> None:
        """``file``: one in which :func:`streams.sources.table_load.load_table` finds no mistake."""
        given = file.logsource
        self.name = file.name
        self.topic: str = file.topic
        self.subject: str = file.subject
        self.lateness = round(file.lateness * 1000)
        self.logsource = LogSource(
            product=file.name if given.product is None else given.product,
            service=given.service,
            category=file.topic.partition(".")[2] if given.category is None else given.category,
        )
        self.released = ALWAYS | frozenset(file.released)
        #: The columns that ``auto`` knows its rows by; empty: its rows are known by name alone.
        self.telling = frozenset(() if file.recognise == "header" else file.recognise)
        self._known_by = tuple(self.telling) or (*file.time.column, file.actor.column)
        #: Whether a row may be a line of text; see :func:`streams.reading.record_of`.
        self.lines = bool(file.columns)
        self.file: Final = file
        self._empty = frozenset({"", *(word.strip() for word in file.empty)})
        zone = ZoneInfo(file.time.zone) if file.time.zone else None
        self._times = LocalTimes(tuple(file.time.format), zone, repeated=file.time.repeated, skipped=file.time.skipped)
        self._acts = {_fold(value): act for value, act in file.action.values.items()}
        self._outcomes = {_fold(value): outcome for value, outcome in file.outcome.values.items()}
        self._fields = [(name, column, _type(name, column), _values(column)) for name, column in file.fields.items()]

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return all(_has(record, column) for column in self._known_by)

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        row = self._row(record)
        file = self.file
        told = self._times.read(" ".join(self._needed(row, name) for name in file.time.column), file.time.column[0])
        act, action = self._act(row)
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": list(act.category),
            "event.type": list(act.type),
            "event.action": action,
            "event.outcome": self._outcome(row),
            **file.constants,
        }
        if told.repeated:
            fields["wardwatch.repeated_hour"] = True
        draft = Draft(self._id(row), told.time, "", fields)
        for name in file.identifies:
            for text in self._texts(row, name, "", _INTEGER):
                draft.identifiers |= {text, _turned(text), text.removeprefix("Patient/")}
        for patient in file.patients:
            for text in self._texts(row, patient.column, patient.separator, _LONGEST):
                _patient(_raw(text, patient), draft)
        for name, column, type_, values in self._fields:
            self._fill(draft.fields, row, name, column, type_, values)
        self._actor(row, draft)
        if draft.patients:
            fields["wardwatch.patient"] = draft.patients
        if (device := fields.get("device.id")) and not draft.device:
            draft.device = f"device:{device if isinstance(device, str) else device[0]}"
        if address := fields.get("source.ip"):
            draft.address = f"address:{address if isinstance(address, str) else address[0]}"
        return draft

    def _row(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """The row that a record is, or that its line of text is."""
        columns, line = self.file.columns, record.get("message")
        if not columns or not isinstance(line, str) or _has(record, self.file.time.column[0]):
            return record
        try:
            rows = list(csv.reader([line.rstrip("\r\n")], delimiter=self.file.delimiter, strict=True))
        except csv.Error:
            raise BadRecord("the line is no delimited text: a quote is not closed, or stands within a value") from None
        cells = rows[0] if rows else []
        if len(cells) != len(columns):
            raise BadRecord(f"the line has {len(cells)} values where the table has {len(columns)} columns")
        return dict(zip(columns, cells, strict=True))

    def _act(self, row: Mapping[str, Any]) -> tuple[Act, str]:
        action = self.file.action
        said = self._text(row, action.column, _LONGEST) if action.column else ""
        act = self._acts.get(_fold(said)) if said else None
        if act is None:
            act = action.otherwise
        if act is None:
            raise BadRecord(
                f"column {action.column} " + ("has a value that action.values lacks" if said else "is empty")
            )
        if not (act.action or said):
            raise BadRecord(f"column {action.column} is empty")
        return act, act.action or said

    def _outcome(self, row: Mapping[str, Any]) -> str:
        outcome = self.file.outcome
        said = self._text(row, outcome.column, _LONGEST) if outcome.column else ""
        found = self._outcomes.get(_fold(said)) or outcome.otherwise
        if found is None:
            what = "has a value that outcome.values lacks" if said else "is empty"
            raise BadRecord(f"column {outcome.column} {what}")
        return found

    def _id(self, row: Mapping[str, Any]) -> str:
        """The record's own id, under the table's name: another source may count from one as well."""
        if self.file.id is None:
            return ""
        return f"{self.name}:" + "/".join(self._needed(row, name) for name in self.file.id.columns)

    def _actor(self, row: Mapping[str, Any], draft: Draft) -> None:
        actor = self.file.actor
        name = self._text(row, actor.column, _LONGEST) or actor.otherwise
        if not name:
            raise BadRecord(f"column {actor.column} is empty, and actor.otherwise names nobody")
        draft.actor = f"{actor.kind}:{name}"
        if actor.kind == "device":
            draft.device = draft.actor
            return
        draft.fields["user.id"] = name
        if actor.kind == "patient":
            # One person has one pseudonym, whether they act or are looked at.
            named = next((patient for patient in self.file.patients if patient.column == actor.column), None)
            raw = _raw(name, named) if named else name
            draft.actor = f"patient:{raw}"
            _patient(raw, draft)

    def _fill(
        self,
        fields: dict[str, Any],
        row: Mapping[str, Any],
        name: str,
        column: Column,
        type_: FieldType,
        values: Mapping[str, str] | None,
    ) -> None:
        try:
            read = [
                _read(text, type_, values, column) for text in self._texts(row, column.column, column.separator, 8192)
            ]
        except BadRecord:
            if column.unreadable == "refuse":
                raise
            return
        if read:
            fields[name] = read if column.separator else read[0]

    def _needed(self, row: Mapping[str, Any], column: str) -> str:
        text = self._text(row, column, _LONGEST)
        if not text:
            raise BadRecord(f"column {column} is empty")
        return text

    def _text(self, row: Mapping[str, Any], column: str, longest: int) -> str:
        """The one value of a column as text; "" where it is empty."""
        found = self._texts(row, column, "", longest)
        if len(found) > 1:
            raise BadRecord(f"column {column} has several values")
        return found[0] if found else ""

    def _texts(self, row: Mapping[str, Any], column: str, separator: str, longest: int) -> list[str]:
        """The values of a column as text, without those that are empty."""
        value = _get(row, column)
        cells = value if isinstance(value, list) else [value]
        found: list[str] = []
        for cell in cells:
            text = _as_text(cell, column)
            for part in text.split(separator) if separator else [text]:
                if len(part := part.strip()) > longest:
                    raise BadRecord(f"column {column} has a value of {len(part)} characters, and {longest} are taken")
                if part not in self._empty:
                    found.append(part)
        return found


def _has(record: Mapping[str, Any], column: str) -> bool:
    return column in record or _get(record, column) is not None


def _get(record: Mapping[str, Any], column: str) -> Any:
    if column in record:
        return record[column]
    at: Any = record
    for part in column.split(".") if "." in column else ():
        at = at.get(part) if isinstance(at, dict) else None
    return None if at is record else at


def _as_text(value: Any, column: str) -> str:
    if isinstance(value, str):
        if not value.isascii() and _HALF.search(value):
            raise BadRecord(f"column {column} has half of a character")
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < _INTEGER else repr(value)
    raise BadRecord(f"column {column} is no text and no number")


def _fold(text: str) -> str:
    return text.strip().casefold()


def _type(name: str, column: Column) -> FieldType:
    return column.type or FIELDS.get(name) or "text"


def _values(column: Column) -> dict[str, str] | None:
    return None if column.values is None else {_fold(name): value for name, value in column.values.items()}


def _turned(text: str) -> str:
    """``Ada Synthetic`` for ``Synthetic, Ada`` and HL7's ``Synthetic^Ada``; any other text as it is."""
    family, separator, given = text.partition("^" if "^" in text else ",")
    return f"{given.strip(' ^')} {family.strip()}" if separator and family.strip() and given.strip(" ^") else text


def _raw(text: str, patient: Patient) -> str:
    """The patient's raw id: a reference, an identifier of a system, or what stands there."""
    if patient.reference and not canonical(text).startswith("Patient/"):
        return f"Patient/{text}"
    return f"{patient.system}|{text}" if patient.system else text


def _patient(raw: str, draft: Draft) -> None:
    if raw in draft.patients:
        return
    draft.patients.append(raw)
    known = canonical(raw)
    draft.identifiers |= {raw, known, raw.rpartition("|")[2], known.removeprefix("Patient/")} - {""}


def _read(text: str, type_: FieldType, values: Mapping[str, str] | None, column: Column) -> Any:
    """One value as its field wants it. Raises BadRecord that names the column."""
    if type_ == "text":
        if len(text) > column.longest:
            raise BadRecord(
                f"column {column.column} has a value of {len(text)} characters, and {column.longest} are taken"
            )
        if values is None:
            return text
        if (known := values.get(_fold(text))) is None:
            raise BadRecord(f"column {column.column} has a value that values lacks")
        return known
    try:
        return _READ[type_](text)
    except ValueError:
        raise BadRecord(f"column {column.column} has a value that is no {_SAID[type_]}") from None


def _integer(text: str) -> int:
    number = int(text) if text.isascii() and "_" not in text and len(text) <= 20 else _INTEGER
    if not -_INTEGER <= number < _INTEGER:
        raise ValueError
    return number


def _number(text: str) -> float:
    number = float(text) if text.isascii() and "_" not in text else float("nan")
    if not isfinite(number):
        raise ValueError
    return number


def _boolean(text: str) -> bool:
    folded = text.casefold()
    if folded not in _TRUE and folded not in _FALSE:
        raise ValueError
    return folded in _TRUE


_READ: Final[dict[FieldType, Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "ip": lambda text: str(ip_address(text)),
}
_SAID: Final[dict[FieldType, str]] = {
    "integer": "whole number of 64 bits",
    "number": "number",
    "boolean": "yes or no",
    "ip": "IP address",
}
