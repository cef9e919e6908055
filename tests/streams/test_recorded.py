"""What lies in a record of Kafka, as whoever tries rules on it sees it: as ingest does."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from streams.demo.records import cloudtrail
from streams.recorded import _items
from streams.sources.known import CATALOG

NOW = 1_790_000_000_000


def trail(number: int) -> dict[str, Any]:
    record = cloudtrail(
        id=f"c-{number}", time=NOW, name="GetObject", service="s3", user="synthetic-1", address="192.0.2.1"
    )
    return dict(record)


@pytest.mark.parametrize("source", ["", "cloudtrail"])
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (trail(1), [("", "c-1")]),
        ([trail(1), trail(2)], [(".1", "c-1"), (".2", "c-2")]),
        ({"Records": [trail(1), trail(2)]}, [(".1", "c-1"), (".2", "c-2")]),
        ([trail(1), 7, json.dumps(trail(2))], [(".1", "c-1"), (".2", None), (".3", "c-2")]),
        ([], [("", None)]),
        ("none", [("", None)]),
    ],
)
def test_a_record_is_what_ingest_reads_in_it(source: str, value: Any, found: list[tuple[str, str | None]]) -> None:
    record = SimpleNamespace(
        topic="audit.cloud",
        partition=3,
        offset=7,
        value=json.dumps(value).encode(),
        headers=[("source", source.encode())] if source else [],
    )
    items = list(_items(record, CATALOG))
    assert [(item.member, None if item.record is None else item.record["eventID"]) for item in items] == found
    assert {(item.file, item.line) for item in items} == {("audit.cloud/3", 7)}
    assert all((item.error is None) is (item.record is not None) for item in items)
