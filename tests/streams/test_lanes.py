"""A lane takes batches in order, never past one that failed, and says why it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from streams.lanes import Lane, Lanes, Loss
from streams.lineage import NewerSchema, TopicReplaced
from streams.transport import Batch

T = TP("topic", 0)


class Acks:
    """Stands for the consumer: notes what was acknowledged."""

    def __init__(self) -> None:
        self.count = 0
        self.stale = False

    def on_batch_acked(self, tp: TP) -> None:
        self.count += 1

    def is_stale(self, tp: TP, epoch: int) -> bool:
        return self.stale


def batch(first: int, count: int = 10, acks: Acks | None = None, tp: TP = T, *, expected: int | None = None) -> Batch:
    records = [SimpleNamespace(offset=offset) for offset in range(first, first + count)]
    return Batch(tp, records, acks or Acks(), expected=expected)  # type: ignore[arg-type]


class Recording:
    """A handler that notes what it took and is durable at once, unless told otherwise."""

    def __init__(self, position: int | None = None, durable: bool = True) -> None:
        self.position = position
        self.durable = durable
        self.opened = self.flushed = self.closed = 0
        self.taken: list[int] = []
        self.fail: Callable[[Batch], None] = lambda batch: None

    async def open(self) -> int | None:
        self.opened += 1
        return self.position

    async def process(self, batch: Batch) -> bool:
        self.fail(batch)
        self.taken.append(batch.first_offset)
        return self.durable

    async def flush(self) -> None:
        self.flushed += 1

    async def close(self) -> None:
        self.closed += 1


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Standing:
    """A log that begins at ``start``, and a consumer in it that notes where it is sent."""

    def __init__(self, *, start: int = 0, position: int | None = None) -> None:
        self.start = start
        self.stands = position
        self.sought: list[int] = []
        self.replaced = False
        self.on_seek: Callable[[], None] = lambda: None

    async def seek(self, tp: TP, offset: int) -> None:
        self.sought.append(offset)
        self.on_seek()
        self.stands = offset

    async def log_start(self, tp: TP) -> int:
        return self.start

    async def position(self, tp: TP) -> int | None:
        return self.stands

    async def identify(self, topic: str) -> None:
        if self.replaced:
            raise TopicReplaced("deleted and made again")


def lane(handler: Any, *, log: Standing | None = None, pauses: list[float] | None = None) -> Lane:
    async def sleep(seconds: float) -> None:
        if pauses is not None:
            pauses.append(seconds)
        await asyncio.sleep(0)

    made = Lane("step", T, handler, log=log or Standing(), sleep=sleep)
    made.start()
    return made


async def test_batches_are_taken_in_order_and_acknowledged() -> None:
    handler, acks = Recording(), Acks()
    running = lane(handler)
    for first in (0, 10, 20):
        running.put(batch(first, acks=acks))
    await settle()
    assert handler.taken == [0, 10, 20]
    assert acks.count == 3
    await running.release()
    assert handler.closed == 1


async def test_a_failing_batch_is_tried_again_and_nothing_passes_it() -> None:
    handler, acks, pauses = Recording(), Acks(), []
    left = 3

    def fail(failing: Batch) -> None:
        nonlocal left
        if failing.first_offset == 10 and left:
            left -= 1
            raise ConnectionError("no broker")

    handler.fail = fail
    running = lane(handler, pauses=pauses)
    for first in (0, 10, 20):
        running.put(batch(first, acks=acks))
    await settle()
    assert handler.taken == [0, 10, 20], "the held batch comes before later ones"
    assert handler.opened == 4, "each try comes back from what is durable"
    assert pauses == [0.25, 0.5, 1.0]
    assert running.status.restarts == 3
    assert running.status.stopped == ""
    await running.release()


async def test_a_stopped_lane_says_why_and_acknowledges_nothing() -> None:
    handler, acks = Recording(), Acks()

    def fail(_: Batch) -> None:
        raise ConnectionError("no broker")

    handler.fail = fail

    async def forever(_: float) -> None:
        await asyncio.Event().wait()

    running = Lane("step", T, handler, log=Standing(), sleep=forever)
    running.start()
    running.put(batch(0, acks=acks))
    await settle()
    assert running.status.stopped == "ConnectionError: no broker"
    assert acks.count == 0
    await running.release()
    assert acks.count == 0


async def test_a_newer_schema_waits_long() -> None:
    handler, pauses = Recording(), []
    left = 1

    def fail(_: Batch) -> None:
        nonlocal left
        if left:
            left -= 1
            raise NewerSchema("schema 9")

    handler.fail = fail
    running = lane(handler, pauses=pauses)
    running.put(batch(0))
    await settle()
    assert pauses == [15.0]
    await running.release()


async def test_acknowledgement_waits_for_the_flush() -> None:
    handler, acks = Recording(durable=False), Acks()
    running = lane(handler)
    running.put(batch(0, acks=acks))
    await settle()
    assert acks.count == 0
    await running.release()
    assert handler.flushed == 1
    assert acks.count == 1


async def test_a_consumer_past_what_is_durable_is_sent_back() -> None:
    handler, acks, log = Recording(position=5), Acks(), Standing()

    def on_seek() -> None:
        acks.stale = True

    log.on_seek = on_seek
    running = lane(handler, log=log)
    for first in (20, 30, 40):
        running.put(batch(first, acks=acks))
    await settle()
    assert log.sought == [5]
    running.put(batch(50, acks=acks))
    await settle()
    assert handler.taken == [], "what was on its way when the consumer was sent back comes again, and later"
    for first in (5, 15, 25):
        running.put(batch(first))
    await settle()
    assert handler.taken == [5, 15, 25]
    assert running.status.lost == 0
    assert log.sought == [5]
    await running.release()


async def test_records_the_broker_no_longer_has_are_counted() -> None:
    handler = Recording(position=5)
    running = lane(handler, log=Standing(start=18))
    running.put(batch(20))
    await settle()
    running.put(batch(20))
    await settle()
    assert handler.taken == [20]
    assert running.status.lost == 13, "18 and 19 are a hole in a log that begins at 18"
    await running.release()


async def test_records_lost_while_a_partition_rested_are_counted_once() -> None:
    handler = Recording()
    running = lane(handler, log=Standing(start=30))
    running.put(batch(0, expected=0))
    running.put(batch(30, expected=10))
    running.put(batch(40, expected=40))
    await settle()
    assert handler.taken == [0, 30, 40]
    assert running.status.lost == 20
    await running.release()


async def test_a_consumer_past_what_is_durable_is_sent_back_where_no_record_comes() -> None:
    handler, log = Recording(position=5), Standing(position=20)
    running = lane(handler, log=log)
    async with asyncio.timeout(10):
        while not log.sought:
            await asyncio.sleep(0.05)
    assert log.sought == [5]
    await running.release()


async def test_a_topic_made_again_stops_its_lane_and_costs_no_batch() -> None:
    handler, log, pauses = Recording(), Standing(), []
    running = lane(handler, log=log, pauses=pauses)
    running.put(batch(50))
    await settle()
    log.replaced = True
    running.put(batch(0))
    await settle()
    assert handler.taken == [50]
    assert running.status.stopped == "TopicReplaced: deleted and made again"
    assert set(pauses) == {15.0}
    log.replaced = False  # the consumer had only gone back, and nobody could say so before
    await settle()
    assert handler.taken[-1] == 0
    await running.release()


async def test_one_stopped_partition_holds_no_other() -> None:
    bad, good = Recording(), Recording()

    def fail(_: Batch) -> None:
        raise ConnectionError

    bad.fail = fail
    lanes = Lanes(Standing())
    lanes.register("topic", "step", lambda partition: bad if partition == 0 else good)
    lanes.assign([TP("topic", 0), TP("topic", 1), TP("other", 0)])
    lanes.put(batch(0, tp=TP("topic", 0)))
    lanes.put(batch(0, tp=TP("topic", 1)))
    lanes.put(batch(0, tp=TP("other", 0)))
    await settle()
    assert good.taken == [0]
    assert {status.partition: bool(status.stopped) for status in lanes.status()} == {0: True, 1: False}
    await lanes.close()
    assert lanes.status() == []
    lanes.assign([TP("topic", 0)])
    assert lanes.status() == [], "a rebalance while the worker ends starts nothing"


async def test_what_was_lost_is_told_once_also_of_a_lane_that_is_gone() -> None:
    lanes = Lanes(Standing(start=18))
    lanes.register("topic", "step", lambda partition: Recording())
    lanes.assign([T])
    lanes.put(batch(0, 5))
    lanes.put(batch(20, expected=5))
    await settle()
    await lanes.release([T])
    assert lanes.losses() == [Loss("step", "topic", 0, 5, 13)]
    assert lanes.losses() == []


async def test_a_lane_that_holds_something_says_so_until_it_is_durable() -> None:
    handler = Recording(durable=False)
    running = lane(handler)
    assert not running.status.holding
    handler.fail = failing = lambda batch: (_ for _ in ()).throw(ConnectionError("no broker"))
    running.put(batch(0))
    await settle()
    assert (running.status.holding, running.status.cause) == (True, ConnectionError)
    assert handler.fail is failing
    handler.fail = lambda batch: None
    await settle()
    assert (running.status.holding, running.status.cause) == (True, ConnectionError), "taken, and not durable"
    await running.release()
    assert (running.status.holding, running.status.cause) == (False, None)
