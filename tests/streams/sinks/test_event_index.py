"""Events on a real Elasticsearch: in their month, once, found by whom they are about; a conflict comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from elasticsearch import AsyncElasticsearch

from detectors.base import Event
from streams.sinks.elasticsearch import Elasticsearch
from streams.sinks.event_index import EVENTS, events_about, template, write_events

OCTOBER = 1_696_118_400_000  # 2023-10-01T00:00:00Z
PATIENT = "patient:0123abcd.aaaabbbbccccddddeeeeffff"


def event(number: int, *, time: int = OCTOBER, **fields: object) -> Event:
    said = {"event.action": "read", "source.ip": "192.0.2.7", **fields}
    return Event(f"synthetic-{number}", time + number, "fhir", "user:synthetic-p1", (PATIENT,), fields=said)


@pytest.fixture
async def client(elasticsearch_url: str) -> AsyncIterator[AsyncElasticsearch]:
    async with AsyncElasticsearch(elasticsearch_url) as connection:
        for name in await connection.indices.get(index=f"{EVENTS}-*"):
            await connection.indices.delete(index=name)
        yield connection


@pytest.fixture
async def store(elasticsearch_url: str, client: AsyncElasticsearch) -> AsyncIterator[Elasticsearch]:
    opened = Elasticsearch(elasticsearch_url)
    assert EVENTS in await opened.set_up(template())
    yield opened
    await opened.close()


async def test_each_lands_once_in_its_month_and_is_found(store: Elasticsearch, client: AsyncElasticsearch) -> None:
    hostile = event(9, time=253_370_764_800_000)._replace(timely=False)
    events = [event(1), event(2), event(3, time=OCTOBER - 10), hostile]
    for _ in range(3):
        assert await write_events(store, events) == []
    await client.indices.refresh(index=f"{EVENTS}-*")
    assert {
        name: (await client.count(index=name))["count"] for name in await client.indices.get(index=f"{EVENTS}-*")
    } == {
        f"{EVENTS}-2023.09": 1,
        f"{EVENTS}-2023.10": 2,
        f"{EVENTS}-undated": 1,
    }
    for entity in (PATIENT, "user:synthetic-p1"):
        found = await events_about(store, [entity], since=OCTOBER - 10, until=OCTOBER + 10, limit=100)
        assert [one["wardwatch"]["id"] for one in found] == ["synthetic-2", "synthetic-1", "synthetic-3"]
    assert await events_about(store, ["user:nobody"], since=0, until=OCTOBER * 2, limit=100) == []


async def test_an_answer_of_many_pages_is_whole(
    store: Elasticsearch, client: AsyncElasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.sinks.event_index._PAGE", 10)
    await write_events(store, [event(n) for n in range(35)])
    await client.indices.refresh(index=f"{EVENTS}-*")
    found = await events_about(store, [PATIENT], since=0, until=OCTOBER * 2, limit=1000)
    assert [one["@timestamp"] for one in found] == [OCTOBER + n for n in range(34, -1, -1)]
    assert len(await events_about(store, [PATIENT], since=0, until=OCTOBER * 2, limit=12)) == 12


async def test_what_cannot_be_mapped_comes_back_and_costs_itself(
    store: Elasticsearch, client: AsyncElasticsearch
) -> None:
    await write_events(store, [event(1, **{"custom.name": "text"})])
    beside = event(3, **{"custom": "text", "custom.name": "x"})
    refused = await write_events(store, [event(2, **{"custom.name.more": "x"}), beside, event(4)])
    why = f"document_parsing_exception in {EVENTS}-2023.10"
    assert [(one.written.id, one.reason) for one in refused] == [("synthetic-2", why), ("synthetic-3", why)]
    await client.indices.refresh(index=f"{EVENTS}-*")
    assert (await client.count(index=f"{EVENTS}-*"))["count"] == 2
    assert await write_events(store, [event(5, **{"source.ip": "no address"})]) == [], "an odd address costs nothing"


async def test_before_there_is_any_nothing_is_found(store: Elasticsearch) -> None:
    assert await events_about(store, [PATIENT], since=0, until=OCTOBER * 2, limit=100) == []
