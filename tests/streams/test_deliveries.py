"""Deliveries to a real receiver that fails in every way; time is injected, so days pass at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
from nacl.public import PrivateKey
from receiving import receiving
from standardwebhooks.webhooks import Webhook
from synthetic_alerts import alert

from detectors.base import Alert
from streams import deliveries
from streams.codecs import encode_alert
from streams.deadletters import DeadLetters, open_letter
from streams.deliveries import DeliveryHandler, Notify
from streams.handlers import FLUSH_BATCHES
from streams.lineage import HEADER, NO_POSITION, Lineage, Position
from streams.records import Output
from streams.settings import Receiver
from streams.transport import Batch

KEY = bytes(range(32))
PRIVATE = PrivateKey.generate()
LETTERS = DeadLetters(bytes(PRIVATE.public_key))
TOPIC = b"\x07" * 16


class Memory:
    """Stands for the changelog: keeps what was committed, so that a second handler finds it."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}

    async def open(self, on_record: Callable[[bytes, bytes | None], None]) -> None:
        for key, value in self.held.items():
            on_record(key, value)

    async def commit(self, changes: dict[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.held.pop(key, None)
            else:
                self.held[key] = value

    async def close(self) -> None:
        pass


class Sent:
    """Stands for the sender: keeps what was sent."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    async def send(self, topic_id: bytes, partition: int, derived: Sequence[tuple[int, Sequence[Output]]]) -> int:
        for _, outputs in derived:
            self.outputs += outputs
        return 0


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Running:
    def __init__(self, handler: DeliveryHandler, memory: Memory, sent: Sent, clock: Clock) -> None:
        self.handler = handler
        self.memory = memory
        self.sent = sent
        self.clock = clock
        self._offset = handler.state.position

    async def take(self, *alerts: Alert, flush: bool = True) -> None:
        records = []
        for taken in alerts:
            lineage = Lineage(TOPIC, 0, Position(self._offset, 0), NO_POSITION, 1)
            value = encode_alert(taken)
            records.append(
                SimpleNamespace(offset=self._offset, key=b"k", value=value, headers=[(HEADER, lineage.pack())])
            )
            self._offset += 1
        batch = Batch(SimpleNamespace(topic="notifications", partition=0), records, None)  # type: ignore[arg-type]
        await self.handler.process(batch)
        if flush:
            await self.handler.flush()

    async def pass_time(self, seconds: float) -> None:
        """Let ``seconds`` pass for the deliveries, which are woken as their timer would."""
        await asyncio.sleep(0.3)  # what the receiver answered is kept by now
        self.clock.now += seconds
        self.handler._wake()
        await asyncio.sleep(0.1)

    def pending(self) -> int:
        return sum(1 for key in self.memory.held if not key.startswith(b"\x00"))


@asynccontextmanager
async def running(
    urls: dict[str, str], *, memory: Memory | None = None, clock: Clock | None = None, minimum: Any = "low"
) -> AsyncIterator[Running]:
    memory, sent, clock = memory or Memory(), Sent(), clock or Clock()
    receivers = {name: Receiver(url=url, minimum_severity=minimum) for name, url in urls.items()}
    async with httpx.AsyncClient() as client:
        handler = DeliveryHandler(
            Notify(receivers, LETTERS),
            sent,
            memory,
            LETTERS,
            stage="notify",
            topic_id=TOPIC,
            now=lambda: 0.0,
            receivers=receivers,
            default_key=KEY,
            client=client,
            clock=clock,
            chance=lambda: 0.5,
        )
        await handler.open()
        try:
            yield Running(handler, memory, sent, clock)
        finally:
            await handler.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_batch_that_comes_when_a_flush_is_due_is_taken() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}) as run:
            for number in range(FLUSH_BATCHES + 1):
                await asyncio.wait_for(run.take(alert(f"{number}"), flush=False), 5)
            await run.pass_time(0)
        assert len(receiver.received) == FLUSH_BATCHES + 1


async def test_an_alert_arrives_signed_and_is_forgotten() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a"))
            await until(lambda: run.pending() == 0)
        (got,) = receiver.received
        assert got.headers["webhook-id"] == f"{alert('a').id}.1.oncall"
        assert orjson.loads(got.body)["data"]["title"] == "Synthetic alert a"
        assert got.headers["webhook-signature"].startswith("v1,")
        # the second implementation checks the age against the real clock, so only its signature is asked for
        signed = Webhook(KEY).sign(got.headers["webhook-id"], _at(got.headers["webhook-timestamp"]), got.body.decode())
        assert got.headers["webhook-signature"] == signed


def _at(seconds: str) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(seconds), UTC)


async def test_a_failing_receiver_is_asked_again_under_the_same_id() -> None:
    answers = [(500, {}, b""), (302, {"location": "http://127.0.0.1:9/"}, b""), (0, {}, b""), (200, {}, b"")]
    with receiving(lambda n: answers[n]) as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a"))
            await until(lambda: len(receiver.received) == 1)
            await run.pass_time(4)
            assert len(receiver.received) == 1, "not before it is due"
            for count, delay in ((2, 2), (3, 301), (4, 1801)):
                await run.pass_time(delay)
                await until(lambda count=count: len(receiver.received) == count)  # type: ignore[misc]
            await until(lambda: run.pending() == 0)
        assert len({got.headers["webhook-id"] for got in receiver.received}) == 1
        assert len({got.headers["webhook-timestamp"] for got in receiver.received}) == 4


async def test_retry_after_is_honoured() -> None:
    with receiving(lambda n: (429, {"retry-after": "100"}, b"") if n == 0 else (200, {}, b"")) as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a"))
            await until(lambda: len(receiver.received) == 1)
            await run.pass_time(60)
            assert len(receiver.received) == 1
            await run.pass_time(41)
            await until(lambda: run.pending() == 0)


async def test_a_dead_receiver_delays_no_other() -> None:
    with receiving() as receiver:
        async with running({"dead": "http://127.0.0.1:9/", "alive": receiver.url}) as run:
            await run.take(*(alert(name) for name in "abcdefgh"))
            await until(lambda: len(receiver.received) == 8)
            await until(lambda: run.pending() == 8)  # what waits for the dead one is kept


async def test_what_is_pending_survives_a_restart() -> None:
    memory, clock = Memory(), Clock()
    with receiving(lambda n: (503, {}, b"") if n == 0 else (200, {}, b"")) as receiver:
        async with running({"oncall": receiver.url}, memory=memory, clock=clock) as run:
            await run.take(alert("a"))
            await until(lambda: len(receiver.received) == 1)
            await asyncio.sleep(0.05)
        clock.now += 6
        async with running({"oncall": receiver.url}, memory=memory, clock=clock) as run:
            await until(lambda: run.pending() == 0)
        ids = [got.headers["webhook-id"] for got in receiver.received]
        assert len(ids) == 2
        assert ids[0] == ids[1]


async def test_an_answer_that_could_not_be_kept_is_told_to_the_lane_though_nothing_else_comes() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}) as run:
            commit, failing = run.memory.commit, True

            async def commit_or_fail(changes: dict[bytes, bytes | None]) -> None:
                if receiver.received and failing:
                    raise ConnectionError("no broker")
                await commit(changes)

            run.memory.commit = commit_or_fail  # type: ignore[method-assign]
            await run.take(alert("a"))
            await until(lambda: run.handler._failure is not None)
            with pytest.raises(ConnectionError):
                await run.handler.flush()
            failing = False
            await run.handler.open()  # as the lane does
            await until(lambda: run.pending() == 0)
        assert len({got.headers["webhook-id"] for got in receiver.received}) == 1


async def test_after_days_it_becomes_a_dead_letter_that_says_why() -> None:
    with receiving(lambda _: (500, {}, b"")) as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a"))
            for attempt in range(1, 11):
                await until(lambda attempt=attempt: len(receiver.received) == attempt)  # type: ignore[misc]
                await asyncio.sleep(0.02)
                await run.pass_time(90_000)
            await until(lambda: run.pending() == 0)
            (output,) = run.sent.outputs
    letter = open_letter(output.value, bytes(PRIVATE))
    assert letter.reason == "receiver oncall did not take it in 10 attempts: status 500"
    assert orjson.loads(letter.value)["data"]["id"] == alert("a").id


async def test_a_receiver_that_is_gone_is_left_alone() -> None:
    with receiving(lambda _: (410, {}, b"")) as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a"))
            await until(lambda: run.pending() == 0)
            await run.take(alert("b"))
            await until(lambda: len(run.sent.outputs) == 2)
            assert len(receiver.received) == 1


async def test_severity_below_the_receiver_s_minimum_is_not_sent() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}, minimum="high") as run:
            await run.take(alert("a", severity="medium"), alert("b", severity="critical"))
            await until(lambda: run.pending() == 0 and len(receiver.received) == 1)
        assert orjson.loads(receiver.received[0].body)["data"]["severity"] == "critical"


async def test_what_waits_for_one_receiver_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MAX_PENDING", 2)
    async with running({"dead": "http://127.0.0.1:9/"}) as run:
        await run.take(alert("a"), alert("b"), alert("c"))
        assert run.pending() == 2
        letter = open_letter(run.sent.outputs[0].value, bytes(PRIVATE))
        assert letter.reason == "2 deliveries to dead wait already"


async def test_a_huge_answer_is_not_read() -> None:
    with receiving(lambda _: (200, {}, b"x" * 50_000_000)) as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a"))
            await until(lambda: run.pending() == 0)
