"""A partition's state is a fold over its log: how it is cut into batches, and who died meanwhile, changes nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from streams import seen
from streams.blocks import Block
from streams.lineage import NO_POSITION, Lineage, Position
from streams.records import Output, Record
from streams.seen import SeenIds
from streams.state import COUNTS, PartitionState

TOPIC = b"\x01" * 16
#: Buckets behind the newest that are kept.
KEPT = 2


class Remembering:
    """Keeps, by key, the numbers of the records whose event was fresh. A value names event and bucket."""

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        bucket = int(record.value)
        state.watermarks.observe(bucket)
        state.seen.drop_before(state.watermarks.current - KEPT)
        if not fresh:
            state.counts["repeated"] += 1
            return ()
        state.seen.add(bucket, record.event)
        state.values.put(record.key, [*(state.values.get(record.key) or []), record.place])
        return ()

    def dump(self, key: bytes, value: list[int]) -> bytes:
        return b",".join(b"%d" % number for number in value)

    def load(self, key: bytes, raw: bytes) -> list[int]:
        return [int(number) for number in raw.split(b",")]


def log(rng: random.Random, count: int) -> list[Block]:
    """Few events, told again and again with times that differ, while time passes."""
    records = []
    for offset in range(count):
        event = rng.randrange(1, 30)
        position = Position(offset, 0)
        lineage = Lineage(TOPIC, 0, position, NO_POSITION, event)
        bucket = max(0, offset // 20 - rng.randrange(5))
        record = Record(offset, b"k%d" % rng.randrange(3), b"%d" % bucket, event)
        records.append(Block(offset, lineage, (position,), (record,)))
    return records


def content(state: PartitionState) -> Any:
    return sorted(state.values.items()), state.counts, state.position


@pytest.mark.parametrize("seed", range(20))
def test_batches_flushes_and_restarts_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_MERGE", 4)
    rng = random.Random(seed)
    records = log(rng, 300)
    oracle = PartitionState(Remembering())
    oracle.fold(records, {})
    state, held, at = PartitionState(Remembering()), {}, 0
    while at < len(records) or state.changes():
        size = rng.randint(1, 25)
        state.fold(records[at : at + size], {})
        at += size
        fate = rng.random()
        if fate < 0.5:
            held |= state.changes()
            state.flushed()
        elif fate < 0.6:
            state.rollback()
        elif fate < 0.7:
            state = PartitionState(Remembering())
            for key, value in held.items():
                state.restore(key, value)
            state.restored()
        at = state.position
    assert content(state) == content(oracle)


def test_a_value_changed_alone_is_written() -> None:
    """A failed delivery moves no position: what is known of it must be durable all the same."""
    state = PartitionState(Remembering())
    state.values.put(b"k", [1])
    assert state.changes()[b"k"] == b"1"
    state.flushed()
    assert state.changes() == {}


def test_a_count_that_older_state_has_not_starts_at_nothing() -> None:
    state = PartitionState(Remembering())
    state.counts = {}
    record = state.changes()[b"\x00partition"]
    restored = PartitionState(Remembering())
    restored.restore(b"\x00partition", record)
    assert restored.counts == dict.fromkeys(COUNTS, 0)


def test_ids_of_a_busy_hour_come_back_and_no_record_of_them_grows_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket merged into one record without end would one day be larger than Kafka takes, and stop its partition."""
    monkeypatch.setattr(seen, "_CHUNK", 4096)
    ids, held = SeenIds(), {}
    written = 0
    for flush in range(3000):
        for number in range(10):
            ids.add(7, flush * 10 + number + 1)
        changes = ids.changes()
        ids.flushed()
        held |= changes
        written += sum(len(value) for value in changes.values() if value)
    live = {key: value for key, value in held.items() if value is not None}
    assert max(map(len, live.values())) <= 4096
    assert len(live) < 150
    assert written < 8 * 30_000 * 4, "each id is written a few times, however many there are"
    again = SeenIds()
    for key, value in held.items():
        again.load(key, value)
    again.loaded()
    assert len(again) == 30_000
    again.look_up([1, 30_000, 30_001])
    assert [again.fresh(number) for number in (1, 30_000, 30_001)] == [False, False, True]
