"""The TOML file that says what the columns of a table mean: its shape. What must fit together in it, and reading it
from disk, is in :mod:`streams.sources.table_load`; ``docs/tables.md`` explains each key to whoever writes one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from streams.sources.ecs import FieldType
from streams.sources.table_times import Repeated, Skipped

__all__ = ["Act", "Action", "Actor", "Column", "Id", "LogSourceKeys", "Outcome", "Patient", "TableFile", "Time"]

Outcomes = Literal["success", "failure", "unknown"]
Constant = str | bool | int | float


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


Name = Annotated[str, Field(min_length=1, max_length=256)]
#: One column, or several whose texts are joined with a space: a date and a time.
Names = Annotated[list[Name], BeforeValidator(_several), Field(min_length=1, max_length=16)]
Words = Annotated[list[Name], BeforeValidator(_several), Field(min_length=1, max_length=16)]
Separator = Annotated[str, Field(max_length=8)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LogSourceKeys(_Part):
    product: str | None = None
    service: str = ""
    category: str | None = None


class Time(_Part):
    column: Names
    format: Words = ["iso"]
    zone: str = ""
    repeated: Repeated = "earlier"
    skipped: Skipped = "refuse"


class Actor(_Part):
    column: Name
    kind: Literal["user", "device", "patient"] = "user"
    otherwise: str = Field("", max_length=256)


class Act(_Part):
    """What one value of the action column means."""

    action: str = Field("", max_length=256)
    category: Words
    type: Words


class Action(_Part):
    column: str = ""
    values: dict[str, Act] = Field(default_factory=dict)
    otherwise: Act | None = None


class Outcome(_Part):
    column: str = ""
    values: dict[str, Outcomes] = Field(default_factory=dict)
    otherwise: Outcomes | None = None


class Patient(_Part):
    column: Name
    system: str = Field("", max_length=256)
    reference: bool = False
    separator: Separator = ""


class Column(_Part):
    """Where one field's value comes from."""

    column: Name
    type: FieldType | None = None
    values: dict[str, str] | None = None
    separator: Separator = ""
    longest: int = Field(1024, ge=1, le=8192)
    unreadable: Literal["refuse", "leave out"] = "refuse"


class Id(_Part):
    columns: Names


class TableFile(_Part):
    """One file, as it is written."""

    name: str = Field(pattern=r"^[a-z][a-z0-9._-]{1,63}$")
    topic: Literal["audit.ehr", "audit.iot", "audit.cloud"] = "audit.ehr"
    subject: Literal["actor", "device"] = "actor"
    lateness: float = Field(86_400.0, ge=0, le=31 * 86_400)
    recognise: Literal["header"] | Annotated[list[Name], Field(min_length=1)] = "header"
    columns: list[Name] = Field(default_factory=list, max_length=1000)
    delimiter: str = Field(",", min_length=1, max_length=1)
    empty: list[str] = Field(default_factory=list)
    logsource: LogSourceKeys = LogSourceKeys()
    time: Time
    actor: Actor
    action: Action
    outcome: Outcome = Outcome(otherwise="unknown")
    patients: list[Patient] = Field(default_factory=list)
    identifies: list[Name] = Field(default_factory=list)
    id: Id | None = None
    fields: dict[str, Annotated[Column, BeforeValidator(_column)]] = Field(default_factory=dict)
    constants: dict[str, Constant] = Field(default_factory=dict)
    released: list[str] = Field(default_factory=list)
