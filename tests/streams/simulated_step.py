"""The keyed step of the simulated world, and what it makes of a log when nothing fails: the oracle."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from simulated_kafka import Logged

from streams.blocks import unpack
from streams.records import Output, Record
from streams.state import BadDerived, PartitionState

__all__ = ["Counting", "fold", "is_bad"]

FINDING_EVERY = 3
#: One event in so many cannot be taken.
BAD_EVERY = 9


class Counting:
    """A keyed step whose state is the list of event ids applied to a key; every third one is a finding.

    Some events it cannot take, and finds that out when the list has already changed.
    """

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        if not fresh:
            return ()
        state.seen.add(0, record.event)
        event = int(record.value)
        applied = state.values.get(record.key) or []
        applied.append(event)
        state.values.put(record.key, applied)
        if is_bad(event):
            raise ValueError("an event that cannot be taken")
        if len(applied) % FINDING_EVERY:
            return ()
        name = b"%s/%d" % (record.key, len(applied))
        return (Output("findings", name, orjson.dumps(applied)),)

    def dump(self, key: bytes, value: list[int]) -> bytes:
        return orjson.dumps(value)

    def load(self, key: bytes, raw: bytes) -> list[int]:
        value: list[int] = orjson.loads(raw)
        return value


def is_bad(event: int) -> bool:
    return event % BAD_EVERY == BAD_EVERY - 1


def fold(log: list[Logged]) -> tuple[list[tuple[int, Sequence[Output]]], dict[int, Sequence[Output]]]:
    """What the pure step makes of a log, and the places of what it cannot take."""
    blocks = [unpack(logged) for logged in log]
    refused: dict[int, Sequence[Output]] = {}
    while True:
        try:
            return PartitionState(Counting()).fold(blocks, refused), refused
        except BadDerived as exc:
            refused[exc.record.place] = ()
