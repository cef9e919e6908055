"""The rules of ``docs/replay.md`` by name, and the product's own code with any of them taken away."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

from streams import state as state_module
from streams.handlers import KeyedHandler
from streams.lineage import Lineage, Marks
from streams.seen import SeenIds
from streams.state import PartitionState
from streams.transport import Batch

__all__ = ["FindingsLast", "Rules"]


class AcceptAll(Marks):
    """Takes every record, however often it comes."""

    def accept(self, lineage: Lineage, positions: Sequence[tuple[int, int]]) -> int:
        return 0


class FindingsLast(KeyedHandler):
    """Flushes before what the batch derived is acknowledged."""

    async def process(self, batch: Batch) -> bool:
        derived = self._fold(batch)
        self._unflushed.append(batch)
        await self.flush()
        await self._sender.send(self._topic_id, batch.tp.partition, derived)
        return True


@dataclass(frozen=True)
class Rules:
    """Which rules hold; all do in the product. The numbers are those of ``docs/replay.md``."""

    pure: bool = True  #: 1: a step derives the same from the same record
    output: bool = True  #: 1: a position says which output of its record it is
    link: bool = True  #: 1: records name the one before them
    order: bool = True  #: 2: outputs leave in the order of their positions
    durable_first: bool = True  #: 3: ingest commits what is durable
    stop: bool = True  #: 3: nothing passes a batch that failed
    ack_check: bool = True  #: 3: acked offsets must rise
    marks: bool = True  #: 4: readers take a position once
    findings_first: bool = True  #: 6: findings are acknowledged before the flush
    atomic: bool = True  #: 6: a flush is one transaction
    seek: bool = True  #: 6: recovery goes to the position, whatever the group committed
    fence: bool = True  #: 7: an old owner cannot write
    ids: bool = True  #: 9: an event that was sent twice counts once
    staged: bool = True  #: 10: a record that cannot be taken leaves nothing behind

    def broken(self) -> ExitStack:
        """The product's own code without the rules that are off, until the stack is closed."""
        stack = ExitStack()
        if not self.marks:
            stack.enter_context(patch.object(state_module, "Marks", AcceptAll))
        if not self.ids:
            stack.enter_context(patch.object(SeenIds, "fresh", lambda *_: True))
        if not self.staged:
            stack.enter_context(patch.object(PartitionState, "rollback", lambda _: None))
        return stack
