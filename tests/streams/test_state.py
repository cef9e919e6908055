"""What of a partition's state must become durable."""

from __future__ import annotations

from typing import Any

import orjson

from streams.state import PartitionState


class Keeping:
    """A step that derives nothing; values are JSON."""

    def fold(self, record: Any, fresh: bool, state: PartitionState) -> tuple[()]:
        return ()

    def dump(self, key: bytes, value: Any) -> bytes:
        return orjson.dumps(value)

    def load(self, key: bytes, raw: bytes) -> Any:
        return orjson.loads(raw)


def test_a_value_that_changed_by_itself_is_written() -> None:
    """As the attempts at a delivery do, with no record behind them."""
    state = PartitionState(Keeping())
    assert state.changes() == {}
    state.values.put(b"k", 1)
    assert state.changes()[b"k"] == b"1"
    state.flushed()
    assert state.changes() == {}
