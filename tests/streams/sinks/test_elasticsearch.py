"""The sink on a real Elasticsearch: written twice is written once, and what cannot be mapped is given back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest
from elasticsearch import AsyncElasticsearch
from receiving import receiving
from synthetic_alerts import alert, over, own

from detectors.base import Event
from detectors.rules import Links, starter_rules
from detectors.rules.findings import told_of
from streams.sinks.elasticsearch import ALERTS, FINDINGS, Elasticsearch, StoreUnavailable
from streams.sinks.event_index import EVENTS, template, write_events

OCTOBER = 1_696_118_400_000  # 2023-10-01T00:00:00Z


@pytest.fixture
async def client(elasticsearch_url: str) -> AsyncIterator[AsyncElasticsearch]:
    async with AsyncElasticsearch(elasticsearch_url) as connection:
        for name in await connection.indices.get(index="wardwatch-*"):
            await connection.indices.delete(index=name)
        yield connection


@pytest.fixture
async def sink(elasticsearch_url: str, client: AsyncElasticsearch) -> AsyncIterator[Elasticsearch]:
    opened = Elasticsearch(elasticsearch_url)
    await opened.set_up()
    yield opened
    await opened.close()


async def test_an_alert_and_its_finding_land_in_their_month(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    assert await sink.write([alert("a", time=OCTOBER), alert("b", time=OCTOBER - 1)]) == []
    await client.indices.refresh(index="wardwatch-*")
    for prefix in (ALERTS, FINDINGS):
        for month, name in (("2023.10", "a"), ("2023.09", "b")):
            found = await client.search(index=f"{prefix}-{month}")
            assert [hit["_source"]["rule"]["name"] for hit in found["hits"]["hits"]] == [f"Synthetic alert {name}"]


async def test_what_an_alert_says_of_its_rule_is_found_by_it(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    rule = told_of(starter_rules().rules[0], Links("https://git.hospital.example/{path}"))
    assert await sink.write([alert("a", rule={**rule, "license": "DRL-1.1"})]) == []
    await client.indices.refresh(index="wardwatch-*")
    for name in ("uuid", "version", "reference"):
        for prefix in (ALERTS, FINDINGS):
            found = await client.search(index=f"{prefix}-*", query={"term": {f"rule.{name}": rule[name]}})
            assert found["hits"]["total"]["value"] == 1, name


async def test_written_again_it_is_there_once(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    for _ in range(3):
        assert await sink.write([alert("a"), alert("b"), alert("a")]) == []
    await client.indices.refresh(index="wardwatch-*")
    assert (await client.count(index=f"{ALERTS}-*"))["count"] == 2
    assert (await client.count(index=f"{FINDINGS}-*"))["count"] == 2


async def test_an_older_revision_is_refused_in_silence(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    await sink.write([alert("a", revision=2, title="newer")])
    assert await sink.write([alert("a", revision=1, title="older")]) == []
    await client.indices.refresh(index="wardwatch-*")
    hit = (await client.search(index=f"{ALERTS}-*"))["hits"]["hits"][0]
    assert hit["_source"]["rule"]["name"] == "newer"
    assert hit["_source"]["wardwatch"]["revision"] == 2


async def test_an_alert_says_when_it_began_and_whether_it_is_over(
    sink: Elasticsearch, client: AsyncElasticsearch
) -> None:
    begun, lasts = own("a"), own("b")
    await sink.write([begun, lasts])
    await sink.write([over(begun), begun])
    await client.indices.refresh(index="wardwatch-*")
    recovered = {"term": {"wardwatch.status": "recovered"}}
    (hit,) = (await client.search(index=f"{ALERTS}-*", query=recovered))["hits"]["hits"]
    event = hit["_source"]["event"]
    assert (hit["_id"], event["start"], event["end"]) == (begun.id, begun.first_seen, begun.first_seen + 720_000)
    assert event["duration"] == 720_000_000_000, "ns, as ECS has it"
    assert event["reason"] == "Over after 12 minutes. It was: it does not answer."
    lasting = {"bool": {"must_not": {"exists": {"field": "event.end"}}}}
    found = await client.search(index=f"{ALERTS}-*", query=lasting)
    assert [hit["_id"] for hit in found["hits"]["hits"]] == [lasts.id]
    assert (await client.count(index=f"{FINDINGS}-*"))["count"] == 2


async def test_setup_gives_the_month_that_goes_on_the_fields_that_are_new(
    sink: Elasticsearch, client: AsyncElasticsearch
) -> None:
    await sink.write([own("a", time=OCTOBER)])
    index = f"{ALERTS}-2023.10"
    mappings = (await client.indices.get_mapping(index=index))[index]["mappings"]
    for name in ("start", "end", "duration"):
        del mappings["properties"]["event"]["properties"][name]
    await client.indices.delete(index=index)
    await client.indices.delete_index_template(name=ALERTS)
    await client.indices.create(index=index, mappings=mappings)
    other = f"{ALERTS}-2023.09"
    await client.indices.create(index=other, mappings={"properties": {"message": {"type": "long"}}})
    assert await sink.write([own("a", time=OCTOBER)]) != []
    await sink.set_up()
    assert await sink.write([own("a", time=OCTOBER)]) == []
    assert (await client.indices.get_mapping(index=other))[other]["mappings"] == {
        "properties": {"message": {"type": "long"}}
    }, "what another made stays as it is"


async def test_a_date_that_cannot_be_trusted_makes_no_index(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    await sink.write([alert("a", time=253_370_764_800_000, timely=False)])
    indices = await client.indices.get(index="wardwatch-*")
    assert set(indices) == {f"{ALERTS}-undated", f"{FINDINGS}-undated"}


async def test_any_date_is_taken_and_found_and_makes_one_index(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    """From the first day of year 1 to the last of 9999, of alerts, findings and events; those of late months beside."""
    hostile = [-62_135_596_800_000, -1000, 0, 2_147_483_648_000, 253_402_300_799_999]
    late = [OCTOBER - month * 31 * 86_400_000 for month in range(3)]
    await sink.set_up(template())
    alerts = [alert(str(time), time=time, timely=time in late) for time in hostile + late]
    events = [
        Event(str(time), time, "fhir", "user:synthetic-p1", (), "", "", time in late, {"event.action": "read"})
        for time in hostile + late
    ]
    for _ in range(2):
        assert await sink.write(alerts) == []
        assert await write_events(sink, events) == []
    await client.indices.refresh(index="wardwatch-*")
    months = ("undated", "2023.10", "2023.08", "2023.07")
    wanted = {f"{prefix}-{month}" for prefix in (ALERTS, FINDINGS, EVENTS) for month in months}
    assert set(await client.indices.get(index="wardwatch-*")) == wanted
    for prefix in (ALERTS, FINDINGS, EVENTS):
        assert (await client.count(index=f"{prefix}-*"))["count"] == len(hostile + late)
        for time in hostile:
            exactly = {"range": {"@timestamp": {"gte": time, "lte": time, "format": "epoch_millis"}}}
            assert (await client.count(index=f"{prefix}-undated", query=exactly))["count"] == 1, time


async def test_a_mapping_conflict_comes_back_with_its_reason(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    await client.indices.create(index=f"{ALERTS}-2023.10", mappings={"properties": {"message": {"type": "long"}}})
    refused = await sink.write([alert("a", time=OCTOBER), alert("b", time=OCTOBER - 1)])
    assert [(item.written.id, item.reason) for item in refused] == [
        (alert("a").id, f"document_parsing_exception in {ALERTS}-2023.10")
    ]
    await client.indices.refresh(index="wardwatch-*")
    assert (await client.count(index=f"{ALERTS}-2023.09"))["count"] == 1, "the others are in"


async def test_evidence_never_grows_the_mapping(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    evidence = {f"wardwatch.field{n}": "x" for n in range(2000)}
    assert await sink.write([alert("a", evidence=evidence)]) == []


async def test_a_store_that_is_away_is_said_to_be() -> None:
    away = Elasticsearch("http://elastic:password@127.0.0.1:9", timeout=2)
    with pytest.raises(StoreUnavailable, match=r"Elasticsearch at http://127\.0\.0\.1:9: ConnectionError"):
        await away.write([alert("a")])
    await away.close()


async def test_a_blocked_index_is_not_called_delivered(sink: Elasticsearch, client: AsyncElasticsearch) -> None:
    await sink.write([alert("a", time=OCTOBER)])
    await client.indices.put_settings(index=f"{ALERTS}-2023.10", settings={"index.blocks.write": True})
    with pytest.raises(StoreUnavailable, match="403 cluster_block_exception"):
        await sink.write([alert("b", time=OCTOBER)])
    await client.indices.put_settings(index=f"{ALERTS}-2023.10", settings={"index.blocks.write": None})
    assert await sink.write([alert("b", time=OCTOBER)]) == []


async def test_a_cluster_without_room_for_an_index_is_no_fault_of_the_alert(
    sink: Elasticsearch, client: AsyncElasticsearch
) -> None:
    await client.cluster.put_settings(persistent={"cluster.max_shards_per_node": 1})
    months = [alert(f"{year}", time=OCTOBER - (2023 - year) * 365 * 86_400_000) for year in range(2017, 2024)]
    try:
        with pytest.raises(StoreUnavailable, match="400 validation_exception"):
            await sink.write(months)
    finally:
        await client.cluster.put_settings(persistent={"cluster.max_shards_per_node": None})
    assert await sink.write(months) == []


async def test_a_proxy_that_takes_little_gets_little_at_a_time() -> None:
    """nginx takes 1 MB by default, and answers 413 to more, for ever."""

    def answer(number: int) -> tuple[int, dict[str, str], bytes]:
        headers = {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}
        body = receiver.received[number].body
        if len(body) > 20_000:
            return 413, headers, b'{"error": "too large"}'
        actions = body.splitlines()[::2]
        items = [{name: {"status": 201, "_index": "i"}} for line in actions for name in orjson.loads(line)]
        return 200, headers, orjson.dumps({"took": 1, "errors": False, "items": items})

    with receiving(answer) as receiver:
        sink = Elasticsearch(receiver.url.removesuffix("/hook"))
        huge = alert("huge", evidence={"user_agent.original": "x" * 30_000})
        refused = await sink.write([*(alert(f"{number}") for number in range(40)), huge])
        await sink.close()
    assert [(item.written.id, item.reason[:4]) for item in refused] == [(huge.id, "413:")]
    taken = [line for got in receiver.received if len(got.body) <= 20_000 for line in got.body.splitlines()[::2]]
    assert len(taken) == 80
