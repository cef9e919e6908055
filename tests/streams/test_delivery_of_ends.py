"""That an alert is over reaches whoever was told of it: once, after that, and whatever fails in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from delivering import KEY, PRIVATE, Clock, running, until
from receiving import Received, receiving
from standardwebhooks.webhooks import Webhook
from standing_in import Memory
from synthetic_alerts import alert, over, own

from streams.deadletters import open_letter
from streams.receivers import (
    AlertmanagerReceiver,
    AnyReceiver,
    PagerDutyReceiver,
    SlackReceiver,
    TeamsReceiver,
    WebhookReceiver,
)

BEGUN = own()
OVER = over(BEGUN)


def receivers(url: str, **settings: Any) -> dict[str, str | AnyReceiver]:
    """One of each kind that is asked by HTTP, each by a path of its own below ``url``."""
    return {
        "webhook": WebhookReceiver(url=f"{url}/webhook", **settings),
        "pagerduty": PagerDutyReceiver(kind="pagerduty", routing_key="0" * 32, url=f"{url}/pagerduty", **settings),
        "slack": SlackReceiver(kind="slack", url=f"{url}/slack", **settings),
        "teams": TeamsReceiver(kind="teams", url=f"{url}/teams", **settings),
        "alertmanager": AlertmanagerReceiver(kind="alertmanager", url=f"{url}/alertmanager", **settings),
    }


def by_kind(received: list[Received]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for got in received:
        found.setdefault(got.path.split("/")[2], []).append(orjson.loads(got.body))
    return found


def acts(event: dict[str, Any]) -> tuple[str, str]:
    return event["event_action"], event["dedup_key"]


@pytest.mark.parametrize("cap", [{}, {"per_hour": 1, "group_minutes": 30}], ids=["plain", "capped and grouped"])
async def test_every_receiver_that_was_told_hears_the_end(cap: dict[str, Any]) -> None:
    """The second trouble is past a cap of one; each end is there all the same, and each trouble ends by itself."""
    other = own("b", time=BEGUN.first_seen + 1000)
    with receiving() as receiver:
        async with running(receivers(receiver.url, **cap)) as run:
            await run.take(BEGUN)
            await until(lambda: run.pending() == 0)
            await run.take(other, OVER)
            await until(lambda: len(receiver.received) == (10 if cap else 15))
            await run.take(over(other))
            await until(lambda: len(receiver.received) == (15 if cap else 20))
        got = by_kind(receiver.received)
    ends = [acts(event) for event in got["pagerduty"] if event["event_action"] == "resolve"]
    assert ends == [("resolve", BEGUN.id), ("resolve", other.id)]
    assert [acts(event) for event in got["pagerduty"]].index(("trigger", BEGUN.id)) == 0
    told = [(message["type"], message["data"]["id"]) for message in got["webhook"]]
    assert told.count(("alert.resolved", BEGUN.id)) == told.count(("alert.resolved", other.id)) == 1
    labels = [posted["labels"] for (posted,) in got["alertmanager"] if posted["endsAt"] == posted["startsAt"]]
    assert [label["alert"] for label in labels] == [BEGUN.id, other.id]
    assert [m["text"] for m in got["slack"]].count("Over: Synthetic trouble a") == 1


async def test_the_end_is_signed_as_a_message_of_its_own() -> None:
    with receiving() as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(BEGUN, OVER)
            await until(lambda: len(receiver.received) == 2 and run.pending() == 0)
        ids = [got.headers["webhook-id"] for got in receiver.received]
        assert ids == [f"{BEGUN.id}.1.oncall", f"{BEGUN.id}.2.oncall"]
        got = receiver.received[1]
        at = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)
        assert got.headers["webhook-signature"] == Webhook(KEY).sign(ids[1], at, got.body.decode())


async def test_an_end_waits_for_its_beginning_over_a_restart() -> None:
    """An incident that is resolved before it is opened stays open for ever."""
    memory, clock, away = Memory(), Clock(), True
    answer: Callable[[int], Any] = lambda _: (503, {}, b"") if away else (202, {}, b"")  # noqa: E731
    with receiving(answer) as receiver:
        urls = receivers(receiver.url)
        async with running(urls, memory=memory, clock=clock) as run:
            await run.take(BEGUN)
            await run.pass_time(3600)
            await run.take(OVER)
            await run.pass_time(3600)
            assert {acts(event)[0] for event in by_kind(receiver.received)["pagerduty"]} == {"trigger"}
        away, before = False, len(receiver.received)
        clock.now += 24 * 3600
        async with running(urls, memory=memory, clock=clock) as run:
            await until(lambda: run.pending() == 0)
            assert run.sent.outputs == []
            assert run.handler.state.counts["pending.pagerduty"] == 0
        got = by_kind(receiver.received[before:])
    assert {kind: len(messages) for kind, messages in got.items()} == dict.fromkeys(urls, 2)
    assert [acts(event) for event in got["pagerduty"]] == [("trigger", BEGUN.id), ("resolve", BEGUN.id)]
    assert [message["type"] for message in got["webhook"]] == ["alert.opened", "alert.resolved"]


async def test_what_ends_while_it_is_told_ends_afterwards() -> None:
    """The answer to the first attempt comes after the end is known; a crash then may tell both again, in order."""
    memory = Memory()
    with receiving() as receiver:
        async with running({"oncall": receiver.url}, memory=memory) as run:
            await run.take(BEGUN, flush=False)
            memory.failures += [ConnectionError("no broker")]  # what came of the attempt cannot be kept
            await until(lambda: len(receiver.received) == 1 and not memory.failures)
            await run.take(OVER)
        async with running({"oncall": receiver.url}, memory=memory) as run:
            await until(lambda: run.pending() == 0)
        ids = [got.headers["webhook-id"] for got in receiver.received]
    assert ids[0] == f"{BEGUN.id}.1.oncall"
    assert ids[-1] == f"{BEGUN.id}.2.oncall"
    assert ids == sorted(ids)


async def test_an_attempt_that_is_under_way_forgets_no_end() -> None:
    """What is tried was read before it was over and is kept after; where many wait, it is another object by then."""
    answering = threading.Event()

    def answer(number: int) -> tuple[int, dict[str, str], bytes]:
        answering.wait(10)
        return (503 if number == 0 else 200), {}, b""

    with receiving(answer) as receiver:
        async with running({"oncall": receiver.url}) as run:
            await run.take(BEGUN)
            await until(lambda: len(receiver.received) == 1)
            run.handler.state.values._live.clear()
            await run.take(OVER)
            answering.set()
            await run.pass_time(0)
            await run.pass_time(6)
            await until(lambda: run.pending() == 0)
        ids = [got.headers["webhook-id"] for got in receiver.received]
    assert ids == [f"{BEGUN.id}.1.oncall"] * 2 + [f"{BEGUN.id}.2.oncall"]


async def test_the_end_of_what_was_refused_is_told_all_the_same() -> None:
    with receiving(lambda n: (400, {}, b"") if n == 0 else (200, {}, b"")) as receiver:
        async with running({"chat": SlackReceiver(kind="slack", url=receiver.url)}) as run:
            await run.take(BEGUN, OVER)
            await until(lambda: len(receiver.received) == 2 and run.pending() == 0)
            (letter,) = run.sent.outputs
    assert open_letter(letter.value, bytes(PRIVATE)).headers["webhook-id"] == f"{BEGUN.id}.1.chat"
    assert "within" not in orjson.loads(receiver.received[1].body)["text"]


async def test_an_alert_of_a_detector_is_grouped_as_before() -> None:
    with receiving() as receiver:
        async with running({"oncall": WebhookReceiver(url=receiver.url, group_minutes=10)}) as run:
            await run.take(alert("a", rule={"id": "r"}), alert("b", rule={"id": "r"}))
            await until(lambda: len(receiver.received) == 1)
            assert run.handler.state.counts["groups.oncall"] == 1
