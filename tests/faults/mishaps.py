"""What goes wrong within a worker at the worst moments: between send and flush, half way through a batch or a send.

Each is a real fault of this very process: an exception, SIGKILL or SIGSTOP to itself. Kills from outside hit such a
moment once in hundreds.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from streams import handlers, lanes, sender
from streams.sender import DeliveryFailed
from streams.transport import Batch

__all__ = ["MISHAPS", "Stumbled"]


class Stumbled(Exception):
    """An agent raised in the middle of a batch."""


class Chance:
    """``chance()`` is true once in ``every`` calls, at random."""

    def __init__(self, seed: int, every: int, log: Path) -> None:
        self._random = random.Random(seed)
        self._every = every
        self.dozes = log.with_suffix(".dozes")  #: touched before the process stops itself

    def __call__(self) -> bool:
        return self._random.randrange(self._every) == 0


def stumble(chance: Chance) -> None:
    """Agents raise: half of a batch staged, between send and flush, between flush and acknowledgement."""
    fold, flush, process = handlers.KeyedHandler._fold, handlers.KeyedHandler._flush, lanes.Lane._process

    def half(self: handlers.KeyedHandler, batch: Batch) -> Any:
        if chance() and len(batch) > 1:
            fold(self, Batch(batch.tp, batch.records[: len(batch) // 2], batch._consumer))
            raise Stumbled("half of the batch is staged")
        return fold(self, batch)

    async def around(self: handlers.KeyedHandler) -> None:
        if self._unflushed and chance():
            raise Stumbled("sent and not flushed")
        await flush(self)
        if chance():
            raise Stumbled("flushed and not acknowledged")

    async def early(self: lanes.Lane, batch: Batch) -> None:
        if chance():
            raise Stumbled("before the batch")
        await process(self, batch)

    handlers.KeyedHandler._fold = half  # type: ignore[method-assign]
    handlers.KeyedHandler._flush = around  # type: ignore[method-assign]
    lanes.Lane._process = early  # type: ignore[method-assign]


def tear(chance: Chance) -> None:
    """A send fails after the later part of it landed, as it may where requests are in flight side by side.

    Blocks are of a few records here, so that a send has parts.
    """
    sender.LIMIT = 3000
    _half_sent(chance, lambda records: records[len(records) // 2 :], _fail)


def die(chance: Chance) -> None:
    """kill -9: half of the outputs sent, everything sent and nothing flushed, flushed and nothing acknowledged."""
    flush = handlers.KeyedHandler._flush
    _half_sent(chance, lambda records: records[: len(records) // 2], _die)

    async def around(self: handlers.KeyedHandler) -> None:
        if self._unflushed and chance():
            _die()
        await flush(self)
        if chance():
            _die()

    handlers.KeyedHandler._flush = around  # type: ignore[method-assign]


def die_in_flush(chance: Chance) -> None:
    """kill -9 between two transactions, where one flush wrongly is two."""
    commit = handlers.Changelog.commit

    async def then_die(self: Any, changes: Any) -> None:
        await commit(self, changes)
        if chance():
            _die()

    handlers.Changelog.commit = then_die  # type: ignore[method-assign]


def doze(chance: Chance) -> None:
    """SIGSTOP just before a flush; whoever watches lets it go on once another owns its partitions."""
    commit = handlers.Changelog.commit

    async def asleep(self: Any, changes: Any) -> None:
        if chance():
            chance.dozes.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        await commit(self, changes)

    handlers.Changelog.commit = asleep  # type: ignore[method-assign]


def _half_sent(chance: Chance, part: Callable[[list[Any]], list[Any]], then: Callable[[], None]) -> None:
    deliver = sender.Sender._deliver

    async def half(self: Any, batches: Mapping[tuple[str, int], list[Any]]) -> None:
        if chance():
            parts = {target: part(records) for target, records in batches.items()}
            if any(parts.values()):
                await deliver(self, {target: records for target, records in parts.items() if records})
            then()
        await deliver(self, batches)

    sender.Sender._deliver = half  # type: ignore[method-assign]


def _fail() -> None:
    raise DeliveryFailed("torn on purpose")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


MISHAPS: dict[str, Callable[[Chance], None]] = {f.__name__: f for f in (stumble, tear, die, die_in_flush, doze)}
