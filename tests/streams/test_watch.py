"""What cannot go through Kafka goes to the receivers and the store directly, once, and is the same alert later."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from receiving import Receiver, receiving

from streams.alerting import alert_of
from streams.codecs import decode_finding
from streams.conditions import Look
from streams.epochs import MissingKey
from streams.indexing import Stores
from streams.lanes import LaneStatus
from streams.notify import webhook_id
from streams.occasions import DIRECT, looked
from streams.records import Control, Output
from streams.sender import DeliveryFailed
from streams.settings import Settings
from streams.sinks.catalog import make_sinks
from streams.sinks.store import AlertStore
from streams.vault import VaultWaits
from streams.watch import Watch

START = 1_780_000_000.0
AWAY = "no Kafka answers at kafka:9092"
LEVELS = {"oncall": "low", "quiet": "critical"}
STUCK = [LaneStatus("notify", "notifications", 0, stopped="synthetic", cause=DeliveryFailed)]


class Told:
    """Stands for the sender: keeps what was told, or cannot."""

    def __init__(self) -> None:
        self.away = False
        self.outputs: list[Output] = []
        self.controls: list[Control] = []

    async def control(self, control: Control) -> None:
        if self.away:
            raise DeliveryFailed("synthetic")
        self.controls.append(control)

    async def tell(self, output: Output) -> None:
        if self.away:
            raise DeliveryFailed("synthetic")
        self.outputs.append(output)


class Running:
    def __init__(self, watch: Watch, told: Told, store: AlertStore, receiver: Receiver) -> None:
        self.watch, self.told, self.store, self.receiver = watch, told, store, receiver
        self.now = START

    async def look(self, *, minutes: float, kafka: str = "", **look: Any) -> None:
        """Look every half minute for so long."""
        self.watch.kafka = kafka
        for _ in range(int(minutes * 2)):
            self.watch.take(Look(kafka=kafka, **look))
            await asyncio.gather(*self.watch._tasks.values())
            self.now += 30

    @property
    def delivered(self) -> list[str]:
        return [got.headers["webhook-id"] for got in self.receiver.received]


@asynccontextmanager
async def watching(
    folder: Path, answer: Any = lambda _: (200, {}, b""), *, keeps_events: bool = False, **settings: Any
) -> AsyncIterator[Running]:
    with receiving(answer) as receiver:
        receivers = {name: {"url": receiver.url, "minimum_severity": level} for name, level in LEVELS.items()}
        inside = ["127.0.0.1"]
        made = Settings(receivers=receivers, private_hosts=inside, **settings)  # type: ignore[arg-type]
        sinks = make_sinks(made.receivers, private_hosts=inside, webhook_key=b"k" * 32)
        store, told = AlertStore(folder / "alerts.sqlite"), Told()
        async with httpx.AsyncClient() as client:
            running: Running
            watch = Watch(
                made,
                told,  # type: ignore[arg-type]
                Stores(store, None),
                name="synthetic-worker",
                sinks=sinks,
                client=client,
                clock=lambda: running.now,
                keeps_events=keeps_events,
            )
            running = Running(watch, told, store, receiver)
            yield running
            await watch.close()
        for sink in sinks.values():
            await sink.close()
        store.close()


async def test_without_kafka_receivers_and_store_are_told_once_and_kafka_later(tmp_path: Path) -> None:
    async with watching(tmp_path) as running:
        await running.look(minutes=30, kafka=AWAY)
        assert running.told.outputs == []
        await running.look(minutes=1)
        findings = [decode_finding(output.value) for output in running.told.outputs]
        alert = alert_of(findings[0])
        assert sorted(running.delivered) == [webhook_id(alert, "oncall"), webhook_id(alert, "quiet")]
        body = orjson.loads(running.receiver.received[0].body)
        assert body["data"]["title"] == "Kafka cannot be used"
        assert [held["id"] for held in running.store.alerts()] == [alert.id]
        gaps = [later.time - sooner.time for sooner, later in itertools.pairwise(findings)]
        assert max(gaps) <= 600_000, "to the topics it is one occasion"


async def test_a_receiver_that_was_away_is_told_a_minute_later_under_the_same_id(tmp_path: Path) -> None:
    async with watching(tmp_path, lambda n: (500 if n < 4 else 200, {}, b"")) as running:
        await running.look(minutes=10, kafka=AWAY)
        assert len(running.delivered) == 6
        assert len(set(running.delivered)) == 2


async def test_a_stuck_pager_is_told_past_itself_and_any_other_step_is_not(tmp_path: Path) -> None:
    async with watching(tmp_path) as running:
        await running.look(minutes=5, lanes=STUCK)
        assert [name.rpartition(".")[2] for name in running.delivered] == ["oncall"], "quiet wants worse than that"
        other = LaneStatus("behave", "events", 0, stopped="synthetic", cause=DeliveryFailed)
        await running.look(minutes=5, lanes=[other])
        assert len(running.delivered) == 1
        reasons = {decode_finding(output.value).reason.partition(" ")[0] for output in running.told.outputs}
        assert reasons == {"notify", "behave"}, "by way of the topics both"


async def test_what_kafka_does_not_take_waits_and_is_not_told_twice(tmp_path: Path) -> None:
    async with watching(tmp_path) as running:
        running.told.away = True
        await running.look(minutes=5, store="Elasticsearch: StoreUnavailable")
        assert running.told.outputs == []
        running.told.away = False
        await running.look(minutes=0.5)
        await running.look(minutes=5)
        ids = [decode_finding(output.value).id for output in running.told.outputs]
        assert ids
        assert len(ids) == len(set(ids))


async def test_the_topics_are_told_each_minute_that_a_worker_looks(tmp_path: Path) -> None:
    async with watching(tmp_path) as running:
        await running.look(minutes=2)
        assert running.told.controls == [], "what lasts would not have been said yet"
        await running.look(minutes=10)
        assert len(running.told.controls) == 10
        assert {control.topic for control in running.told.controls} == {"findings"}
        assert {looked(control.value) for control in running.told.controls} == {"synthetic-worker"}


async def test_one_that_keeps_events_ends_nothing_by_its_silence(tmp_path: Path) -> None:
    async with watching(tmp_path, keeps_events=True) as running:
        await running.look(minutes=12)
        assert running.told.controls == []
        await running.look(minutes=5, unkept="Elasticsearch does not answer.")
        assert running.told.outputs, "and what it saw it says"


async def test_who_has_not_said_all_does_not_say_that_it_looks(tmp_path: Path) -> None:
    async with watching(tmp_path) as running:
        await running.look(minutes=5, kafka=AWAY)
        running.told.away = True
        await running.look(minutes=5)
        assert running.told.controls == []
        running.told.away = False
        await running.look(minutes=0.5)
        assert running.told.outputs
        assert len(running.told.controls) == 1


async def test_the_topics_hear_what_was_told_directly_and_that_it_was(tmp_path: Path) -> None:
    async with watching(tmp_path) as running:
        await running.look(minutes=25, kafka=AWAY)
        await running.look(minutes=1)
        findings = [decode_finding(output.value) for output in running.told.outputs]
        told = [finding for finding in findings if DIRECT in finding.evidence]
        assert told == findings[:1]
        assert {name.partition(".")[0] for name in running.delivered} == {alert_of(told[0]).id}


@pytest.mark.parametrize(
    ("look", "well"),
    [
        ({}, True),
        ({"kafka": AWAY}, False),
        ({"store": "Elasticsearch: StoreUnavailable"}, False),
        ({"lanes": STUCK}, False),
        ({"silent": {"fhir": 20_000.0}}, True),
        ({"lanes": [LaneStatus("ingest", "audit.ehr", 0, stopped="synthetic", cause=VaultWaits)]}, False),
        ({"lanes": [LaneStatus("ingest", "audit.ehr", 0, stopped="synthetic", cause=MissingKey)]}, False),
        ({"unkept": "No worker keeps events."}, True),  # they have a heartbeat of their own
        ({"unkept": "No worker keeps events.", "keeps_events": True}, False),
    ],
)
async def test_a_heart_beats_while_all_is_well(tmp_path: Path, look: dict[str, Any], well: bool) -> None:
    own = {"keeps_events": look.pop("keeps_events")} if "keeps_events" in look else {}
    with receiving() as beats:
        async with watching(tmp_path, heartbeat_url=beats.url, **own) as running:
            await running.look(minutes=5, **look)
            await running.watch.beat()
            assert len(beats.received) == well
            await running.look(minutes=1)
            await running.watch.beat()
            assert len(beats.received) == 1 + well
