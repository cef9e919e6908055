"""The tables of the tests: the worked example, a small one to vary, and their rows."""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from streams.sources.base import BadRecord, Draft
from streams.sources.table import Table
from streams.sources.table_file import TableFile
from streams.sources.table_load import load_table

__all__ = ["EXAMPLE", "FHIR_RECORD", "RECEIVED", "ROOT", "ROWS", "SMALL", "example", "read", "refusal", "table", "toml"]

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


def toml(content: dict[str, Any]) -> str:
    """``content`` as TOML: every value inline, where JSON's strings are TOML's."""

    def inline(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {inline(child)}" for key, child in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(inline, value)) + "]"
        return json.dumps(value)

    return "\n".join(f"{key} = {inline(value)}" for key, value in content.items())
