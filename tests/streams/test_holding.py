"""What is told together: each alert is in one message of a receiver, and an id never says two things."""

from __future__ import annotations

import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, get_args

import orjson
import pytest
from nacl.public import PrivateKey
from standing_in import NO_JOURNAL, TOPIC, Memory, Sent, batch_of, derived
from synthetic_alerts import alert

from detectors.base import Alert, Severity
from streams import deliveries, holding, notify
from streams.codecs import encode_alert
from streams.deadletters import DeadLetters
from streams.deliveries import DeliveryHandler
from streams.notify import Notify
from streams.receivers import WebhookReceiver
from streams.sinks.attempts import Outcome
from streams.tallies import Tally

NAME = "oncall"
START = 1_700_000_400.0  # 20 minutes into an hour
MINUTE = 60_000
LETTERS = DeadLetters(bytes(PrivateKey.generate().public_key))


class Told:
    """A receiver in memory: what it was told, and what it answers next (it takes everything by itself)."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        self.answers: list[Outcome] = []

    async def attempt(self, delivery_id: str, body: bytes, now: float) -> Outcome:
        self.bodies[delivery_id].add(body)
        self.messages.append((delivery_id, orjson.loads(body)))
        return self.answers.pop(0) if self.answers else Outcome("delivered")

    async def close(self) -> None:
        pass

    def types(self) -> list[str]:
        return [message["type"].removeprefix("alert") for _, message in self.messages]


class Failing(Memory):
    """A changelog whose commits fail now and then."""

    def __init__(self, chance: Callable[[], bool]) -> None:
        super().__init__()
        self._chance = chance
        self.failed = False

    async def commit(self, changes: dict[bytes, bytes | None]) -> None:
        if self._chance():
            self.failed = True
            raise ConnectionError("no broker")
        await super().commit(changes)


class Oncall:
    """One receiver's partition over its log, driven by hand: nothing happens between two calls."""

    def __init__(self, *, public_url: str = "", **fields: Any) -> None:
        self.receivers = {NAME: WebhookReceiver(url="https://synthetic.example", **fields)}
        self.public_url = public_url
        self.log: list[Alert | None] = []  #: None: a record that cannot be taken
        self.memory = Memory()
        self.told = Told()
        self.sent = Sent()
        self.now = START
        self.handler: DeliveryHandler

    async def start(self) -> None:
        """A worker that finds what the last one left durable."""
        self.handler = DeliveryHandler(
            Notify(self.receivers, LETTERS, public_url=self.public_url),
            self.sent,
            self.memory,
            LETTERS,
            journal=NO_JOURNAL,
            stage="notify",
            tally=Tally(),
            topic_id=TOPIC,
            now=lambda: 0.0,
            receivers=self.receivers,
            sinks={NAME: self.told},
            clock=lambda: self.now,
            chance=lambda: 0.5,
            public_url=self.public_url,
        )
        await self.handler.open()
        await self.handler._stop()

    async def take(self, *alerts: Alert | None) -> None:
        self.log += alerts
        begin = self.handler.state.position
        records = [
            derived(n, encode_alert(taken) if taken else b"{}", key=NAME.encode())
            for n, taken in enumerate(self.log)
            if n >= begin
        ]
        if records:
            await self.handler.process(batch_of("notifications", records))

    async def deliver(self) -> bool:
        """One round of what is due; whether anything was."""
        schedule = self.handler._schedules[NAME]
        keys = schedule.take(int(self.now * 1000), deliveries.CONCURRENCY)
        await self.handler._try(schedule, NAME, keys)
        return bool(keys)

    async def settle(self, minutes: float = 0) -> None:
        """Let time pass, and deliver until nothing is due."""
        self.now += minutes * 60
        while await self.deliver():
            pass

    def waiting(self) -> int:
        return len(list(self.handler.state.values.items()))


async def oncall(**fields: Any) -> Oncall:
    made = Oncall(**fields)
    await made.start()
    return made


def at(minute: float, name: str = "a", **kwargs: Any) -> Alert:
    """An alert whose event lies ``minute`` minutes into a part of time that ten minutes divide."""
    return alert(name, time=int(1_700_000_400_000 + minute * MINUTE), **kwargs)


@pytest.mark.parametrize(
    ("second", "grouped"),
    [
        (at(9.9, "b"), True),
        (at(10, "b"), False),  # of the next ten minutes
        (at(5, "b", entity="user:Practitioner/synthetic-p2"), False),
        (at(5, "b", rule={"id": "r2", "name": "another"}), False),
        (at(5, "b", rule={}, detector="rate"), False),
        (at(0, "a", revision=2), True),
    ],
)
async def test_the_same_rule_about_the_same_entity_within_minutes_is_one_more_message(
    second: Alert, grouped: bool
) -> None:
    run = await oncall(group_minutes=10)
    await run.take(at(0))
    await run.settle()
    assert run.told.types() == [".opened"], "the first is told at once"
    await run.take(second)
    await run.settle(9.9)
    assert len(run.told.messages) == (1 if grouped else 2)
    await run.settle(0.2)
    assert len(run.told.messages) == 2
    (_, first), (second_id, message) = run.told.messages
    if grouped:
        assert message["type"] == "alerts.grouped"
        assert message["data"]["group"] == first["group"]
        assert message["data"]["count"] == 1
        assert message["data"]["alerts"][0]["id"] == second.id
        assert second_id == f"more.{second.id}.{second.revision}.{NAME}"
    await run.settle(20)
    assert run.waiting() == 0, "groups close"
    assert run.handler.state.counts["groups.oncall"] == run.handler.state.counts["pending.oncall"] == 0


async def test_which_alerts_belong_together_does_not_depend_on_their_order() -> None:
    alerts = [at(minute, f"{minute}") for minute in (0, 3, 9, 10, 14, 19)]
    seen = set()
    for seed in range(20):
        run = await oncall(group_minutes=10)
        random.Random(seed).shuffle(alerts)
        await run.take(*alerts)
        await run.settle(11)
        assert run.told.types() == [".opened", ".opened", "s.grouped", "s.grouped"]
        seen.add(frozenset(m.get("group") or m["data"]["group"] for _, m in run.told.messages))
    assert len(seen) == 1


async def test_a_group_names_some_and_counts_all() -> None:
    run = await oncall(group_minutes=10, public_url="https://wardwatch.example/")
    severities = ["low", "critical", *["medium"] * 48]
    await run.take(*(at(0, f"{n}", severity=severity, reason="x" * 5000) for n, severity in enumerate(severities)))
    await run.settle(11)
    (_, first), (_, more) = run.told.messages
    assert first["url"] == f"https://wardwatch.example/#{first['data']['id']}"
    assert more["data"]["severities"] == {"critical": 1, "medium": 48}
    assert (more["data"]["count"], more["data"]["severity"], len(more["data"]["alerts"])) == (49, "critical", 10)
    assert more["url"] == f"https://wardwatch.example/#{more['data']['alerts'][0]['id']}"
    assert all(len(named["reason"]) == 500 for named in more["data"]["alerts"])


async def test_past_the_cap_one_summary_tells_at_the_end_of_the_hour() -> None:
    run = await oncall(per_hour=3, public_url="https://wardwatch.example/")
    await run.take(*(at(n / 10, f"{n}", severity="medium") for n in range(10)))
    await run.settle()
    assert run.told.types() == [".opened"] * 3
    until = (START // 3600 + 1) * 3600 * 1000
    assert [m.get("last_of_hour") for _, m in run.told.messages] == [None, None, {"cap": 3, "until": until}]
    await run.settle(39)
    assert len(run.told.messages) == 3, "the hour is not over"
    await run.settle(1)
    _, summary = run.told.messages[-1]
    assert len(run.told.messages) == 4
    assert summary["type"] == "alerts.summary"
    assert summary["data"]["count"] == 7
    assert summary["url"] == "https://wardwatch.example/"
    await run.take(at(60, "another", severity="medium"))
    await run.settle()
    assert run.told.types()[4:] == [".opened"], "another hour, and the summary was none of its three"
    assert run.waiting() == 0


async def test_noise_hides_nothing_more_severe() -> None:
    run = await oncall(per_hour=2, minimum_severity="informational")
    await run.take(*(at(0, f"{n}", severity="low") for n in range(50)))
    await run.settle()
    await run.take(at(1, "x", severity="high"), at(2, "y", severity="high"), at(3, "z", severity="critical"))
    await run.settle()
    assert [m["data"]["severity"] for _, m in run.told.messages] == ["low", "low", "high", "critical"]
    await run.settle(60)
    assert run.told.messages[-1][1]["data"]["severities"] == {"high": 1, "low": 48}


async def test_what_a_receiver_did_not_take_is_counted_once_in_its_hour() -> None:
    run = await oncall(per_hour=2)
    run.told.answers = [Outcome("retry", "status 500")] * 2
    await run.take(at(0, "a"), at(0, "b"), at(0, "c"))
    await run.settle()
    await run.settle(0.1)
    assert len(run.told.messages) == 4, "both were tried again, and c waits for the summary"
    await run.settle(60)
    assert run.told.messages[-1][1]["data"]["count"] == 1


async def test_groups_beyond_the_bound_come_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MAX_GROUPS", 2)
    run = await oncall(group_minutes=10)
    users = [f"user:Practitioner/synthetic-{n}" for n in range(4)]
    await run.take(*(at(0, f"{user}{n}", entity=user) for user in users for n in range(3)))
    await run.settle(11)
    assert Counter(run.told.types()) == {".opened": 2 + 6, "s.grouped": 2}


async def test_a_receiver_that_is_gone_leaves_what_was_held_as_dead_letters() -> None:
    run = await oncall(group_minutes=10)
    run.told.answers = [Outcome("gone", "410")]
    await run.take(at(0), at(1, "b"))
    await run.settle(11)
    assert len(run.told.messages) == 1
    assert [output.key.decode().partition(".")[0] for output in run.sent.outputs] == [at(0).id, "more"]


async def test_what_was_grouped_is_told_when_grouping_is_switched_off() -> None:
    run = await oncall(group_minutes=10)
    await run.take(at(0), at(1, "b"))
    await run.handler.flush()
    await run.handler.close()
    run.receivers = {NAME: WebhookReceiver(url="https://synthetic.example")}
    await run.start()
    await run.settle(11)
    assert run.told.types() == [".opened", "s.grouped"]


async def test_a_record_for_a_receiver_that_is_not_set_is_a_dead_letter() -> None:
    run = await oncall()
    await run.handler.process(batch_of("notifications", [derived(0, encode_alert(at(0)), key=b"former")]))
    (letter,) = run.sent.outputs
    assert orjson.loads(letter.value)["reason"] == "its receiver is no longer in the settings"


async def _day(seed: int) -> None:
    """Alerts, crashes, failed commits and refusals in any order; then the receiver takes all, and is asked."""
    rng = random.Random(seed)
    cap = rng.choice([0, 2, 5])
    run = await oncall(group_minutes=rng.choice([0, 5, 10]), per_hour=cap, minimum_severity="informational")
    number, away = 0, False
    memory = run.memory = Failing(lambda: away)
    await run.start()
    for _ in range(rng.randrange(10, 60)):
        match rng.randrange(7):
            case 0 | 1:
                fresh: list[Alert | None] = []
                for _ in range(rng.randrange(1, 5)):
                    number += 1
                    severity: Severity = rng.choice(get_args(Severity))
                    entity = f"user:Practitioner/synthetic-{rng.randrange(2)}"
                    if rng.randrange(20) == 0:
                        fresh.append(None)
                    fresh.append(at(rng.uniform(0, 30), f"{number}", severity=severity, entity=entity))
                with contextlib.suppress(ConnectionError):
                    await run.take(*fresh)
            case 2 | 3:
                run.told.answers = [rng.choice([Outcome("delivered"), Outcome("retry", "500")]) for _ in range(3)]
                await run.deliver()
            case 4:
                run.now += rng.uniform(0, 1200)
                away = rng.randrange(2) == 0
            case 5:
                with contextlib.suppress(ConnectionError):
                    await run.handler.flush()
            case 6:
                await run.start()
        if memory.failed and rng.randrange(4) == 0:  # as the lane does where it notices
            await run.start()
        memory.failed = False
    away = False
    run.told.answers = []
    if rng.randrange(2):
        await run.start()
    await run.take(None)
    for _ in range(4):
        await run.settle(70)
    await run.handler.flush()
    assert run.waiting() == 0
    assert len({output.key for output in run.sent.outputs}) == run.log.count(None), "alerts in dead letters"
    _judge(run, cap)


def _judge(run: Oncall, cap: int) -> None:
    two = {i: len(bodies) for i, bodies in run.told.bodies.items() if len(bodies) != 1}
    assert two == {}, "an id that said two things"
    told: Counter[str] = Counter()
    held = one_by_one = 0
    for (body,) in run.told.bodies.values():
        message = orjson.loads(body)
        if message["type"] == "alerts.summary":
            held += message["data"]["count"]
            continue
        one_by_one += 1
        named = message["data"].get("alerts") or [message["data"]]
        assert message["data"].get("count", 1) == len(named)
        told.update(named_one["id"] for named_one in named)
    assert not told or max(told.values()) == 1, "an alert in two messages"
    assert told.total() + held == len(run.log) - run.log.count(None), "an alert in none"
    hours = int(run.now // 3600) - int(START // 3600) + 1
    assert not cap or one_by_one <= (cap + 4) * hours


async def test_whatever_happens_each_alert_is_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "PAUSE", 0)
    monkeypatch.setattr(holding, "NAMED", 1000)  # so that a group names all that it counts
    for seed in range(100):
        try:
            await _day(seed)
        except AssertionError as exc:
            raise AssertionError(f"seed {seed}") from exc
