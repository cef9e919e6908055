"""The state of one input partition as a pure fold over its log: no clock, no network, no randomness.

What a step keeps of a partition is its position, the marks of its sources, the watermark, the ids it has seen, and
one value per key. :meth:`PartitionState.fold` takes records in log order and gives what they derive;
:meth:`PartitionState.changes` gives all that must be written to come back to exactly this point, in one transaction.
The same code is the oracle of the fault tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import orjson

from detectors.rules.correlation.timers import Timers
from streams import seen
from streams.blocks import Block
from streams.lineage import SCHEMA, Marks, NewerSchema
from streams.records import OWN, WATERMARK, Output, Record
from streams.seen import SeenIds
from streams.watermarks import Watermarks

__all__ = ["COUNTS", "BadDerived", "KeyedStep", "PartitionState", "TimedStep", "Values"]

PARTITION = b"\x00partition"

#: Records that were not taken any further, and why; a step may count other things beside them.
COUNTS = ("duplicate", "repeated", "late", "untimely", "held", "unknown")

#: Live values kept beside their bytes, so that busy keys are not decoded again for every batch.
_LIVE = 2048


class BadDerived(Exception):
    """A step could not take a record of ours. :attr:`record` is the one; the state was rolled back."""

    def __init__(self, record: Record, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__} at place {record.place}")
        self.record = record
        self.cause = cause


class KeyedStep(Protocol):
    """What a step does with each record; all it remembers is in the state it is handed."""

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        """Outputs of one record. ``fresh`` is False where its event was seen before. May raise: see BadDerived."""
        ...

    def dump(self, key: bytes, value: Any) -> bytes: ...

    def load(self, key: bytes, raw: bytes) -> Any: ...


@runtime_checkable
class TimedStep(KeyedStep, Protocol):
    """A step that does something when time passes: it sets :attr:`PartitionState.timers` for each of its values."""

    def settle(self, state: PartitionState) -> Sequence[Output]:
        """Outputs of a watermark: what the timers that it passed ask for."""
        ...

    def due(self, raw: bytes) -> int:
        """The timer of a value that :meth:`dump` wrote, ms."""
        ...


class PartitionState:
    """One partition of one step. Used by one task."""

    def __init__(self, step: KeyedStep) -> None:
        self._step = step
        self.topic = b""  #: Kafka's id of the topic that the position is in; empty before it was ever said
        self.position = 0  #: offset of the next record to take
        self.marks = Marks()
        self.watermarks = Watermarks()
        self.seen = SeenIds()
        self.values = Values(step.dump, step.load)
        self._timed = step if isinstance(step, TimedStep) else None
        self.timers: Timers[bytes] = Timers()  #: a function of the values
        self.counts = dict.fromkeys(COUNTS, 0)
        self._unreadable: ValueError | None = None
        self._durable = self._partition_record()

    # Reading

    def fold(
        self,
        blocks: Sequence[Block],
        replacements: Mapping[int, Sequence[Output]],
        *,
        before: Callable[[int], None] | None = None,
    ) -> list[tuple[int, Sequence[Output]]]:
        """Take blocks in log order; give each one's offset and outputs, for those that have any.

        ``replacements`` holds, by place, what to put out instead for records known to be bad; ``before`` is told each
        other's place before it is taken. Raises BadDerived, after which the state is as it was at the last flush, and
        NewerSchema.
        """
        self.seen.look_up([record.event for block in blocks for record in block.records])
        derived: list[tuple[int, Sequence[Output]]] = []
        for block in blocks:
            if block.offset < self.position:
                continue
            outputs = self._take(block, replacements, before)
            if outputs:
                derived.append((block.offset, outputs))
            self.position = block.offset + 1
        return derived

    def _take(
        self, block: Block, replacements: Mapping[int, Sequence[Output]], before: Callable[[int], None] | None
    ) -> list[Output]:
        outputs: list[Output] = []
        records = block.records
        fold: Callable[[Record, bool, PartitionState], Sequence[Output]] = self._step.fold
        if block.lineage is None:
            fold = partial(_control, fold, block.control, self._timed)
        elif dropped := self.marks.accept(block.lineage, block.positions):
            self.counts["duplicate"] += dropped
            records = records[dropped:]
        for record in records:
            if record.place in replacements:
                outputs.extend(replacements[record.place])
                continue
            if before is not None:
                before(record.place)
            try:
                outputs.extend(fold(record, self.seen.fresh(record.event), self))
            except NewerSchema:
                raise
            except Exception as exc:
                self.rollback()
                raise BadDerived(record, exc) from exc
        return outputs

    # Durability

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take back one record of the changelog, in log order. Raises NewerSchema."""
        if key == PARTITION and value is not None:
            self._take_back(value)
            self._durable = value
        elif key.startswith(seen.PREFIX):
            try:
                self.seen.load(key, value)
            except ValueError as exc:
                self._unreadable = exc  # the partition's record tells whether a later version wrote it
        else:
            self.values.restore(key, value)

    def restored(self) -> None:
        """Call once after the last :meth:`restore`. Raises ValueError on what is no state of ours."""
        if self._unreadable is not None:
            raise self._unreadable
        self.seen.loaded()
        self._set_timers()

    def changes(self) -> dict[bytes, bytes | None]:
        """All that must become durable together; empty where nothing happened since :meth:`flushed`."""
        record = self._partition_record()
        changes = {**self.values.changes(), **self.seen.changes()}
        return {PARTITION: record, **changes} if changes or record != self._durable else {}

    def flushed(self) -> None:
        """What :meth:`changes` gave is durable."""
        self._durable = self._partition_record()
        self.values.flushed()
        self.seen.flushed()

    def rollback(self) -> None:
        """Be again as after the last :meth:`flushed`."""
        self._take_back(self._durable)
        self.values.rollback()
        self.seen.rollback()
        self._set_timers()

    def _set_timers(self) -> None:
        if self._timed is not None:
            due = self._timed.due
            self.timers = Timers((key, due(raw)) for key, raw in self.values.durable())

    def _partition_record(self) -> bytes:
        return orjson.dumps(
            {
                "v": SCHEMA,
                "topic": self.topic.hex(),
                "position": self.position,
                "marks": self.marks.save(),
                "watermarks": self.watermarks.save(),
                "counts": self.counts,
            }
        )

    def _take_back(self, raw: bytes) -> None:
        saved = orjson.loads(raw)
        if saved["v"] > SCHEMA:
            raise NewerSchema(f"state of schema {saved['v']}; this worker reads {SCHEMA}: upgrade it")
        self.topic = bytes.fromhex(saved.get("topic", "")) or self.topic
        self.position = saved["position"]
        self.marks = Marks(saved["marks"])
        self.watermarks = Watermarks(saved["watermarks"])
        self.counts = {**dict.fromkeys(COUNTS, 0), **saved["counts"]}


_Fold = Callable[[Record, bool, PartitionState], Sequence[Output]]


def _control(
    fold: _Fold, kind: str, timed: TimedStep | None, record: Record, fresh: bool, state: PartitionState
) -> Sequence[Output]:
    """Take a record without lineage. Raises on one that is nobody's of ours."""
    if kind == OWN:
        return fold(record, True, state)
    if kind != WATERMARK:
        raise ValueError("neither derived from another record nor a control record")
    state.watermarks.take(record.value)
    return () if timed is None else timed.settle(state)


class Values:
    """Values by key: all as bytes, the busy ones also live. Whoever gets one may change it in place."""

    def __init__(self, dump: Callable[[bytes, Any], bytes], load: Callable[[bytes, bytes], Any]) -> None:
        self._dump = dump
        self._load = load
        self._durable: dict[bytes, bytes] = {}
        self._live: dict[bytes, Any] = {}
        self._dirty: set[bytes] = set()
        self._staged: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> Any | None:
        """The live value for reading; None where there is none. Call :meth:`put` if it changed."""
        value = self._live.get(key)
        if value is None and key not in self._dirty:
            raw = self._durable.get(key)
            if raw is not None:
                value = self._live[key] = self._load(key, raw)
        return value

    def put(self, key: bytes, value: Any) -> None:
        """Set a value, or say that the one :meth:`get` gave has changed."""
        self._live[key] = value
        self._dirty.add(key)

    def remove(self, key: bytes) -> None:
        self._live.pop(key, None)
        self._dirty.add(key)

    def items(self) -> Iterator[tuple[bytes, Any]]:
        """Every key and its value, in no order, for reading only."""
        for key in {*self._durable, *self._dirty}:
            value = self._live.get(key)
            if value is None and key not in self._dirty:
                value = self._load(key, self._durable[key])
            if value is not None:
                yield key, value

    def durable(self) -> Iterable[tuple[bytes, bytes]]:
        """Every key and its bytes, as of the last flush."""
        return self._durable.items()

    def changed(self) -> set[bytes]:
        """Keys put or removed since the last flush."""
        return self._dirty

    def __len__(self) -> int:
        return len(self._durable)

    def restore(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._durable.pop(key, None)
        else:
            self._durable[key] = value

    def changes(self) -> dict[bytes, bytes | None]:
        self._staged = {}
        for key in self._dirty:
            value = self._live.get(key)
            # A copy: orjson's own bytes hold on to the buffer they were written in, ten times as large.
            self._staged[key] = None if value is None else bytes(memoryview(self._dump(key, value)))
        return self._staged

    def flushed(self) -> None:
        for key, value in self._staged.items():
            self.restore(key, value)
        self._staged = {}
        self._dirty.clear()
        if len(self._live) > _LIVE:
            for key in list(self._live)[: len(self._live) - _LIVE // 2]:
                del self._live[key]

    def rollback(self) -> None:
        self._live.clear()
        self._dirty.clear()
        self._staged = {}
