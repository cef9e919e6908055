"""Streams with the answers of another engine, RSigma, which fires again on every event while a condition holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from correlating import HOUR
from plain_naming import Plain

from detectors.base import Event
from detectors.rules import RuleSet, load
from detectors.rules.correlation import Hit, Memory
from detectors.rules.correlation.telling import hits

DATA = os.environ.get("WARDWATCH_TEST_DATA", "")
STREAMS = Path(DATA) / "sigma_match" / "correlation_streams.jsonl"
LINES = [json.loads(line) for line in STREAMS.read_text().splitlines()] if DATA else []

pytestmark = [
    pytest.mark.outside_data,
    pytest.mark.skipif(not DATA, reason="WARDWATCH_TEST_DATA names no folder of outside data"),
]


def hits_of(rules: RuleSet, record: dict[str, Any], number: int, seconds: int) -> list[Hit]:
    event = Event(id=str(number), time=seconds * 1000, source="raw", actor="record:raw")
    return [
        hit
        for match in rules.match(record, {}, None)
        for hit in hits(rules.correlations.feeds.get(match.rule.id, ()), record, {}, event, event.actor, Plain())
    ]


def holds(memory: Memory, hit: Hit) -> bool:
    correlator = memory._correlators[hit.plan]
    return correlator._holds(memory._groups[f"{hit.plan}/{hit.group}"].window.measure(hit.time))


@pytest.mark.parametrize("line", LINES, ids=[line["case"] for line in LINES])
def test_it_holds_where_the_other_engine_fires(line: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(line["rules"])
    rules = load([path])
    if any("'action'" in problem.reason for problem in rules.problems):
        pytest.skip("documents with an action are not read yet")
    assert rules.problems == ()
    memory = Memory(rules.correlations, lateness=HOUR)
    found = []
    for number, step in enumerate(line["stream"]):
        told = hits_of(rules, step["event"], number, step["ts_epoch"])
        found.extend(memory.take(told, 0))
        assert any(holds(memory, hit) for hit in told) == bool(step["rsigma_0_23_alerts"])
    found.extend(memory.settle())
    assert len(found) == any(step["rsigma_0_23_alerts"] for step in line["stream"]), "once, since none is longer"


@pytest.mark.parametrize("path", sorted((Path(DATA) / "sigma_spec/tests/schema/correlation").glob("*.yml")), ids=str)
def test_the_specifications_own_files_are_read(path: Path) -> None:
    rules = load([path])
    (problem,) = rules.problems
    assert "no loaded rule has that id or name" in problem.reason, "the rules they name are not among them"
