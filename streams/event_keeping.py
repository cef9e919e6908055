"""Events into a store of their own, by a step that no alert waits for: which are kept, and what is durable when."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

from detectors.base import Event
from detectors.rules import RuleSet
from streams import topics
from streams.blocks import address, unpack
from streams.codecs import decode_event, overlap_of
from streams.deadletters import DeadLetters
from streams.lineage import NewerSchema, fingerprint
from streams.records import Output, RawRecord, Record
from streams.sender import Sender
from streams.sinks.elasticsearch import Elasticsearch
from streams.sinks.event_index import write_events
from streams.sinks.event_store import EventStore, Limits
from streams.tallies import Tally
from streams.transport import Batch

__all__ = ["FILTERED", "EmbeddedEvents", "EventFilter", "EventsHandler", "IndexedEvents", "Keeper"]


#: Why an event goes no further: settings leave it out; it is the second reading of one, while a key rotates; no step
#: of ours wrote it, and another step refuses it.
UNWANTED, EARLIER, FOREIGN = FILTERED = ("unwanted", "earlier", "foreign")


class EventFilter:
    """Which events are kept. Says the same of an event each time."""

    def __init__(self, *, sources: Sequence[str] = (), rules: RuleSet | None = None, sample: float = 1.0) -> None:
        """``sources``: names; empty, all. ``rules``: one must match the event's ECS fields. ``sample``: 0 to 1."""
        self._sources = frozenset(sources)
        self._rules = rules
        self._below = int(sample * (1 << 64))

    def keeps(self, event: Event) -> bool:
        time = event.time if event.timely else None
        return (
            (not self._sources or event.source in self._sources)
            and fingerprint(event.id) < self._below
            and (self._rules is None or bool(self._rules.match({}, event.fields, None, time)))
        )


class Keeper(Protocol):
    """Where events are kept."""

    async def write(self, events: list[Event]) -> list[tuple[Event, str]]:
        """Durable when it returns; gives those refused for good, and why. Raises where it is away."""
        ...

    async def check(self) -> None:
        """Raise StoreUnavailable where it is away: nobody may have an event for it for hours."""
        ...

    async def close(self) -> None: ...


class EmbeddedEvents:
    """In a file beside the worker."""

    def __init__(self, store: EventStore | Path, limits: Limits, clock: Callable[[], float]) -> None:
        """``store``: or the path of one that is opened once there is room. ``clock``: seconds since the epoch."""
        self._store = store
        self._limits = limits
        self._clock = clock
        self._turn = asyncio.Lock()

    async def write(self, events: list[Event]) -> list[tuple[Event, str]]:
        now = int(self._clock() * 1000)
        async with self._turn:
            await asyncio.to_thread(lambda: self._opened().write(events, now=now, limits=self._limits))
        return []

    def _opened(self) -> EventStore:
        """Raises StoreError."""
        if not isinstance(self._store, EventStore):
            self._store = EventStore(self._store)
        return self._store

    async def check(self) -> None:
        """A file that cannot be written says so when it is."""

    async def close(self) -> None:
        if isinstance(self._store, EventStore):
            self._store.close()


class IndexedEvents:
    """In Elasticsearch."""

    def __init__(self, store: Elasticsearch, zone: tzinfo) -> None:
        """``zone``: where the hour of day is told by."""
        self._store = store
        self._zone = zone

    async def write(self, events: list[Event]) -> list[tuple[Event, str]]:
        return [(refused.written, refused.reason) for refused in await write_events(self._store, events, self._zone)]

    async def check(self) -> None:
        await self._store.check()

    async def close(self) -> None:
        await self._store.close()


class EventsHandler:
    """One partition of ``events``. A batch is acknowledged once the store has it.

    An event that the log holds twice is written under one id; what no step of ours wrote is another step's to refuse.
    """

    def __init__(
        self,
        keeper: Keeper,
        kept: EventFilter,
        sender: Sender,
        dead_letters: DeadLetters,
        *,
        topic_id: bytes,
        tally: Tally,
    ) -> None:
        self._keeper = keeper
        self._kept = kept
        self._sender = sender
        self._dead_letters = dead_letters
        self._topic_id = topic_id
        self._tally = tally

    async def open(self) -> None:
        """Nothing to come back to: the group's commit says where to go on."""

    async def process(self, batch: Batch) -> bool:
        events: list[Event] = []
        origin: dict[str, Record] = {}
        letters: list[tuple[int, Output]] = []
        filtered: Counter[str] = Counter()
        taken = 0
        for lying in batch.records:
            block = unpack(lying)
            if block.foreign:
                filtered[FOREIGN] += len(block.records)
            ours = block.records if block.lineage is not None else ()
            taken += len(block.records) if block.foreign else len(ours)
            for record in ours:
                try:
                    reason = ""
                    if overlap_of(record.value) == "earlier":
                        reason = EARLIER
                    elif not self._kept.keeps(event := decode_event(record.value)):
                        reason = UNWANTED
                except NewerSchema:
                    raise
                except Exception as exc:
                    letters.append(self._letter(batch, record, f"{type(exc).__name__} while reading an event"))
                    continue
                if reason:
                    filtered[reason] += 1
                else:
                    events.append(event)
                    origin[event.id] = record
            await asyncio.sleep(0)
        for event, reason in await self._keeper.write(events):
            letters.append(self._letter(batch, origin[event.id], f"Elasticsearch refused it: {reason}"))
        if letters:
            derived = [(offset, [output]) for offset, output in sorted(letters, key=lambda letter: letter[0])]
            await self._sender.send(self._topic_id, batch.tp.partition, _by_offset(derived))
        passed = taken - len(letters) - filtered.total()
        self._tally.add(taken=taken, passed=passed, dead=len(letters), filtered=filtered)
        return True

    def _letter(self, batch: Batch, record: Record, reason: str) -> tuple[int, Output]:
        offset, line = address(record.place)
        raw = RawRecord(topics.EVENTS, batch.tp.partition, offset, 0, record.value, {}, line)
        return offset, self._dead_letters.output(raw, stage="events", reason=reason)

    async def flush(self) -> None:
        """Every batch was durable when :meth:`process` returned."""

    async def close(self) -> None:
        """The store belongs to the worker."""


def _by_offset(derived: Sequence[tuple[int, list[Output]]]) -> list[tuple[int, list[Output]]]:
    """Outputs of one Kafka record together, so that each has a position of its own."""
    together: dict[int, list[Output]] = {}
    for offset, outputs in derived:
        together.setdefault(offset, []).extend(outputs)
    return list(together.items())
