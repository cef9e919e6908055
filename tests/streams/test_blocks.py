"""Blocks: what is packed comes back, and a reader takes each position once, however blocks overlap."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.blocks import Block, address, pack, unpack
from streams.lineage import BLOCK, HEADER, NO_POSITION, Lineage, Marks, NewerSchema, Position
from streams.records import Record

TOPIC = b"\x03" * 16


def message(offset: int, rows: list[tuple[int, int]], previous: Position = NO_POSITION) -> Any:
    """A block of Kafka's as the sender writes it; the value of each line names its position."""
    value = pack([(o, i, 7, 9, f"user:{o}") for o, i in rows], [b'"%d.%d"' % row for row in rows])
    lineage = Lineage(TOPIC, 2, Position(*rows[-1]), previous, 0)
    return SimpleNamespace(offset=offset, key=None, value=value, headers=((BLOCK, lineage.pack()),))


def test_what_is_packed_comes_back_in_its_place() -> None:
    block = unpack(message(5, [(10, 0), (10, 1), (12, 0)]))
    assert block.lineage == Lineage(TOPIC, 2, Position(12, 0), NO_POSITION, 0)
    assert [record.value for record in block.records] == [b'"10.0"', b'"10.1"', b'"12.0"']
    assert [(r.key, r.event, r.time) for r in block.records] == [
        (b"user:10", 7, 9),
        (b"user:10", 7, 9),
        (b"user:12", 7, 9),
    ]
    assert [address(record.place) for record in block.records] == [(5, 0), (5, 1), (5, 2)]
    assert block.records[0].place < block.records[2].place < unpack(message(6, [(13, 0)])).records[0].place


def test_a_record_of_its_own_is_a_block_of_one() -> None:
    lineage = Lineage(TOPIC, 0, Position(3, 1), NO_POSITION, 77)
    block = unpack(SimpleNamespace(offset=4, key=b"k", value=b"v", headers=((HEADER, lineage.pack()),)))
    assert block == Block(4, lineage, (Position(3, 1),), (Record(4 << 20, b"k", b"v", 77),))


def test_a_control_record_has_no_lineage() -> None:
    block = unpack(SimpleNamespace(offset=4, key=None, value=b"{}", headers=(("watermark", b""),)))
    assert (block.lineage, block.control, [r.value for r in block.records]) == (None, "watermark", [b"{}"])
    assert not block.foreign


def test_what_a_worker_says_of_the_pipeline_has_no_lineage() -> None:
    block = unpack(SimpleNamespace(offset=4, key=b"k", value=b"{}", headers=(("own", b""),)))
    assert (block.lineage, block.control, block.records) == (None, "own", (Record(4 << 20, b"k", b"{}", 0),))
    assert not block.foreign


def test_a_block_of_a_newer_schema_is_told() -> None:
    newer = message(0, [(1, 0)])
    newer.value = newer.value.replace(b"[1,", b"[2,", 1)
    with pytest.raises(NewerSchema, match="a block of schema 2"):
        unpack(newer)


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: value.rpartition(b"\n")[0],
        lambda value: value.replace(b"[1,", b"[", 1),
        lambda value: value.replace(b"[1,2]", b"[1,1]", 1),
        lambda value: b"[1,[],[],[],[],[]]",
        lambda value: b"",
        lambda value: None,
    ],
)
def test_a_damaged_block_is_no_shorter_block(damage: Any) -> None:
    damaged = message(0, [(1, 0), (2, 0)])
    damaged.value = damage(damaged.value)
    assert unpack(damaged).foreign


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), max_size=12))
def test_every_position_is_taken_once_and_in_order(spans: list[tuple[int, int]]) -> None:
    """Whatever spans of one source are sent again: only what is unbroken is taken, nothing twice, nothing skipped."""
    marks, taken = Marks(), []
    for start, length in spans:
        rows = [(offset // 2, offset % 2) for offset in range(start, start + length)]
        previous = Position((start - 1) // 2, (start - 1) % 2) if start else NO_POSITION
        block = unpack(message(0, rows, previous))
        assert block.lineage is not None
        dropped = marks.accept(block.lineage, block.positions)
        taken += block.positions[dropped:]
    assert taken == [(offset // 2, offset % 2) for offset in range(len(taken))]
