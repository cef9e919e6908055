"""Each panel's own query on a real Elasticsearch, over a synthetic week, held against a count by hand."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from elasticsearch import AsyncElasticsearch
from synthetic_alerts import alert

from dashboards.kibana.access_panels import ACCESSES, AFTER_HOURS, REFUSED
from dashboards.kibana.boards import TIME, Board, Panel
from dashboards.kibana.columns import Bucket, Column, Count, Latest, Terms, Time, Unique
from dashboards.kibana.objects import BOARDS, saved_objects
from dashboards.kibana.panels import OVERVIEW
from detectors.base import SEVERITIES, Alert, Event
from detectors.rules import starter_rules
from streams.demo.records import audit_event, device_event
from streams.documents import document
from streams.pipeline import Reader
from streams.pseudonyms import Pseudonyms
from streams.sinks.elasticsearch import ALERTS, Elasticsearch, alert_source
from streams.sinks.event_index import template, write_events
from streams.sources.catalog import by_name

HOUR = 3_600_000
BEGIN = 1_772_323_200_000  # 2026-03-01T00:00:00Z: the week lies in two months
END = BEGIN + 7 * 24 * HOUR


def week() -> Iterator[Alert]:
    """Synthetic alerts of four sources and six entities, with a bias, so that no two counts are alike by chance."""
    for number in range(120):
        yield alert(
            f"{number}",
            time=BEGIN - 3 * 24 * HOUR + number * 2 * HOUR,
            severity=SEVERITIES[-1 - min(number % 7, 4)],
            source=("fhir", "device", "cloudtrail", "fhir", "fhir")[number % 5],
            detector=("sigma", "sigma", "rate", "rarity")[number % 4],
            entity=f"user:Practitioner/synthetic-{min(number % 9, 5)}",
            title=f"Synthetic rule {number % 11 // 2}",
            techniques=("T1485", "T1078.004")[: number % 3],
        )


def accesses() -> Iterator[Event]:
    """Synthetic records of a week as its sources give them, through ingest's own reader; some touch no patient."""
    reader = Reader(starter_rules(), Pseudonyms(b"k" * 32, "0123abcd"))
    for number in range(120):
        time = BEGIN - 3 * 24 * HOUR + number * 2 * HOUR
        read = audit_event(
            id=f"synthetic-{number}",
            time=time,
            interaction=("read", "search", "update")[number % 3],
            staff=f"synthetic-{min(number % 9, 5)}",
            address=f"192.0.2.{number % 4}",
            patient=f"synthetic-{number % 13 // (1 + number % 2)}",
            outcome="8" if number % 5 == 4 else "0",
        )
        pump = device_event(
            id=f"synthetic-pump-{number}",
            time=time,
            device=f"pump-{number % 3}",
            type="infusion-pump",
            event="alarm",
            action="occlusion",
            address="192.0.2.9",
            patient=f"Patient/synthetic-{number % 3}" if number % 2 else "",
        )
        for record, source in ((read, "fhir"), *([(pump, "device")] if number % 4 == 1 or number % 8 == 2 else [])):
            yield reader.read(record, by_name(source), fallback_id=str, received=time).event


def after_hours(document: dict[str, Any]) -> bool:
    local = datetime.fromtimestamp(document[TIME] / 1000, ZONE)
    return local.hour < 7 or local.hour >= 19 or local.weekday() >= 5


#: Where the synthetic hospital stands: not where the hour is that of UTC.
ZONE = ZoneInfo("Europe/Berlin")
ALERTED = [alert_source(one) for one in week()]
EVENTS = list(accesses())
TOUCHING = [document(event) for event in EVENTS if event.patients]
DOCUMENTS = {OVERVIEW.id: ALERTED, ACCESSES.id: TOUCHING}
SEEN = {name: [one for one in kept if BEGIN <= one[TIME] <= END] for name, kept in DOCUMENTS.items()}
#: What a count's own query says, by hand.
MEANS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "": lambda _: True,
    AFTER_HOURS: after_hours,
    REFUSED: lambda one: one["event"]["outcome"] == "failure",
}


def iso(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat().replace("+00:00", "Z")


async def prepare(url: str) -> None:
    async with AsyncElasticsearch(url) as client:
        for name in await client.indices.get(index="wardwatch-*"):
            await client.indices.delete(index=name)
        sink = Elasticsearch(url)
        await sink.set_up()
        assert await sink.write(list(week())) == []
        await sink.set_up(template())
        assert await write_events(sink, EVENTS, ZONE) == []
        await sink.close()
        await client.indices.refresh(index="wardwatch-*")


@pytest.fixture(scope="module")
def prepared(elasticsearch_url: str) -> str:
    asyncio.run(prepare(elasticsearch_url))
    return elasticsearch_url


@pytest.fixture
async def client(prepared: str) -> AsyncIterator[AsyncElasticsearch]:
    async with AsyncElasticsearch(prepared) as connection:
        yield connection


def values(document: dict[str, Any], field: str) -> list[Any]:
    """What Elasticsearch keeps of a field: none, one or several."""
    found: Any = document
    for part in field.removesuffix(".keyword").split("."):
        found = found.get(part, [])
    return found if isinstance(found, list) else [found]


def by_hand(column: Column, documents: list[dict[str, Any]]) -> Any:
    if isinstance(column, Unique):
        return len({value for document in documents for value in values(document, column.field)})
    if isinstance(column, Latest):
        return max(document[TIME] for document in documents)
    assert isinstance(column, Count)
    serious = '"high" or' in column.query
    return sum(
        one["wardwatch"]["severity"] in ("high", "critical") if serious else MEANS[column.query](one)
        for one in documents
    )


def in_answer(column: Column, bucket: dict[str, Any], total: int) -> Any:
    if isinstance(column, Count):
        return bucket[column.id]["doc_count"] if column.query else bucket.get("doc_count", total)
    return bucket[column.id]["value"]


def groups(bucket: Bucket, documents: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for one in documents:
        for value in values(one, bucket.field):
            found[value // (3 * HOUR) * 3 * HOUR if isinstance(bucket, Time) else value].append(one)
    return found


def compare(panel: Panel, buckets: tuple[Bucket, ...], answer: dict[str, Any], documents: list[dict[str, Any]]) -> None:
    if not buckets:
        for metric in panel.metrics:
            assert in_answer(metric, answer, len(documents)) == by_hand(metric, documents), (panel.id, metric.id)
        return
    first, *rest = buckets
    wanted = groups(first, documents)
    rows = [row for row in answer[first.id]["buckets"] if row["doc_count"]]
    assert rows, panel.id
    if isinstance(first, Terms):
        metric = panel.metrics[0]
        largest = sorted((by_hand(metric, members) for members in wanted.values()), reverse=True)
        assert [in_answer(metric, row, 0) for row in rows] == largest[: first.size], panel.id
    else:
        assert {row["key"] for row in rows} == set(wanted)
    for row in rows:
        compare(panel, tuple(rest), row, wanted[row["key"]])


@pytest.mark.parametrize(
    ("board", "panel"),
    [(board, panel) for board in BOARDS for panel in board.panels],
    ids=lambda one: one.id,
)
async def test_a_panel_s_query_counts_what_is_there(client: AsyncElasticsearch, board: Board, panel: Panel) -> None:
    seen = SEEN[board.id]
    answer = await client.search(index=f"{board.indices}-*", body=panel.query(iso(BEGIN), iso(END), board.query))
    assert answer["hits"]["total"]["value"] == len(seen)
    assert 0 < len(seen) < len(DOCUMENTS[board.id])
    compare(panel, panel.buckets, dict(answer.get("aggregations", {})), seen)


def test_the_week_tells_the_panels_apart() -> None:
    """What is counted is neither none nor all, so that a query that says nothing is seen."""
    assert len(TOUCHING) < len(EVENTS)
    for query in (AFTER_HOURS, REFUSED):
        assert 0 < sum(map(MEANS[query], SEEN[ACCESSES.id])) < len(SEEN[ACCESSES.id])
    in_utc = [one for one in SEEN[ACCESSES.id] if 7 <= one[TIME] // HOUR % 24 < 19]
    assert any(map(after_hours, in_utc))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
async def test_every_field_is_there_with_a_type_that_the_panel_can_use(
    client: AsyncElasticsearch, board: Board
) -> None:
    capabilities = (await client.field_caps(index=f"{board.indices}-*", fields="*"))["fields"]
    used = [(column.field, column.types) for panel in board.panels for column in panel.columns if column.types]
    used += [(field, Terms.types) for field in board.controls] + [(TIME, Time.types)]
    for field, types in used:
        assert set(capabilities[field]) <= types, field
        assert all(found["aggregatable"] and found["searchable"] for found in capabilities[field].values()), field
    assert set(board.search.columns) <= set(capabilities)
    queries = [board.query, *(getattr(metric, "query", "") for panel in board.panels for metric in panel.metrics)]
    assert {name for query in queries for name in re.findall(r"([\w.]+) ?(?:[:<]|>=)", query)} <= set(capabilities)


async def test_who_touched_a_record_is_found_as_discover_asks(client: AsyncElasticsearch) -> None:
    patient = TOUCHING[0]["wardwatch"]["patients"][0]
    wanted = [one for one in TOUCHING if patient in one["wardwatch"]["patients"]]
    found = await client.search(
        index=f"{ACCESSES.indices}-*",
        query={
            "bool": {"filter": [{"kql": {"query": q}} for q in (ACCESSES.query, f'wardwatch.patients: "{patient}"')]}
        },
        sort=[{TIME: {"order": "desc", "format": "strict_date_optional_time", "unmapped_type": "boolean"}}],
        fields=[{"field": field, "include_unmapped": True} for field in ACCESSES.search.columns],
        size=100,
        source=False,
    )
    hits = found["hits"]["hits"]
    assert [hit["fields"]["wardwatch.actor"] for hit in hits] == [
        [one["wardwatch"]["actor"]] for one in sorted(wanted, key=lambda one: -one[TIME])
    ]
    assert all(set(ACCESSES.search.columns) <= set(hit["fields"]) for hit in hits)


async def test_without_events_the_overview_is_as_it_was(client: AsyncElasticsearch) -> None:
    for name, board in ((f"{OVERVIEW.indices}-*", OVERVIEW), ("wardwatch-events-of-nobody-*", ACCESSES)):
        answers = [
            await client.search(index=name, body=panel.query(iso(BEGIN), iso(END), board.query), allow_no_indices=True)
            for panel in board.panels
        ]
        assert {bool(answer["hits"]["total"]["value"]) for answer in answers} == {board is OVERVIEW}
    assert ACCESSES.indices not in json.dumps(saved_objects()[-1])


async def test_the_latest_alerts_are_found_as_discover_asks(client: AsyncElasticsearch) -> None:
    found = await client.search(
        index=f"{ALERTS}-*",
        sort=[{TIME: {"order": "desc", "format": "strict_date_optional_time", "unmapped_type": "boolean"}}],
        fields=[{"field": field, "include_unmapped": True} for field in OVERVIEW.search.columns],
        size=5,
        source=False,
    )
    assert [hit["sort"][0] for hit in found["hits"]["hits"]] == [
        iso(time).replace("Z", ".000Z") for time in sorted((d[TIME] for d in ALERTED), reverse=True)[:5]
    ]
    for hit in found["hits"]["hits"]:
        assert set(OVERVIEW.search.columns) <= set(hit["fields"])
        assert hit["fields"]["wardwatch.alert"] == [hit["_id"]]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [('wardwatch.severity: "critical"', "critical"), ("wardwatch.entity.kind: user", ""), ("rule.name: synthetic", "")],
)
async def test_filters_are_asked_in_kibana_s_own_language(client: AsyncElasticsearch, query: str, wanted: str) -> None:
    found = await client.count(index=f"{ALERTS}-*", query={"kql": {"query": query}})
    assert found["count"] == sum(wanted in ("", d["wardwatch"]["severity"]) for d in ALERTED)
