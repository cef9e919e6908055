"""Tables' files from disk: each becomes a source, or tells by file, key and reason everything that is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from streams.sources.ecs import EXPECTED, FIELDS, FieldType
from streams.sources.table import ALWAYS, Table
from streams.sources.table_file import (
    Act,
    Action,
    Actor,
    Column,
    Id,
    LogSourceKeys,
    Outcome,
    Patient,
    TableFile,
    Time,
)
from streams.sources.table_times import format_mistake, has_offset

__all__ = ["Problem", "load_table", "load_tables", "used_columns"]

#: A field of one's own; the names below have a meaning of ours.
_OWN: Final = re.compile(r"wardwatch\.[a-z][a-z0-9_]{0,63}")
_TAKEN: Final = frozenset(
    f"wardwatch.{name}"
    for name in ("actor", "address", "device", "id", "patient", "patients", "repeated_hour", "source", "timely")
)
#: What a mapping says by keys of its own.
_ELSEWHERE: Final = {
    "event.action": "action",
    "event.category": "action",
    "event.type": "action",
    "event.outcome": "outcome",
    "event.id": "id",
    "user.id": "actor",
    "wardwatch.patient": "patients",
    "@timestamp": "time",
}
#: Names of no table: ``--source`` means something else by them.
_RESERVED: Final = frozenset({"auto", "raw"})
#: Every key there is in a table's file, to name the nearest right one.
_KEYS: Final = tuple(
    dict.fromkeys(
        key
        for part in (TableFile, Time, Actor, Act, Action, Outcome, Patient, Column, Id, LogSourceKeys)
        for key in part.model_fields
    )
)
_TYPE_OF: Final[dict[type, FieldType]] = {str: "text", bool: "boolean", int: "integer", float: "number"}


class Problem(NamedTuple):
    """One mistake in one file."""

    file: str
    key: str  #: dotted; "" where it is the file's own
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.reason}" if self.key else f"{self.file}: {self.reason}"


def load_tables(paths: Iterable[Path], taken: Iterable[str]) -> tuple[tuple[Table, ...], list[Problem]]:
    """Every table of these files and folders of ``*.toml`` that has no mistake, and what is wrong with the others.

    ``taken``: names of other sources. Never raises for what a path holds.
    """
    tables: dict[str, Table] = {}
    problems: list[Problem] = []
    names = set(taken)
    for path in paths:
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not files:
            problems.append(Problem(str(path), "", "the folder holds no .toml file"))
        for file in files:
            table, wrong = load_table(file)
            if table is not None and table.name in names:
                wrong = [Problem(str(file), "name", f"{table.name} is the name of another source")]
            elif table is not None and (same := _same(table, tables.values())):
                wrong = [Problem(str(file), "recognise", f"{same} is recognised by the very same columns")]
            elif table is not None:
                names.add(table.name)
                tables[table.name] = table
            problems.extend(wrong)
    return tuple(tables.values()), problems


def _same(table: Table, others: Iterable[Table]) -> str:
    return next((o.name for o in others if o.topic == table.topic and o.telling and o.telling == table.telling), "")


def load_table(file: Path) -> tuple[Table | None, list[Problem]]:
    """The table of one file, or None and every mistake in it."""
    name = str(file)
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as exc:
        return None, [Problem(name, "", f"cannot be read: {exc.strerror or exc}")]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        return None, [Problem(name, "", f"is no TOML: {exc}")]
    try:
        parsed = TableFile.model_validate(content)
    except ValidationError as exc:
        return None, [Problem(name, *_told(error)) for error in exc.errors()]
    wrong = [Problem(name, key, reason) for key, reason in _mistakes(parsed)]
    return (None, wrong) if wrong else (Table(parsed), [])


def _told(error: Any) -> tuple[str, str]:
    """Key and reason of one of pydantic's errors."""
    path = [str(part) for part in error["loc"] if part not in ("literal['header']", "list[constrained-str]")]
    key = ".".join(path)
    if error["type"] == "missing":
        return key, "is missing"
    if error["type"] == "extra_forbidden":
        near = get_close_matches(path[-1], _KEYS, n=1)
        return key, "is no key of a table" + (f"; did you mean {near[0]}?" if near else "")
    if error["type"] == "model_type":
        return key, "is a table of keys of its own: docs/tables.md has them"
    if key == "name" and error["type"] == "string_pattern_mismatch":
        return key, "is 2 to 64 of small letters, digits and . _ -, a letter first"
    reason = str(error["msg"])
    return key, reason[:1].lower() + reason[1:]


def _mistakes(file: TableFile) -> Iterator[tuple[str, str]]:
    if file.name in _RESERVED:
        yield "name", f"{file.name} means something else to --source"
    if file.delimiter in '"\r\n':
        yield "delimiter", "cannot be a quote or the end of a line"
    yield from _time(file)
    yield from _acts(file)
    for number, patient in enumerate(file.patients):
        if patient.system and patient.reference:
            yield f"patients.{number}", "is a reference or an identifier of a system, not both"
    if not (file.outcome.column or file.outcome.otherwise):
        yield "outcome", "says neither column nor otherwise"
    if file.outcome.values and not file.outcome.column:
        yield "outcome.values", "are of no column: name it"
    if file.outcome.column and not file.outcome.values:
        yield "outcome.values", f"is missing: what do the values of {file.outcome.column} mean?"
    yield from _folded("outcome.values", file.outcome.values)
    yield from _fields(file)
    yield from _columns(file)
    yield from _released(file)


def _time(file: TableFile) -> Iterator[tuple[str, str]]:
    formats = file.time.format
    for pattern in formats:
        if mistake := format_mistake(pattern):
            yield "time.format", mistake
            return
    if file.time.zone:
        try:
            ZoneInfo(file.time.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield "time.zone", "is no zone of IANA's, such as Europe/Berlin"
        if all(map(has_offset, formats)):
            yield "time.zone", "is idle: times of this format say their offset from UTC"
    elif not all(has_offset(pattern) or pattern == "iso" for pattern in formats):
        yield "time.zone", "is missing: times of this format have no offset from UTC"


def _acts(file: TableFile) -> Iterator[tuple[str, str]]:
    action = file.action
    if not action.values and action.otherwise is None:
        yield "action", "says neither values nor otherwise"
    if action.values and not action.column:
        yield "action.values", "are of no column: name it"
    acts: list[tuple[str, Act]] = [(f"action.values.{name}", act) for name, act in action.values.items()]
    if action.otherwise is not None:
        acts.append(("action.otherwise", action.otherwise))
        if not action.column and not action.otherwise.action:
            yield "action.otherwise.action", "is missing, and there is no column to take it from"
    for key, act in acts:
        for category in act.category:
            if category not in EXPECTED:
                near = get_close_matches(category, EXPECTED, n=1)
                hint = f"; did you mean {near[0]}?" if near else f": one of {', '.join(EXPECTED)}"
                yield f"{key}.category", f"{category} is no category of ECS{hint}"
                continue
            for type_ in act.type:
                if type_ not in EXPECTED[category]:
                    allowed = ", ".join(sorted(EXPECTED[category]))
                    yield f"{key}.type", f"{type_} is not expected beside {category}, only {allowed}"
    yield from _folded("action.values", action.values)


def _folded(key: str, values: Iterable[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for value in values:
        folded = value.strip().casefold()
        if not folded:
            yield key, "has one for an empty cell, which only otherwise can be for"
        elif folded in seen:
            yield f"{key}.{value}", "is there twice, without regard to case"
        seen.add(folded)


def _fields(file: TableFile) -> Iterator[tuple[str, str]]:
    for name, column in file.fields.items():
        key = f"fields.{name}"
        if mistake := _name_mistake(name):
            yield key, mistake
            continue
        wanted = FIELDS.get(name)
        if wanted and column.type and column.type != wanted:
            yield f"{key}.type", f"is {wanted} in ECS"
        type_ = column.type or wanted or "text"
        if column.values is not None and type_ != "text":
            yield f"{key}.values", f"turn text into text, and {name} is {type_}"
        if column.values is not None:
            yield from _folded(f"{key}.values", column.values)
    for name, value in file.constants.items():
        key = f"constants.{name}"
        if mistake := _name_mistake(name):
            yield key, mistake
        elif name in file.fields:
            yield key, "is filled from a column already"
        elif name in FIELDS and FIELDS[name] != _TYPE_OF[type(value)]:
            yield key, f"is {FIELDS[name]} in ECS"


def _name_mistake(name: str) -> str:
    if name in _ELSEWHERE:
        return f"is what the key {_ELSEWHERE[name]} says"
    if name in FIELDS or (_OWN.fullmatch(name) and name not in _TAKEN):
        return ""
    if name in _TAKEN:
        return "is a name that Wardwatch itself uses"
    near = get_close_matches(name, FIELDS, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"is no field of ECS that a column may fill{hint} One's own are wardwatch.NAME in small letters"


def used_columns(file: TableFile) -> list[tuple[str, str]]:
    """Key and name of every column that the mapping reads."""
    used = [("time.column", name) for name in file.time.column]
    used.append(("actor.column", file.actor.column))
    used += [(f"{key}.column", part.column) for key, part in (("action", file.action), ("outcome", file.outcome))]
    used += [(f"patients.{number}.column", patient.column) for number, patient in enumerate(file.patients)]
    used += [("identifies", name) for name in file.identifies]
    used += [("id.columns", name) for name in (file.id.columns if file.id else [])]
    used += [(f"fields.{field}.column", column.column) for field, column in file.fields.items()]
    return [(key, name) for key, name in used if name]


def _columns(file: TableFile) -> Iterator[tuple[str, str]]:
    if len(set(file.columns)) < len(file.columns):
        yield "columns", "one is there twice"
    telling: Sequence[str] = () if file.recognise == "header" else file.recognise
    if not file.columns:
        return
    for key, name in [*used_columns(file), *(("recognise", name) for name in telling)]:
        if name not in file.columns:
            near = get_close_matches(name, file.columns, n=1)
            yield key, f"{name} is none of columns" + (f"; did you mean {near[0]}?" if near else "")


def _released(file: TableFile) -> Iterator[tuple[str, str]]:
    identifying = {patient.column for patient in file.patients} | set(file.identifies)
    filled = file.fields.keys() | file.constants.keys()
    for name in file.released:
        if name in ALWAYS:
            yield "released", f"{name} always is: leave it out"
        elif name not in filled:
            near = get_close_matches(name, filled, n=1)
            yield "released", f"{name} is filled by nothing here" + (f"; did you mean {near[0]}?" if near else "")
        elif name in file.fields and file.fields[name].column in identifying:
            yield "released", f"{name} comes from a column that identifies a patient"
