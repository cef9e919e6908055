"""Each panel's own query on a real Elasticsearch, over alerts of a synthetic week, held against a count by hand."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from synthetic_alerts import alert

from dashboards.kibana.columns import Bucket, Column, Count, Latest, Terms, Time, Unique
from dashboards.kibana.panels import CONTROLS, LATEST, PANELS, TIME, Panel
from detectors.base import SEVERITIES, Alert
from streams.sinks.elasticsearch import ALERTS, Elasticsearch, alert_source

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


DOCUMENTS = [alert_source(one) for one in week()]
SEEN = [document for document in DOCUMENTS if BEGIN <= document[TIME] <= END]


def iso(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat().replace("+00:00", "Z")


async def prepare(url: str) -> None:
    async with AsyncElasticsearch(url) as client:
        for name in await client.indices.get(index="wardwatch-*"):
            await client.indices.delete(index=name)
        sink = Elasticsearch(url)
        await sink.set_up()
        assert await sink.write(list(week())) == []
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
    serious = [d for d in documents if d["wardwatch"]["severity"] in ("high", "critical")]
    return len(serious if column.query else documents)


def in_answer(column: Column, bucket: dict[str, Any], total: int) -> Any:
    if isinstance(column, Count):
        return bucket[column.id]["doc_count"] if column.query else bucket.get("doc_count", total)
    return bucket[column.id]["value"]


def groups(bucket: Bucket, documents: list[dict[str, Any]]) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for document in documents:
        for value in values(document, bucket.field):
            found[value // (3 * HOUR) * 3 * HOUR if isinstance(bucket, Time) else value].append(document)
    return found


def compare(panel: Panel, buckets: tuple[Bucket, ...], answer: dict[str, Any], documents: list[dict[str, Any]]) -> None:
    if not buckets:
        for metric in panel.metrics:
            assert in_answer(metric, answer, len(SEEN)) == by_hand(metric, documents), (panel.id, metric.id)
        return
    first, *rest = buckets
    wanted = groups(first, documents)
    rows = [row for row in answer[first.id]["buckets"] if row["doc_count"]]
    assert rows, panel.id
    if isinstance(first, Terms):
        counts = Counter({value: len(members) for value, members in wanted.items()})
        assert [row["doc_count"] for row in rows] == [count for _, count in counts.most_common(first.size)], panel.id
    else:
        assert {row["key"] for row in rows} == set(wanted)
    for row in rows:
        compare(panel, tuple(rest), row, wanted[row["key"]])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.id)
async def test_a_panel_s_query_counts_what_is_there(client: AsyncElasticsearch, panel: Panel) -> None:
    answer = await client.search(index=f"{ALERTS}-*", body=panel.query(iso(BEGIN), iso(END)))
    assert answer["hits"]["total"]["value"] == len(SEEN)
    assert 0 < len(SEEN) < len(DOCUMENTS)
    compare(panel, panel.buckets, dict(answer.get("aggregations", {})), SEEN)


async def test_every_field_is_there_with_a_type_that_the_panel_can_use(client: AsyncElasticsearch) -> None:
    capabilities = (await client.field_caps(index=f"{ALERTS}-*", fields="*"))["fields"]
    used = [(column.field, column.types) for panel in PANELS for column in panel.columns if column.types]
    used += [(field, Terms.types) for field in CONTROLS] + [(TIME, Time.types)]
    for field, types in used:
        assert set(capabilities[field]) <= types, field
        assert all(found["aggregatable"] and found["searchable"] for found in capabilities[field].values()), field
    assert set(LATEST) <= set(capabilities)


async def test_the_latest_alerts_are_found_as_discover_asks(client: AsyncElasticsearch) -> None:
    found = await client.search(
        index=f"{ALERTS}-*",
        sort=[{TIME: {"order": "desc", "format": "strict_date_optional_time", "unmapped_type": "boolean"}}],
        fields=[{"field": field, "include_unmapped": True} for field in LATEST],
        size=5,
        source=False,
    )
    assert [hit["sort"][0] for hit in found["hits"]["hits"]] == [
        iso(time).replace("Z", ".000Z") for time in sorted((d[TIME] for d in DOCUMENTS), reverse=True)[:5]
    ]
    for hit in found["hits"]["hits"]:
        assert set(LATEST) <= set(hit["fields"])
        assert hit["fields"]["wardwatch.alert"] == [hit["_id"]]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [('wardwatch.severity: "critical"', "critical"), ("wardwatch.entity.kind: user", ""), ("rule.name: synthetic", "")],
)
async def test_filters_are_asked_in_kibana_s_own_language(client: AsyncElasticsearch, query: str, wanted: str) -> None:
    found = await client.count(index=f"{ALERTS}-*", query={"kql": {"query": query}})
    assert found["count"] == sum(wanted in ("", d["wardwatch"]["severity"]) for d in DOCUMENTS)
