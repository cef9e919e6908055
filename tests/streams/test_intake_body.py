"""What a request to the intake may hold, and what is told of one that holds something else."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from intake_events import AUDIT, DEVICE

from streams.intake_body import MOST, Refused, events, unzipped
from streams.sources.known import CATALOG, load_sources

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "holds no event"),
        (b"[]", "holds no event"),
        (b"[1]", "index 0: the event is JSON, but no object"),
        (b'{"a": 1', "index 0: the record is no JSON"),
        (b"nonsense", "index 0: the record is no JSON"),
        (b'{"a": 1}', "index 0: the record has the shape of no source known here"),
        (json.dumps([AUDIT, {**AUDIT, "outcome": "7"}, DEVICE]).encode(), "index 1: outcome: not one of 0, 4, 8, 12"),
        (json.dumps(AUDIT).encode() + b"\n{}\n", "index 1: the record has the shape"),
        (b"\n".join([b"{}"] * (MOST + 1)), "more than the 10000 events"),
    ],
)
def test_what_is_wrong_is_told_by_index_and_reason(body: bytes, told: str) -> None:
    with pytest.raises(Refused) as refused:
        events(body, "", CATALOG)
    answer = refused.value.answer
    said = [answer["error"], *(f"index {e['index']}: {e['reason']}" for e in answer.get("events", ()))]
    assert any(told in sentence for sentence in said), said
    assert len(answer.get("events", ())) <= 20
    assert "synthetic" not in json.dumps(answer)


def test_lines_and_rows_of_named_sources_are_taken() -> None:
    sources, _ = load_sources([ROOT / "examples" / "tables"])
    lines = b"1772352000: Client pump-1 disconnected.\n\n1772352001: Client pump-2 disconnected.\n"
    taken = events(lines, "mosquitto", sources)
    assert [(event.topic, event.source, event.key) for event in taken] == [
        ("audit.iot", "mosquitto", "device:pump-1"),
        ("audit.iot", "mosquitto", "device:pump-2"),
    ]
    assert taken[0].value == b"1772352000: Client pump-1 disconnected."
    row = b'9,01.03.2026,08:15:00,synthetic-1,D,192.0.2.1,Login,OK,SYN-1,"Synthetic, Ada",-,-'
    (event,) = events(row, "acme-ehr", sources)
    assert (event.topic, event.value, event.id) == ("audit.ehr", row, "")


def test_gzip_is_expanded_to_what_is_allowed_and_no_further() -> None:
    assert unzipped(gzip.compress(b"a" * 10) + gzip.compress(b"b"), 11) == b"a" * 10 + b"b"
    for raw, status in (
        (gzip.compress(b"a" * 12), 413),
        (gzip.compress(b"a" * 6) * 2, 413),
        (gzip.compress(b"a" * 10)[:-1], 400),
        (b"a" * 10, 400),
    ):
        with pytest.raises(Refused) as refused:
            unzipped(raw, 11)
        assert refused.value.status == status


def test_a_bomb_takes_no_more_memory_than_is_allowed() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            unzipped(bomb, 1024 * 1024)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024
