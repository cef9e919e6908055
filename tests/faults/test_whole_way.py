"""The whole way on real Kafka, Elasticsearch and a real receiver: all of them see every attack, none sees a patient."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
import urllib.parse
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cluster import Cluster
from oracle import judge
from prometheus_client.parser import text_string_to_metric_families
from receiving import Receiver, receiving
from topic_reading import read_topic

from dashboards.console.app import create_app
from streams import topics
from streams.demo.hospital import Emission, Hospital
from streams.demo.records import audit_event, iso
from streams.demo.stories import STORIES
from streams.embedded.java import free_port
from streams.emitter import Emitter

EVENTS = 1500
#: Kinds of receivers beside the webhook, all at one server.
KINDS = ("pagerduty", "slack", "teams", "alertmanager")


def emissions(hospital: Hospital, begin: int) -> list[Emission]:
    """A little of an ordinary day, every story, and records that hide patients where nobody looks for them."""
    ordinary = list(itertools.islice(hospital.traffic(begin, per_second=10), EVENTS))
    attacks = [e for number, story in enumerate(STORIES) for e in story.tell(hospital, begin + number * 20_000)]
    return [*ordinary, *attacks, *hidden(hospital, begin)]


def hidden(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """Free text, entity.name, base64 query, a URL, and a patient who is the actor."""
    for number, patient in enumerate(hospital.patients[:20]):
        record = audit_event(
            id=f"hidden-{number}",
            time=begin + number,
            interaction="search",
            staff=hospital.staff[0],
            address="192.0.2.4",
            patient=patient,
            purpose="ETREAT",
        )
        query = f"Patient?_id={patient}&name=Synthetic%20Patient%20{patient}"
        record["entity"].append(
            {
                "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "2"},
                "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "24"},
                "query": _b64(query),
                "description": f"searched for {patient}",
            }
        )
        record["outcomeDesc"] = f"all about Synthetic Patient {patient}"
        record["text"] = {"status": "generated", "div": f"<div>{patient}</div>"}
        if number % 2:
            record["agent"][1]["who"] = {"reference": f"Patient/{patient}", "display": f"Synthetic Patient {patient}"}
            record["agent"][1]["altId"] = patient
        yield Emission("audit.ehr", "fhir", b"hidden", begin, record)
        broken = {**record, "id": f"broken-{number}", "recorded": iso(begin)[:-1]}
        yield Emission("audit.ehr", "fhir", b"broken", begin, broken)


def _b64(text: str) -> str:
    return b64encode(text.encode()).decode()


def identifiers(hospital: Hospital) -> list[bytes]:
    """Every way a patient may be named, as bytes in lower case."""
    names = [spelling for p in hospital.patients for spelling in (p, f"Synthetic Patient {p}")]
    return [name.lower().encode() for name in names]


def leaks(content: bytes, wanted: list[bytes]) -> list[bytes]:
    """Which of ``wanted`` are in it: plain, url-decoded, or within anything that looks like base64."""
    forms = [content, urllib.parse.unquote_to_bytes(content)]
    for run in set(re.findall(rb"[A-Za-z0-9+/]{12,}", content)):
        for start in range(4):
            piece = run[start:]
            forms.append(b64decode(piece[: len(piece) // 4 * 4]))
    text = b"\n".join(forms).lower()
    found = set(re.findall(rb"synthetic-\d{6}\b", text)) | set(re.findall(rb"synthetic patient synthetic-\d{6}", text))
    return sorted(found & set(wanted))


@pytest.mark.faults
@pytest.mark.elasticsearch
async def test_every_attack_is_told_everywhere_and_no_patient_anywhere(tmp_path: Path, elasticsearch_url: str) -> None:
    hospital = Hospital(seed=3, staff=60, patients=300, devices=40)
    with receiving() as receiver, receiving() as others:
        metrics = free_port()
        cluster = Cluster(
            tmp_path,
            environment={
                "WARDWATCH_METRICS_PORT": str(metrics),
                "WARDWATCH_LOG_FORMAT": "json",
                "WARDWATCH_ELASTICSEARCH": elasticsearch_url,
                "WARDWATCH_RULES_URL": "https://git.hospital.example/{path}",
                "WARDWATCH_PRIVATE_HOSTS": '["127.0.0.1"]',
                "WARDWATCH_RECEIVERS__ONCALL__URL": receiver.url,
                "WARDWATCH_RECEIVERS__ONCALL__MINIMUM_SEVERITY": "medium",
                "WARDWATCH_RECEIVERS__PAGERDUTY__ROUTING_KEY": "0" * 32,
                **{f"WARDWATCH_RECEIVERS__{kind.upper()}__KIND": kind for kind in KINDS},
                **{f"WARDWATCH_RECEIVERS__{kind.upper()}__URL": f"{others.url}/{kind}" for kind in KINDS},
            },
        )
        cluster.start()
        try:
            metrics_url = f"http://127.0.0.1:{metrics}/metrics"
            await _run(cluster, hospital, receiver, others, elasticsearch_url, metrics_url)
        finally:
            cluster.stop()


async def _run(
    cluster: Cluster,
    hospital: Hospital,
    receiver: Receiver,
    others: Receiver,
    elasticsearch_url: str,
    metrics_url: str,
) -> None:
    begin = int(time.time() * 1000) - 1_000_000
    with Emitter(cluster.kafka.bootstrap, producer="tests") as emitter:
        for emission in emissions(hospital, begin):
            emitter.emit(emission.record, source=emission.source, key=emission.key.decode())
    cluster.add_worker()
    cluster.settle(seconds=60)
    told = cluster.ends(topics.ALERTS)
    alerts = sum(told.values())
    async with httpx.AsyncClient() as client:
        await _until_indexed(client, elasticsearch_url, alerts)
        index = (await client.get(f"{elasticsearch_url}/wardwatch-alerts-*/_search?size=5000")).content
    transport = httpx.ASGITransport(app=create_app(cluster.settings.store_path))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as page:
        shown = (await page.get("/api/alerts")).content
    _wait(lambda: len({r.headers["webhook-id"] for r in receiver.received}) >= _due(json.loads(shown)))
    _wait(lambda: _metrics(httpx.get(metrics_url).text)["taken", "index", topics.ALERTS] == alerts)
    metrics = (await asyncio.to_thread(httpx.get, metrics_url)).content
    for worker in cluster.workers:
        assert worker.stop() == 0
    cluster.workers.clear()
    judgement = await asyncio.to_thread(judge, cluster.settings)
    assert judgement.wrong == []
    assert judgement.counts[topics.DEAD_LETTERS] == 20
    _check_balance(_metrics(metrics.decode()), cluster, judgement.counts)
    logged = [line for log in cluster.folder.glob("worker-*.log") for line in log.read_text().splitlines()]
    assert all(set(json.loads(line)) >= {"@timestamp", "log.level", "message"} for line in logged)

    titles = {hit["_source"]["rule"]["name"] for hit in json.loads(index)["hits"]["hits"]}
    links = {hit["_source"]["rule"].get("reference", "") for hit in json.loads(index)["hits"]["hits"]}
    assert {link.partition("/packs/")[0] for link in links if link} == {"https://git.hospital.example"}
    for story in STORIES:
        seen = [title for title in story.seen_by if not title.startswith("rate.")]
        assert set(seen) <= titles, f"{story.name} was not seen in Elasticsearch"

    wanted = identifiers(hospital)
    places: dict[str, bytes] = {"index": index, "page": shown, "metrics": metrics}
    places |= {f"{got.path} {number}": got.body for number, got in enumerate(others.received)}
    assert {got.path.split("/")[2] for got in others.received} == set(KINDS)
    places |= {f"webhook {number}": got.body for number, got in enumerate(receiver.received)}
    for topic in topics.ALL:
        if topic.name not in topics.INPUTS:
            records = itertools.chain.from_iterable(read_topic(cluster.settings.kafka, topic.name).values())
            places[topic.name] = b"\n".join(_bytes(record) for record in records)
    for file in (cluster.folder / "data").rglob("*"):
        if file.is_file():
            places[str(file)] = file.read_bytes()
    for file in cluster.folder.glob("*.log"):
        places[str(file)] = file.read_bytes()
    for place, content in places.items():
        assert leaks(content, wanted) == [], f"{place} names a patient"
    source = b"\n".join(_bytes(r) for rs in read_topic(cluster.settings.kafka, "audit.ehr").values() for r in rs)
    assert leaks(source, wanted), "the scan would find them where they are"


def _metrics(text: str) -> Counter[tuple[str, ...]]:
    """Counts of records by what became of them, step and topic."""
    found: Counter[tuple[str, ...]] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("wardwatch_records_") and "step" in sample.labels:
                became = sample.name.removeprefix("wardwatch_records_").removesuffix("_total")
                found[became, sample.labels["step"], sample.labels["topic"]] += int(sample.value)
    return found


def _check_balance(metrics: Counter[tuple[str, ...]], cluster: Cluster, counts: dict[str, int]) -> None:
    """What goes in comes out, is a dead letter, or was filtered; and what went on from a step is what the next took."""
    steps = {(step, topic) for _, step, topic in metrics}
    for key in steps:
        assert metrics["taken", *key] == sum(metrics[became, *key] for became in ("passed", "filtered", "dead")), key
    for topic in topics.INPUTS:
        assert metrics["taken", "ingest", topic] == sum(cluster.ends(topic).values())
    assert sum(metrics["dead", "ingest", topic] for topic in topics.INPUTS) == counts[topics.DEAD_LETTERS]
    passed = sum(metrics["passed", "ingest", topic] for topic in topics.INPUTS)
    assert passed == metrics["taken", "behave", topics.EVENTS] == counts[topics.EVENTS]
    assert metrics["taken", "behave", topics.VIEWS] == counts[topics.VIEWS]
    assert metrics["taken", "alert", topics.FINDINGS] == counts[topics.FINDINGS]
    told = metrics["passed", "alert", topics.FINDINGS]
    assert told == metrics["passed", "index", topics.ALERTS] == counts[topics.ALERTS]
    assert metrics["passed", "notify", topics.NOTIFICATIONS] == counts[topics.NOTIFICATIONS] > told, "one a receiver"


def _bytes(record: Any) -> bytes:
    headers = b"\n".join(value for _, value in record.headers or ())
    return b"\n".join((record.key or b"", record.value or b"", headers))


def _due(alerts: list[dict[str, Any]]) -> int:
    return sum(alert["severity"] in ("medium", "high", "critical") for alert in alerts)


def _wait(condition: Any, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time given"
        time.sleep(0.1)


async def _until_indexed(client: httpx.AsyncClient, url: str, alerts: int) -> None:
    for _ in range(900):
        await client.post(f"{url}/wardwatch-*/_refresh")
        count = (await client.get(f"{url}/wardwatch-alerts-*/_count")).json().get("count", 0)
        if count >= alerts:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("Elasticsearch does not hold every alert")
