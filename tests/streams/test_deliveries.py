"""Deliveries to a real receiver that fails in every way; time is injected, so days pass at once."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from nacl.public import PrivateKey
from receiving import receiving
from standardwebhooks.webhooks import Webhook
from standing_in import NO_JOURNAL, TOPIC, Memory, Sent, batch_of, derived
from synthetic_alerts import alert

from detectors.base import Alert
from streams import notify
from streams.codecs import encode_alert
from streams.deadletters import DeadLetters, open_letter
from streams.deliveries import DeliveryHandler
from streams.handlers import FLUSH_BATCHES
from streams.notify import Delivery, Notify
from streams.receivers import (
    AlertmanagerReceiver,
    AnyReceiver,
    PagerDutyReceiver,
    SlackReceiver,
    TeamsReceiver,
    WebhookReceiver,
)
from streams.routing import Routes
from streams.sinks import attempts
from streams.sinks.addresses import Addresses
from streams.sinks.catalog import make_sinks
from streams.sinks.exchange import HttpSink, client_for, tls_context
from streams.sinks.webhook import compose_with, judge
from streams.tallies import Tally

KEY = bytes(range(32))
PRIVATE = PrivateKey.generate()
LETTERS = DeadLetters(bytes(PRIVATE.public_key))


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Running:
    def __init__(self, handler: DeliveryHandler, memory: Memory, sent: Sent, clock: Clock, routes: Routes) -> None:
        self.handler = handler
        self._routes = routes
        self.memory = memory
        self.sent = sent
        self.clock = clock
        self._offset = handler.state.position

    async def take(self, *alerts: Alert, flush: bool = True) -> None:
        asked = [(taken, name) for taken in alerts for name in self._routes.of(taken)]
        records = [
            derived(self._offset + n, encode_alert(taken), key=name.encode()) for n, (taken, name) in enumerate(asked)
        ]
        self._offset += len(records)
        await self.handler.process(batch_of("notifications", records))
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
    urls: dict[str, str | AnyReceiver],
    *,
    memory: Memory | None = None,
    clock: Clock | None = None,
    minimum: Any = "low",
    secret: str | None = None,
) -> AsyncIterator[Running]:
    memory, sent, clock = memory or Memory(), Sent(), clock or Clock()
    receivers: dict[str, AnyReceiver] = {
        name: WebhookReceiver(url=at, minimum_severity=minimum, secret=secret) if isinstance(at, str) else at
        for name, at in urls.items()
    }
    sinks = make_sinks(receivers, private_hosts=["127.0.0.1"], webhook_key=KEY)
    handler = DeliveryHandler(
        Notify(receivers, LETTERS),
        sent,
        memory,
        LETTERS,
        journal=NO_JOURNAL,
        stage="notify",
        tally=Tally(),
        topic_id=TOPIC,
        now=lambda: 0.0,
        receivers=receivers,
        sinks=sinks,
        clock=clock,
        chance=lambda: 0.5,
    )
    await handler.open()
    try:
        yield Running(handler, memory, sent, clock, Routes(receivers))
    finally:
        await handler.close()
        for sink in sinks.values():
            await sink.close()


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


def _secret(key: bytes) -> str:
    return "whsec_" + b64encode(key).decode()


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
    monkeypatch.setattr(notify, "MAX_PENDING", 2)
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


async def test_what_a_dead_receiver_leaves_waiting_costs_nothing_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 waiting deliveries are read once, when the partition is opened, and not again for every attempt."""
    memory, clock = Memory(), Clock()
    step = Notify({"dead": WebhookReceiver(url="http://127.0.0.1:9/")}, LETTERS)
    for number in range(20_000):
        name = f"synthetic-{number}"
        waiting = Delivery("dead", name, b"{}", attempts=3, due=int(clock.now * 1000) + number)
        memory.held[name.encode()] = step.dump(name.encode(), waiting)
    loads = 0
    load = Notify.load

    def counted(self: Notify, key: bytes, raw: bytes) -> Delivery:
        nonlocal loads
        loads += 1
        return load(self, key, raw)

    monkeypatch.setattr(Notify, "load", counted)
    with receiving() as receiver:
        async with running({"dead": "http://127.0.0.1:9/", "alive": receiver.url}, memory=memory, clock=clock) as run:
            assert loads == 20_000
            for number in range(20):
                await run.take(alert(f"{number}"))
            await until(lambda: len(receiver.received) == 20)
            clock.now += 0.2
            run.handler._wake()
            await until(lambda: run.handler._schedules["dead"].next_due() > clock.now * 1000)  # type: ignore[operator]
    # 201 were due; each was read once more, tried, and waits again
    assert loads < 20_300


async def test_what_waits_for_a_receiver_no_longer_set_becomes_dead_letters() -> None:
    memory, clock = Memory(), Clock()
    async with running({"old": "http://127.0.0.1:9/"}, memory=memory, clock=clock) as run:
        await run.take(*(alert(f"{number}") for number in range(30)))
        assert run.pending() == 30
    with receiving() as receiver:
        async with running({"new": receiver.url}, memory=memory, clock=clock) as run:
            clock.now += 1000
            run.handler._wake()
            await until(lambda: run.pending() == 0)
            assert len(run.sent.outputs) == 30
            assert run.sent.calls < 5, "letters leave together"
            letter = open_letter(run.sent.outputs[0].value, bytes(PRIVATE))
            assert letter.reason.endswith("attempts: it is no longer in the settings")
            await run.take(alert("a"))
            await until(lambda: run.pending() == 0 and len(receiver.received) == 1)


async def test_a_receiver_that_was_gone_for_eight_hours_misses_nothing_and_delays_no_other() -> None:
    """Every kind at once; what came while one was away comes when it is back, each under the id it had."""
    memory, clock, away, hours = Memory(), Clock(), True, (0, 2, 4, 6)
    answer = lambda _: (503, {}, b"") if away else (200, {}, b"")  # noqa: E731
    with receiving(answer) as gone, receiving() as there:
        urls: dict[str, str | AnyReceiver] = {
            "webhook": gone.url,
            "pagerduty": PagerDutyReceiver(kind="pagerduty", routing_key="0" * 32, url=gone.url),
            "slack": SlackReceiver(kind="slack", url=gone.url),
            "teams": TeamsReceiver(kind="teams", url=gone.url),
            "alertmanager": AlertmanagerReceiver(kind="alertmanager", url=gone.url),
            "other": there.url,
        }
        async with running(urls, memory=memory, clock=clock) as run:
            for hour in hours:
                await run.take(alert(f"hour {hour}"))
                await run.pass_time(2 * 3600)
            assert len(there.received) == len(hours)
            assert run.pending() == 5 * len(hours)
        away = False
        before = len(gone.received)
        clock.now += 12 * 3600  # the longest of the delays that begin within eight hours
        async with running(urls, memory=memory, clock=clock) as run:
            await until(lambda: run.pending() == 0)
            assert run.sent.outputs == []
        arrived = gone.received[before:]
        assert len(arrived) == 5 * len(hours)
        ids = [got.headers["webhook-id"] for got in arrived if "webhook-id" in got.headers]
        assert sorted(ids) == sorted(f"{alert(f'hour {hour}').id}.1.webhook" for hour in hours)


async def test_what_a_receiver_refuses_for_good_is_a_dead_letter_at_once() -> None:
    with receiving(lambda n: (400, {}, b"invalid_blocks") if n == 0 else (200, {}, b"")) as receiver:
        async with running({"chat": SlackReceiver(kind="slack", url=receiver.url)}) as run:
            await run.take(alert("a"))
            await until(lambda: len(run.sent.outputs) == 1)
            await run.take(alert("b"))
            await until(lambda: run.pending() == 0)
            assert len(receiver.received) == 2, "the receiver itself is not given up"
        letter = open_letter(run.sent.outputs[0].value, bytes(PRIVATE))
    assert letter.reason == "receiver chat did not take it in 1 attempts: status 400"


async def test_the_attempts_made_are_remembered_over_a_restart() -> None:
    memory, clock = Memory(), Clock()
    with receiving(lambda _: (500, {}, b"")) as receiver:
        async with running({"oncall": receiver.url}, memory=memory, clock=clock) as run:
            await run.take(alert("a"))
            await until(lambda: len(receiver.received) == 1)
            await run.pass_time(6)
            await until(lambda: len(receiver.received) == 2)
            await asyncio.sleep(0.1)
        async with running({"oncall": receiver.url}, memory=memory, clock=clock) as run:
            ((_, waiting),) = run.handler.state.values.items()
            assert waiting.attempts == 2
            assert waiting.due == int((clock.now + 300) * 1000)


async def test_an_answer_that_could_not_be_kept_is_kept_by_the_next_flush() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a"))
            run.memory.failures.append(ConnectionError("no broker"))
            await until(lambda: len(receiver.received) == 1 and not run.memory.failures)
            assert run.pending() == 1
            await run.handler.flush()  # as the lane does every second
            assert run.pending() == 0
        assert len(receiver.received) == 1


async def test_while_a_secret_is_replaced_both_sign() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}, secret=f"{_secret(KEY)} {_secret(KEY[::-1])}") as run:
            await run.take(alert("a"))
            await until(lambda: run.pending() == 0)
        (got,) = receiver.received
        at = _at(got.headers["webhook-timestamp"])
        signed = [Webhook(key).sign(got.headers["webhook-id"], at, got.body.decode()) for key in (KEY, KEY[::-1])]
        assert got.headers["webhook-signature"].split() == signed


@pytest.mark.parametrize(
    ("name", "headers"),
    [("oncall", {"retry-after": "9" * 5000}), ("oncall", {"retry-after": "Mon, 01 Jan 0001 00:00:00"}), ("☎", {})],
)
async def test_no_answer_and_no_name_ends_the_attempts(name: str, headers: dict[str, str]) -> None:
    with receiving(lambda _: (503, headers, b"")) as receiver:
        async with running({name: receiver.url}) as run:
            await run.take(alert("a"))
            await until(lambda: any(delivery.attempts for _, delivery in run.handler.state.values.items()))
            assert not any(task.done() for task in run.handler._tasks)


async def test_a_receiver_that_answers_by_the_byte_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "TIMEOUT", 0.5)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.1)
        writer.close()
        hung_up.set()

    hung_up = asyncio.Event()
    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        client = client_for(Addresses(["127.0.0.1"]), tls_context(None))
        sink = HttpSink(f"http://user:password@{host}:{port}/", client, compose_with([KEY]), judge)
        async with asyncio.timeout(5):
            outcome = await sink.attempt("i", b"{}", 0)
        await asyncio.wait_for(hung_up.wait(), 5)
        await sink.close()
    assert outcome.verdict == "retry"
    assert "password" not in outcome.detail


async def test_a_huge_alert_is_sent_without_its_evidence() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a", evidence={"user_agent.original": "x" * 1_000_000}))
            await until(lambda: run.pending() == 0)
        body = orjson.loads(receiver.received[0].body)
    assert body["truncated"] is True
    assert body["data"]["findings"][0]["evidence"] == {}
    assert body["data"]["title"] == "Synthetic alert a"
