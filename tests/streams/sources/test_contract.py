"""Every source keeps the contract, and a source built to break a rule is caught breaking it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from broken_sources import (
    Bare,
    Blind,
    Careless,
    Changes,
    Counts,
    Crashes,
    Elsewhere,
    Fine,
    Forgetful,
    Fragile,
    Greedy,
    Inventive,
    Looks,
    Nameless,
    Quotes,
    QuotesPart,
    Refuses,
    Silent,
    Undated,
    Undecided,
    Unexpected,
    Unlisted,
    Untimely,
    Vague,
)
from good_records import GOOD

from streams.outgoing import TOPICS, known_shape
from streams.sources.base import BadRecord, Source
from streams.sources.catalog import SOURCES, by_name, recognise
from streams.sources.checks import SourceCheckError, check_source


def others(name: str) -> list[dict[str, Any]]:
    return [record for other, records in GOOD.items() if other != name for record in records]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_source_keeps_the_contract(source: Source) -> None:
    check_source(source, GOOD[source.name], others(source.name))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_field_is_one_of_ecs(source: Source, outside_data: Path) -> None:
    with (outside_data / "ecs" / "ecs_fields.csv").open() as file:
        names = frozenset(row["Field"] for row in csv.DictReader(file))
    check_source(source, GOOD[source.name][:2], [], names)


def test_the_emitter_knows_each_by_its_shape_and_sends_it_where_it_is_read() -> None:
    read = {source.name: source.topic for source in SOURCES}
    ehr = {name: topic for name, topic in read.items() if topic == "audit.ehr"}
    assert ehr.items() <= TOPICS.items() <= read.items()
    for name in ehr:
        assert {known_shape(record) for record in GOOD[name] if "message" not in record} == {name}


def test_a_source_that_keeps_every_rule_passes() -> None:
    check_source(Fine(), [{"fine": "yes"}], [{"other": 1}], frozenset(Fine().fields()))


@pytest.mark.parametrize(
    ("source", "check"),
    [
        (Blind(), "recognises"),
        (Greedy(), "recognises"),
        (Refuses(), "reads"),
        (Changes(), "leaves the record alone"),
        (Counts(), "deterministic"),
        (Undated(), "time"),
        (Nameless(), "actor"),
        (Bare(), "fields"),
        (Inventive(), "ECS"),
        (Unlisted(), "ECS"),
        (Crashes(), "raises BadRecord"),
        (Quotes(), "quotes nothing"),
        (QuotesPart(), "quotes nothing"),
        (Silent(), "says why"),
        (Looks(), "pure"),
        (Fragile(), "recognises"),
        (Vague(), "recognises"),
        (Untimely(), "describes itself"),
        (Elsewhere(), "describes itself"),
        (Undecided(), "describes itself"),
        (Unexpected(), "ECS"),
        (Careless(), "identifiers"),
        (Forgetful(), "identifiers"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_a_source_that_breaks_a_rule_is_caught(source: Source, check: str) -> None:
    record = {"fine": "yes", "name": "Synthetic Patient"}
    with pytest.raises(SourceCheckError, match=f"^{check}: "):
        check_source(source, [record], [{"other": 1}], frozenset(Fine().fields()))


def test_the_catalog_knows_each_by_shape_and_by_name() -> None:
    for name, records in GOOD.items():
        assert by_name(name).name == name
        for record in records:
            assert recognise(record).name == name
            assert recognise(record, by_name(name).topic).name == name
    with pytest.raises(BadRecord, match=r"shape of no source known here: fhir, .*hl7v2"):
        recognise(GOOD["device"][0], "audit.ehr")
    with pytest.raises(ValueError, match="did you mean cloudtrail"):
        by_name("cloudtrial")
