"""Each takes one rule of docs/replay.md away from the product's own code, to see that it is missed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from random import SystemRandom
from typing import Any

from streams import agents, changelog, handlers, lanes, lineage, pipeline, seen, sender, state
from streams.lineage import NO_POSITION, Lineage
from streams.records import Output
from streams.transport import Batch

__all__ = ["SWITCHES"]

_chance = SystemRandom()


def impure() -> None:
    """Rule 1: what a record derives comes in another order each time."""
    derive = pipeline.Ingest._outputs

    def shuffled(self: Any, released: Any) -> list[Output]:
        outputs = derive(self, released)
        return _chance.sample(outputs, len(outputs))

    pipeline.Ingest._outputs = shuffled  # type: ignore[method-assign]


def no_output_index() -> None:
    """Rule 1: a position does not say which output of its record it is."""
    sender.numbered = lambda outputs: [(0, output) for output in outputs]  # type: ignore[assignment]


def no_links() -> None:
    """Rule 1: records do not name the one before them."""

    def unlinked(*args: Any) -> Lineage:
        return Lineage(*args)._replace(previous=NO_POSITION)

    sender.Lineage = unlinked  # type: ignore[assignment,misc]


def no_order() -> None:
    """Rule 2: outputs leave in the reverse order of their positions."""
    send = sender.Sender.send

    async def reverse(
        self: Any, topic_id: bytes, partition: int, derived: Iterable[tuple[int, Sequence[Output]]]
    ) -> int:
        return await send(self, topic_id, partition, list(derived)[::-1])

    sender.Sender.send = reverse  # type: ignore[method-assign,assignment]


def ack_first() -> None:
    """Rule 3: ingest acknowledges a batch before its outputs are durable."""
    process = handlers.IngestHandler.process

    async def early(self: handlers.IngestHandler, batch: Batch) -> bool:
        batch.ack()
        return await process(self, batch)

    handlers.IngestHandler.process = early  # type: ignore[method-assign]


def no_stop() -> None:
    """Rule 3: a batch that failed is passed over."""
    process = lanes.Lane._process

    async def go_on(self: lanes.Lane, batch: Batch) -> None:
        try:
            await process(self, batch)
        except Exception:
            self.handler._sound = True  # type: ignore[attr-defined]
            self._ack()

    lanes.Lane._process = go_on  # type: ignore[method-assign]


def no_marks() -> None:
    """Rule 4: readers take every record, however often it comes."""

    def accept_all(self: lineage.Marks, record: Lineage, positions: Any) -> int:
        self._taken[record.topic, record.partition] = record.position
        return 0

    lineage.Marks.accept = accept_all  # type: ignore[method-assign]


def findings_last() -> None:
    """Rule 6: state is flushed before the findings it gave are acknowledged."""

    async def process(self: handlers.KeyedHandler, batch: Batch) -> bool:
        derived = self._fold(batch)
        self._unflushed.append(batch)
        await self._flush()
        await self._sender.send(self._topic_id, batch.tp.partition, derived)
        return True

    handlers.KeyedHandler.process = process  # type: ignore[method-assign]


def torn_flush() -> None:
    """Rule 6: the position is written in a transaction of its own, before the keys."""
    commit = changelog.Changelog.commit

    async def torn(self: Any, changes: Any) -> None:
        await commit(self, {state.PARTITION: changes[state.PARTITION]})
        rest = {key: value for key, value in changes.items() if key != state.PARTITION}
        if rest:
            await commit(self, rest)

    changelog.Changelog.commit = torn  # type: ignore[method-assign]


def trust_the_commit() -> None:
    """Rule 6: recovery goes on from what the group committed."""

    async def from_the_commit(self: handlers.KeyedHandler) -> None:
        await reopen(self)

    reopen = handlers.KeyedHandler.open
    handlers.KeyedHandler.open = from_the_commit  # type: ignore[method-assign,assignment]


def no_fence() -> None:
    """Rule 7: every owner writes under a name of its own, so that no other is fenced."""
    fenced = agents.Changelog

    def unfenced(*, transactional_id: str, **kwargs: Any) -> Any:
        return fenced(transactional_id=f"{transactional_id}.{os.getpid()}", **kwargs)

    agents.Changelog = unfenced  # type: ignore[assignment,misc]


def no_ids() -> None:
    """Rule 9: an event that was sent twice counts twice."""
    seen.SeenIds.fresh = lambda *_: True  # type: ignore[method-assign]


def half_applied() -> None:
    """Rule 10: a record that cannot be taken leaves behind what it had changed."""
    state.PartitionState.rollback = lambda _: None  # type: ignore[method-assign]


SWITCHES: dict[str, Callable[[], None]] = {
    f.__name__: f
    for f in (
        impure,
        no_output_index,
        no_links,
        no_order,
        ack_first,
        no_stop,
        no_marks,
        findings_last,
        torn_flush,
        trust_the_commit,
        no_fence,
        no_ids,
        half_applied,
    )
}
