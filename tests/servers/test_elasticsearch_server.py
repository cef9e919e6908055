"""The test server is the real thing where our sinks and dashboards lean on it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from elasticsearch import ConflictError, Elasticsearch
from servers.elasticsearch_server import TestElasticsearch

from streams.embedded.jars import EmbeddedError
from streams.embedded.java import free_port

pytestmark = pytest.mark.elasticsearch


def test_it_serves_the_version_whose_client_is_installed(elasticsearch_url: str) -> None:
    with Elasticsearch(elasticsearch_url) as client:
        assert client.info()["version"]["number"] == "8.19.21"


def test_an_older_external_version_is_refused(elasticsearch_url: str, unique: str) -> None:
    with Elasticsearch(elasticsearch_url) as client:
        client.index(index=unique, id="a", document={"n": 2}, version=2, version_type="external")
        for stale in (1, 2):
            with pytest.raises(ConflictError):
                client.index(index=unique, id="a", document={"n": 1}, version=stale, version_type="external")
        client.index(index=unique, id="a", document={"n": 3}, version=3, version_type="external")
        assert client.get(index=unique, id="a")["_source"] == {"n": 3}


def test_bulk_create_of_a_known_id_answers_409_for_that_one_alone(elasticsearch_url: str, unique: str) -> None:
    with Elasticsearch(elasticsearch_url) as client:
        client.index(index=unique, id="known", document={"n": 1})
        answer = client.bulk(
            index=unique, operations=[{"create": {"_id": "known"}}, {"n": 2}, {"create": {"_id": "new"}}, {"n": 3}]
        )
        assert [item["create"]["status"] for item in answer["items"]] == [409, 201]
        assert client.get(index=unique, id="known")["_source"] == {"n": 1}


def test_esql_and_kql_answer(elasticsearch_url: str, unique: str) -> None:
    with Elasticsearch(elasticsearch_url) as client:
        for severity in ("low", "high", "high"):
            client.index(index=unique, document={"severity": severity}, refresh=True)
        answer = client.esql.query(
            query=f"FROM {unique} | STATS n = COUNT(*) BY severity.keyword | SORT n DESC | LIMIT 9"
        )
        assert answer["values"] == [[2, "high"], [1, "low"]]
        found = client.search(index=unique, query={"kql": {"query": 'severity: "high"'}})
        assert found["hits"]["total"]["value"] == 2


def test_a_template_makes_the_index_of_a_month_strict(elasticsearch_url: str, unique: str) -> None:
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.put_index_template(
            name=unique,
            index_patterns=[f"{unique}-*"],
            template={"mappings": {"dynamic": "strict", "properties": {"@timestamp": {"type": "date"}}}},
        )
        index = f"{unique}-2026.11"
        client.index(index=index, document={"@timestamp": "2026-11-24T00:00:00Z"}, refresh=True)
        refused = client.bulk(operations=[{"create": {"_index": index, "_id": "b"}}, {"unheard": 1}])
        assert refused["items"][0]["create"]["status"] == 400
        assert client.count(index=index)["count"] == 1


def test_what_was_written_outlives_a_kill(tmp_path: Path) -> None:
    node = TestElasticsearch(tmp_path / "es")
    node.start()
    try:
        with Elasticsearch(node.url) as client:
            client.index(index="kept", id="a", document={"n": 1})
            node.kill()
            assert not node.running()
            node.start()
            assert client.get(index="kept", id="a")["_source"] == {"n": 1}
    finally:
        node.stop()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        with pytest.raises(EmbeddedError, match=f"port {port} is in use"):
            TestElasticsearch(tmp_path, port).start()
