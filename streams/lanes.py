"""Runs a step over each partition it owns: one batch at a time, in order, and never past one that failed.

A lane is one step on one input partition. A dependency that fails stops that lane alone: it says so, waits, comes
back from what is durable, and tries the same batch again. Meanwhile its unacknowledged batches hold the commit and
the fetching of that partition back; every other lane goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from faust.types import TP

from streams.lineage import NewerSchema, TopicReplaced
from streams.transport import Batch

__all__ = ["Handler", "Lane", "LaneStatus", "Lanes", "Log", "Loss"]

log = logging.getLogger(__name__)

#: Seconds without a batch after which what is unflushed is made durable.
IDLE_FLUSH = 0.1
#: Seconds without a batch after which a handler that has nothing to flush is asked too: work beside the lane may have
#: failed to make something durable, and then the lane must come back from what is.
IDLE_CHECK = 1.0
#: First and longest wait of a stopped lane, in seconds.
BACKOFF = (0.25, 15.0)
#: Seconds that a lane may use to make durable what it holds, when its partition is given up.
RELEASE_TIMEOUT = 5.0


class Handler(Protocol):
    """One step on one partition. Used by one lane; any exception stops that lane until :meth:`open` succeeds."""

    async def open(self) -> int | None:
        """Come back from what is durable. Gives the offset to read from, None for wherever the group's commit says."""
        ...

    async def process(self, batch: Batch) -> bool:
        """Take one batch. True when the effects of everything taken since :meth:`open` are durable."""
        ...

    async def flush(self) -> None:
        """Make durable what is not yet."""
        ...

    async def close(self) -> None: ...


class Log(Protocol):
    """What a lane asks of the log it reads, and of the consumer that stands in it."""

    async def seek(self, tp: TP, offset: int) -> None:
        """Send the consumer to ``offset``; what it brought before is stale."""
        ...

    async def log_start(self, tp: TP) -> int:
        """The oldest offset there is."""
        ...

    async def position(self, tp: TP) -> int | None:
        """Where the consumer stands; None while it finds out."""
        ...

    async def identify(self, topic: str) -> None:
        """Raise TopicReplaced where ``topic`` is not the one that was there when the worker started."""
        ...


@dataclass(slots=True)
class LaneStatus:
    """What ``wardwatch status`` shows of a lane."""

    step: str
    topic: str
    partition: int
    stopped: str = ""  #: why it waits; empty while it runs
    cause: type[Exception] | None = None  #: what stopped it last, until a batch is done again
    holding: bool = False  #: some batch is in hand, or taken and not yet durable
    restarts: int = 0
    records: int = 0
    position: int = 0  #: offset of the next record to take
    lost: int = 0  #: records the broker no longer had when they were due


@dataclass(frozen=True, slots=True)
class Loss:
    """Records that were deleted before they could be taken."""

    step: str
    topic: str
    partition: int
    first: int  #: offset of the first of them
    records: int


class Lane:
    """See the module. :meth:`start` once, :meth:`put` batches, :meth:`release` at the end."""

    def __init__(
        self,
        step: str,
        tp: TP,
        handler: Handler,
        *,
        log: Log,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_lost: Callable[[Loss], object] = lambda _: None,
    ) -> None:
        """``sleep`` waits before another try, in seconds. ``on_lost`` hears what was deleted before it was taken."""
        self.status = LaneStatus(step, tp.topic, tp.partition)
        self._tp = tp
        self.handler = handler
        self._log = log
        self._sleep = sleep
        self._on_lost = on_lost
        self._queue: asyncio.Queue[Batch | None] = asyncio.Queue()
        self._unacked: deque[Batch] = deque()
        self._position: int | None = None
        self._sought = False
        self._suspect = False  #: the last batch began before the one before it ended
        self._releasing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"{self.status.step} {self._tp}")

    def put(self, batch: Batch) -> None:
        """Hand over the next batch; the driver bounds how many may wait."""
        if not self._releasing:
            self._queue.put_nowait(batch)

    async def release(self) -> None:
        """Finish the batch in hand, make durable what is not, acknowledge, stop. Bounded by RELEASE_TIMEOUT."""
        self._releasing = True
        self._queue.put_nowait(None)
        if self._task is None:
            return
        if self.status.stopped:
            self._task.cancel()
        done, _ = await asyncio.wait({self._task}, timeout=RELEASE_TIMEOUT)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self.handler.close()

    async def _run(self) -> None:
        pause = BACKOFF[0]
        while not self._releasing:
            try:
                if self._suspect:
                    await self._identify()
                self._position = await self.handler.open()
                self._sought = False
                self._say_running()
                if self._unacked:
                    self._position = None  # what they cover begins at or before what is durable
                for batch in list(self._unacked):
                    await self._process(batch)
                pause = BACKOFF[0]
                await self._loop()
                return
            except asyncio.CancelledError:
                return
            except Exception as exc:
                self._say_stopped(exc)
                pause = BACKOFF[1] if isinstance(exc, NewerSchema | TopicReplaced) else pause
                await self._sleep(pause)
                pause = min(2 * pause, BACKOFF[1])

    async def _loop(self) -> None:
        while not self._releasing:
            try:
                batch = await asyncio.wait_for(self._queue.get(), IDLE_FLUSH if self._unacked else IDLE_CHECK)
            except TimeoutError:
                await self._flush()
                await self._look_back()
                continue
            if batch is None:
                break
            if not batch.stale and await self._in_sequence(batch):
                self._unacked.append(batch)
                self.status.holding = True
                if batch.first_offset < self.status.position:
                    self._suspect = True
                    await self._identify()
                await self._process(batch)
        await self._flush()

    async def _process(self, batch: Batch) -> None:
        durable = await self.handler.process(batch)
        self.status.records += len(batch)
        self.status.position = batch.next_offset
        if durable:
            self._ack()

    async def _flush(self) -> None:
        await self.handler.flush()
        self._ack()

    def _ack(self) -> None:
        while self._unacked:
            self._unacked.popleft().ack()
        self.status.holding, self.status.cause = False, None

    async def _in_sequence(self, batch: Batch) -> bool:
        """False where the consumer stands past what is durable: it is sent back, and the batch comes again."""
        position, self._position = self._position, None
        expected = batch.expected if position is None else position
        if expected is None or batch.first_offset <= expected:
            return True
        if position is not None and not self._sought:
            self._sought = True
            self._position = position
            await self._log.seek(self._tp, position)
            return False
        await self._count_lost(expected, batch.first_offset)
        return True

    async def _identify(self) -> None:
        """Offsets that begin again may be those of another topic: nothing of it is taken before that is known."""
        await self._log.identify(self._tp.topic)
        self._suspect = False

    async def _look_back(self) -> None:
        """Where no batch comes to tell: the consumer may stand past what is durable, at the end of the log."""
        position = self._position
        if position is not None and not self._sought:
            stands = await self._log.position(self._tp)
            if stands is not None and stands > position:
                self._sought = True
                await self._log.seek(self._tp, position)

    async def _count_lost(self, expected: int, first: int) -> None:
        """Records below the start of the log are gone; other holes are compaction and transaction markers."""
        lost = min(await self._log.log_start(self._tp), first) - expected
        if lost > 0:
            self.status.lost += lost
            self._on_lost(Loss(self.status.step, self._tp.topic, self._tp.partition, expected, lost))
            log.error(
                "%s: %d records from offset %d of %s[%d] on were deleted before they could be processed: keep them "
                "longer than workers may be away (retention.ms)",
                self.status.step,
                lost,
                expected,
                self._tp.topic,
                self._tp.partition,
            )

    def _say_running(self) -> None:
        if self.status.stopped:
            log.warning("%s of %s[%d] runs again", self.status.step, self._tp.topic, self._tp.partition)
        self.status.stopped = ""

    def _say_stopped(self, exc: Exception) -> None:
        self.status.stopped = f"{type(exc).__name__}: {exc}"
        self.status.cause = type(exc)
        self.status.restarts += 1
        log.warning(
            "%s of %s[%d] stopped: %s",
            self.status.step,
            self._tp.topic,
            self._tp.partition,
            self.status.stopped,
        )


class Lanes:
    """The lanes of one worker."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._steps: dict[str, tuple[str, Callable[[int], Handler]]] = {}
        self._lanes: dict[TP, Lane] = {}
        self._losses: list[Loss] = []
        self._closed = False

    def register(self, topic: str, step: str, handler: Callable[[int], Handler]) -> None:
        """Say which step reads ``topic``; ``handler`` makes one for a partition."""
        self._steps[topic] = (step, handler)

    def assign(self, partitions: Iterable[TP]) -> None:
        """Start a lane for each partition of a registered topic that has none. None any more after :meth:`close`."""
        for tp in () if self._closed else partitions:
            if tp.topic in self._steps and tp not in self._lanes:
                step, handler = self._steps[tp.topic]
                lane = Lane(step, tp, handler(tp.partition), log=self._log, on_lost=self._losses.append)
                self._lanes[tp] = lane
                lane.start()

    def put(self, batch: Batch) -> None:
        lane = self._lanes.get(batch.tp)
        if lane is not None:
            lane.put(batch)

    async def release(self, partitions: Iterable[TP]) -> None:
        """Stop the lanes of ``partitions``, all at once, leaving durable what they had finished."""
        lanes = [self._lanes.pop(tp) for tp in set(partitions) if tp in self._lanes]
        results = await asyncio.gather(*(lane.release() for lane in lanes), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                log.warning("a lane did not stop cleanly: %r", result)

    async def close(self) -> None:
        self._closed = True
        await self.release(list(self._lanes))

    def status(self) -> list[LaneStatus]:
        return [lane.status for lane in self._lanes.values()]

    def losses(self) -> list[Loss]:
        """What was lost since this was last asked."""
        taken = self._losses.copy()
        self._losses.clear()
        return taken

    def handler(self, tp: TP) -> Handler | None:
        """The handler of a partition that is ours."""
        lane = self._lanes.get(tp)
        return None if lane is None else lane.handler
