"""A worker process for the fault tests. Each argument takes one rule of docs/replay.md away, to see it missed."""

from __future__ import annotations

import os
import sys
from typing import Any

from streams import agents, handlers, lineage, sender, state
from streams.lineage import NO_POSITION, Lineage
from streams.settings import Settings
from streams.transport import Batch
from streams.worker import run


def no_marks() -> None:
    """Readers take every record, however often it comes."""
    lineage.Marks.accept = _accept_all  # type: ignore[method-assign]


def _accept_all(self: lineage.Marks, record: Lineage, positions: Any) -> int:
    self._taken[record.topic, record.partition] = record.position
    return 0


def findings_last() -> None:
    """State is flushed before the findings it gave are acknowledged."""

    async def process(self: handlers.KeyedHandler, batch: Batch) -> bool:
        derived = self._fold(batch)
        self._unflushed.append(batch)
        await self.flush()
        await self._sender.send(self._topic_id, batch.tp.partition, derived)
        return True

    handlers.KeyedHandler.process = process  # type: ignore[method-assign]


def no_fence() -> None:
    """Every owner writes under a name of its own, so that no other is fenced."""
    changelog = agents.Changelog

    def unfenced(*, transactional_id: str, **kwargs: Any) -> Any:
        return changelog(transactional_id=f"{transactional_id}.{os.getpid()}", **kwargs)

    agents.Changelog = unfenced  # type: ignore[assignment,misc]


def torn_flush() -> None:
    """The position is written in a transaction of its own, before the keys."""

    commit = handlers.Changelog.commit

    async def torn(self: Any, changes: Any) -> None:
        await commit(self, {state.PARTITION: changes[state.PARTITION]})
        rest = {key: value for key, value in changes.items() if key != state.PARTITION}
        if rest:
            await commit(self, rest)

    handlers.Changelog.commit = torn  # type: ignore[method-assign]


def ack_first() -> None:
    """Ingest acknowledges a batch before its outputs are durable."""

    process = handlers.IngestHandler.process

    async def early(self: handlers.IngestHandler, batch: Batch) -> bool:
        batch.ack()
        return await process(self, batch)

    handlers.IngestHandler.process = early  # type: ignore[method-assign]


def no_links() -> None:
    """Records do not name the one before them."""

    def unlinked(*args: Any) -> Lineage:
        return Lineage(*args)._replace(previous=NO_POSITION)

    sender.Lineage = unlinked  # type: ignore[assignment,misc]


SWITCHES = {f.__name__: f for f in (no_marks, findings_last, no_fence, torn_flush, ack_first, no_links)}

if __name__ == "__main__":
    for name in sys.argv[1:]:
        SWITCHES[name]()
    raise SystemExit(run(Settings()))
