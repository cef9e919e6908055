"""Deliveries to a real receiver that fails in every way; time is injected, so days pass at once."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
import pytest
from delivering import KEY, PRIVATE, Clock, running, until
from receiving import receiving
from standing_in import Memory
from synthetic_alerts import alert

from streams import notify
from streams.deadletters import open_letter
from streams.receivers import (
    AlertmanagerReceiver,
    AnyReceiver,
    PagerDutyReceiver,
    SlackReceiver,
    TeamsReceiver,
)
from streams.sinks import attempts
from streams.sinks.addresses import Addresses
from streams.sinks.exchange import HttpSink, client_for, tls_context
from streams.sinks.webhook import compose_with, judge


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
