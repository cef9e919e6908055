"""A query finds among kept events what the rule finds, on a real Elasticsearch; what cannot be one is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch as Client
from rule_files import changed, write
from test_rules_drafting import records

from detectors.rules import Rule, RuleSet, load, starter_rules
from streams.commands.rules.converting import SAME, NotConverted, convert
from streams.commands.rules.fields import events_of
from streams.pipeline import Reader
from streams.privacy import Pseudonyms
from streams.sinks.elasticsearch import Elasticsearch
from streams.sinks.event_index import EVENTS, template, write_events
from streams.sources.known import CATALOG

READER = Reader(RuleSet([]), Pseudonyms(bytes(32), "test"))


def every_event() -> list[tuple[dict[str, Any], Any]]:
    shipped = [event for rule in starter_rules().rules for _, _, event in events_of(rule.custom)]
    found = []
    for number, record in enumerate([*shipped, *records()]):
        source = CATALOG.recognise(record)
        name = f"synthetic-{number}"
        event = READER.read(record, source, fallback_id=lambda name=name: name, received=1_770_000_000_000).event  # type: ignore[misc]
        found.append((record, event._replace(id=name)))
    return found


def rule_of(folder: Path, selection: Any, **more: Any) -> Rule:
    detection = {"selection": selection, **more.pop("detection", {})}
    rule = changed(detection={"condition": "selection", **detection}, **more)
    (loaded,) = load([write(folder, rule)]).rules
    return loaded


TRAIL = {"product": "aws", "service": "cloudtrail"}
DEVICE = {"product": "wardwatch", "service": "device"}
EHR = {"category": "ehr"}
RULES: list[tuple[str, dict[str, Any], Any, dict[str, Any]]] = [
    ("vendor", {}, {"eventName": ["StopLogging", "CreateAccessKey"]}, {}),
    ("prefix", {}, {"eventName|startswith": "Put", "event.provider|contains": "amazonaws"}, {}),
    (
        "absent",
        {},
        {"eventName|endswith": "Trail"},
        {"filter": {"errorCode": None}, "condition": "selection and filter"},
    ),
    ("not", DEVICE, {"device.type": "infusion-pump"}, {"f": {"action": "login"}, "condition": "selection and not f"}),
    ("network", DEVICE, {"source.ip|cidr": "10.0.0.0/8"}, {}),
    ("one of", EHR, {"event.action": "read"}, {"other": {"event.outcome": "failure"}, "condition": "1 of them"}),
    ("wildcard", DEVICE, {"action": "*_up?ate"}, {}),
]


@pytest.fixture(scope="module")
def kept(elasticsearch_url: str) -> Iterator[tuple[Client, list[tuple[dict[str, Any], Any]]]]:
    events = every_event()

    async def fill() -> None:
        store = Elasticsearch(elasticsearch_url)
        await store.set_up(template())
        assert await write_events(store, [event for _, event in events]) == []
        await store.close()

    with Client(elasticsearch_url) as client:
        for name in client.indices.get(index=f"{EVENTS}-*"):
            client.indices.delete(index=name)
        asyncio.run(fill())
        client.indices.refresh(index=f"{EVENTS}-*")
        yield client, events
        for name in client.indices.get(index=f"{EVENTS}-*"):
            client.indices.delete(index=name)


@pytest.mark.parametrize(("name", "logsource", "selection", "more"), RULES, ids=[rule[0] for rule in RULES])
def test_it_finds_what_the_rule_finds(
    name: str, logsource: dict[str, Any], selection: Any, more: dict[str, Any], kept: Any, tmp_path: Path
) -> None:
    client, events = kept
    rule = rule_of(tmp_path, selection, logsource=logsource or TRAIL, detection=more)
    rules = RuleSet([rule])
    wanted = set()
    for record, event in events:
        source = CATALOG.by_name(event.source)
        draft = source.normalise(record)
        if rules.match(draft.shown or record, draft.fields, draft.logsource or source.logsource):
            wanted.add(event.id)
    assert 0 < len(wanted) < len(events), "a test that could not fail"
    lucene = convert(rule, "lucene", CATALOG).query
    hits = client.search(index=f"{EVENTS}-*", query={"query_string": {"query": lucene}}, size=1000)["hits"]["hits"]
    assert {hit["_source"]["wardwatch"]["id"] for hit in hits} == wanted, lucene
    esql = convert(rule, "esql", CATALOG).query
    assert esql.startswith(f"from {EVENTS}-* ")
    answer = client.esql.query(query=f"{esql} | keep wardwatch.id | limit 1000")
    assert {row[0] for row in answer["values"]} == wanted, esql


@pytest.mark.parametrize(
    ("selection", "logsource", "language", "why"),
    [
        ({"userIdentity.type": "Root"}, TRAIL, "esql", "kept events of cloudtrail do not have userIdentity.type"),
        ({"eventName": "ACCEPT"}, {"product": "aws"}, "lucene", "kept events of 2 sources do not have eventName"),
        ({"type.code": "rest"}, EHR, "lucene", "kept events of 7 sources do not have type.code"),
        ({"Image": "x"}, {"product": "windows"}, "lucene", "no source here sends its log source"),
        ({"event.category": "file"}, EHR, "esql", "event.category may hold several values"),
    ],
)
def test_what_would_find_nothing_is_refused(
    selection: Any, logsource: dict[str, Any], language: Any, why: str, tmp_path: Path
) -> None:
    with pytest.raises(NotConverted, match=why):
        convert(rule_of(tmp_path, selection, logsource=logsource), language, CATALOG)


def test_what_the_backend_cannot_say_is_refused_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(NotConverted, match="pySigma's backend does not say it in this language"):
        convert(rule_of(tmp_path, ["keyword"]), "esql", CATALOG)


def test_fields_that_are_said_to_be_the_same_are() -> None:
    seen = set()
    for record, _ in every_event():
        source = CATALOG.recognise(record)
        fields = source.normalise(record).fields
        for vendor, ecs in SAME.get(source.name, {}).items():
            at: Any = record
            for step in vendor.split("."):
                at = at.get(step) if isinstance(at, dict) else None
            assert fields.get(ecs) == at, (source.name, vendor)
            assert ecs in source.released
            if at is not None:
                seen.add((source.name, vendor))
    untried = {(name, vendor) for name, same in SAME.items() for vendor in same} - seen
    assert untried <= {("device", "device.firmware"), ("cloudtrail", "errorCode")}, untried


def test_without_the_backend_it_says_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sigma.backends.elasticsearch", None)
    with pytest.raises(NotConverted, match="pip install --no-deps pysigma-backend-elasticsearch"):
        convert(rule_of(tmp_path, {"event.action": "x"}), "lucene", CATALOG)
