"""Event time as it passes: what ingest says of its inputs, and what a reader may conclude from it.

Ingest sends, every second and to every downstream partition, one control record that names for each of its input
partitions and sources the event time up to which everything has arrived, or that the input is idle. A reader's
watermark is the lowest of those that are not idle, once every input has been heard of; it never goes back.
See ``docs/time.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from streams.lineage import SCHEMA, NewerSchema

__all__ = ["InputClocks", "Watermarks"]


class InputClocks:
    """Ingest's side: the highest event time of each input, less its source's lateness."""

    def __init__(self, *, inputs: int, idle_after: float) -> None:
        """``inputs``: all input partitions there are, not only ours. ``idle_after``: seconds without a record."""
        self._inputs = inputs
        self._idle_after = idle_after
        self._clocks: dict[str, dict[str, int]] = {}
        self._heard: dict[str, float] = {}

    def assigned(self, name: str, now: float) -> None:
        """We own input ``name`` (``topic/partition``) since ``now`` (seconds, any clock that only rises)."""
        self._clocks[name] = {}
        self._heard[name] = now

    def released(self, name: str) -> None:
        self._clocks.pop(name, None)
        self._heard.pop(name, None)

    def advance(self, name: str, source: str, time: int, now: float) -> None:
        """An event of ``source`` arrived and is durable downstream; ``time`` is its own less the source's lateness."""
        clocks = self._clocks.get(name)
        if clocks is not None:
            clocks[source] = max(time, clocks.get(source, 0))
            self._heard[name] = now

    def record(self, generation: int, now: float) -> bytes:
        """The control record: ``generation`` is our group generation, so that an old owner's word is told apart."""
        return orjson.dumps(
            {
                "v": SCHEMA,
                "generation": generation,
                "inputs": self._inputs,
                "clocks": self._clocks,
                "idle": [name for name, heard in self._heard.items() if now - heard >= self._idle_after],
            }
        )

    def __bool__(self) -> bool:
        return bool(self._clocks)


class Watermarks:
    """The reader's side: a function of the control records read so far."""

    __slots__ = ("_clocks", "_expected", "_generation", "_idle", "current")

    def __init__(self, saved: Mapping[str, Any] | None = None) -> None:
        saved = saved or {}
        self.current: int = saved.get("current", 0)  #: ms; 0 until every input has been heard of
        self._clocks: dict[str, dict[str, int]] = {k: dict(v) for k, v in saved.get("clocks", {}).items()}
        self._idle: set[str] = set(saved.get("idle", ()))
        self._generation: int = saved.get("generation", 0)
        self._expected: int = saved.get("expected", 0)

    def take(self, raw: bytes) -> None:
        """Read one control record. Raises NewerSchema, and ValueError on what is none."""
        record = orjson.loads(raw)
        if record["v"] > SCHEMA:
            raise NewerSchema(f"a watermark of schema {record['v']}; this worker reads {SCHEMA}: upgrade it")
        if record["generation"] < self._generation:
            return
        self._generation = record["generation"]
        self._expected = record["inputs"]
        for name, clocks in record["clocks"].items():
            held = self._clocks.setdefault(name, {})
            for source, time in clocks.items():
                held[source] = max(time, held.get(source, 0))
            self._idle.discard(name)
        self._idle.update(record["idle"])
        if len(self._clocks) >= self._expected:
            active = [
                min(clocks.values()) for name, clocks in self._clocks.items() if clocks and name not in self._idle
            ]
            if active:
                self.current = max(self.current, min(active))

    def observe(self, time: int) -> None:
        """On a topic without control records the highest event time seen stands in for the watermark."""
        self.current = max(self.current, time)

    def save(self) -> dict[str, Any]:
        return {
            "current": self.current,
            "clocks": {name: dict(clocks) for name, clocks in self._clocks.items()},
            "idle": sorted(self._idle),
            "generation": self._generation,
            "expected": self._expected,
        }
