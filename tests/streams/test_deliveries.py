"""What is delivered arrives signed, once an id, over restarts; time is injected, so days pass at once."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import orjson
import pytest
from delivering import KEY, LETTERS, PRIVATE, Clock, running, until
from receiving import receiving
from standardwebhooks.webhooks import Webhook
from standing_in import Memory
from synthetic_alerts import alert

from streams.deadletters import open_letter
from streams.handlers import FLUSH_BATCHES
from streams.notify import Delivery, Notify
from streams.receivers import (
    WebhookReceiver,
)


def _secret(key: bytes) -> str:
    return "whsec_" + b64encode(key).decode()


def _at(seconds: str) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(seconds), UTC)


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


async def test_severity_below_the_receiver_s_minimum_is_not_sent() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}, minimum="high") as run:
            await run.take(alert("a", severity="medium"), alert("b", severity="critical"))
            await until(lambda: run.pending() == 0 and len(receiver.received) == 1)
        assert orjson.loads(receiver.received[0].body)["data"]["severity"] == "critical"


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


async def test_a_huge_alert_is_sent_without_its_evidence() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(alert("a", evidence={"user_agent.original": "x" * 1_000_000}))
            await until(lambda: run.pending() == 0)
        body = orjson.loads(receiver.received[0].body)
    assert body["truncated"] is True
    assert body["data"]["findings"][0]["evidence"] == {}
    assert body["data"]["title"] == "Synthetic alert a"
