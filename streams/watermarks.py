"""Event time as it passes: what ingest says of its inputs, and what a reader may conclude from it.

Ingest sends, every second and to every downstream partition, one control record. For each of its input partitions it
says how far that was taken, and for each source in it the event time up to which everything has arrived. A reader's
watermark is the lowest of those that are not idle, once every input has been heard of; it never goes back. See
``docs/time.md``.

Two owners may speak of one input: a worker that was frozen does not know that it lost its partitions. How far an input
was taken tells their words apart, so nothing is needed that could begin anew, as a group's generation does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from streams.lineage import SCHEMA, NewerSchema

__all__ = ["InputClocks", "Watermarks"]


@dataclass(slots=True)
class _Input:
    """What ingest knows of an input partition that it owns."""

    topic_id: str
    since: float  #: seconds, when the last batch was done
    taken: int = -1  #: offset of the next record; -1 before the first batch
    received: int = 0  #: ms, the broker's time of the last record
    busy: bool = False  #: a batch is in hand, or failed and waits
    sources: dict[str, list[int]] = field(default_factory=dict)  #: event time, and broker's time of the last record


class InputClocks:
    """Ingest's side: the highest event time of each input and source, less the source's lateness."""

    def __init__(self, *, inputs: int, idle_after: float) -> None:
        """``inputs``: all input partitions there are, not only ours. ``idle_after``: seconds of silence."""
        self._count = inputs
        self._idle_after = idle_after
        self._inputs: dict[str, _Input] = {}

    def assigned(self, name: str, topic_id: bytes, now: float) -> None:
        """We own input ``name`` (``topic/partition``) since ``now`` (seconds, any clock that only rises)."""
        self._inputs[name] = _Input(topic_id.hex()[:8], now)

    def released(self, name: str) -> None:
        self._inputs.pop(name, None)

    def taking(self, name: str) -> None:
        """A batch of the input is in hand: until it is :meth:`taken` the input is not silent."""
        self._inputs[name].busy = True

    def taken(self, name: str, next_offset: int, times: Mapping[str, int], *, received: int, now: float) -> None:
        """All before ``next_offset`` is durable downstream.

        ``times``: the highest event time of each source in the batch, less its lateness. ``received``: ms, the
        broker's time of its last record.
        """
        held = self._inputs[name]
        held.taken, held.received, held.busy, held.since = next_offset, max(received, held.received), False, now
        for source, time in times.items():
            before = held.sources.get(source, (0, 0))
            held.sources[source] = [max(time, before[0]), max(received, before[1])]

    def record(self, now: float, end_of: Callable[[str], int | None]) -> bytes:
        """The control record. ``end_of``: where an input's log ends, None unless all of it was handed out."""
        words = {}
        for name, held in self._inputs.items():
            end = end_of(name)
            quiet = end is not None and not held.busy and now - held.since >= self._idle_after
            words[name] = [held.topic_id, end if quiet else held.taken, held.received, quiet, held.sources]
        return orjson.dumps(
            {"v": SCHEMA, "inputs": self._count, "idle_after": int(self._idle_after * 1000), "words": words}
        )

    def __bool__(self) -> bool:
        return bool(self._inputs)


@dataclass(slots=True)
class _Heard:
    """The last that counts of what was said of an input. As in a control record, so in the state."""

    topic_id: str
    taken: int
    received: int
    quiet: bool  #: all was taken, and for a while nothing came
    sources: dict[str, list[int]]

    def take(self, word: _Heard) -> None:
        if word.topic_id == self.topic_id and word.taken < self.taken:
            # An owner that has taken nothing yet knows of no silence; another is an owner no more.
            self.quiet = self.quiet and word.taken >= 0
            return
        self.topic_id, self.taken, self.quiet = word.topic_id, word.taken, word.quiet
        self.received = max(self.received, word.received)
        for source, (time, heard) in word.sources.items():
            before = self.sources.get(source, (0, 0))
            self.sources[source] = [max(time, before[0]), max(heard, before[1])]

    def save(self) -> list[Any]:
        return [self.topic_id, self.taken, self.received, self.quiet, self.sources]


class Watermarks:
    """The reader's side: a function of the control records read so far."""

    __slots__ = ("_expected", "_idle_after", "_inputs", "current")

    def __init__(self, saved: Mapping[str, Any] | None = None) -> None:
        saved = saved or {}
        self.current: int = saved.get("current", 0)  #: ms; 0 until every input has been heard of
        self._expected: int = saved.get("expected", 0)
        self._idle_after: int = saved.get("idle_after", 0)
        self._inputs = {name: _Heard(*word) for name, word in saved.get("inputs", {}).items()}

    def take(self, raw: bytes) -> None:
        """Read one control record. Raises NewerSchema; ValueError, KeyError or TypeError on what is none."""
        record = orjson.loads(raw)
        if record["v"] > SCHEMA:
            raise NewerSchema(f"a watermark of schema {record['v']}; this worker reads {SCHEMA}: upgrade it")
        self._expected, self._idle_after = record["inputs"], record["idle_after"]
        for name, word in record["words"].items():
            heard = _Heard(*word)
            if name in self._inputs:
                self._inputs[name].take(heard)
            else:
                self._inputs[name] = heard
        if len(self._inputs) >= self._expected:
            active = [
                time
                for heard in self._inputs.values()
                if not heard.quiet
                for time, last in heard.sources.values()
                # A source that falls silent on an input that goes on is measured by what came after it there.
                if heard.received - last < self._idle_after
            ]
            if active:
                self.current = max(self.current, min(active))

    def observe(self, time: int) -> None:
        """On a topic without control records the highest event time seen stands in for the watermark."""
        self.current = max(self.current, time)

    def silences(self, now: int) -> dict[str, int]:
        """How long, in ms until ``now``, nothing came from each source on any input that it ever came on.

        An input that is behind says nothing of the time that it has not reached.
        """
        last: dict[str, int] = {}
        known: dict[str, int] = {}
        for heard in self._inputs.values():
            reached = now if heard.quiet else heard.received
            for source, (_, received) in heard.sources.items():
                last[source] = max(received, last.get(source, 0))
                known[source] = min(reached, known.get(source, reached))
        return {source: max(0, known[source] - last[source]) for source in last}

    def save(self) -> dict[str, Any]:
        return {
            "current": self.current,
            "expected": self._expected,
            "idle_after": self._idle_after,
            "inputs": {name: heard.save() for name, heard in self._inputs.items()},
        }
