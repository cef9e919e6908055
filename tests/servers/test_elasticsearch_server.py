"""The stand-in classes make a server that the official client takes for Elasticsearch, because it is."""

from __future__ import annotations

import pytest
from elasticsearch import ConflictError, Elasticsearch


def test_the_official_client_finds_the_version_that_was_locked(elasticsearch_url: str) -> None:
    with Elasticsearch(elasticsearch_url) as client:
        assert client.ping()
        assert client.info()["version"]["number"] == "8.19.21"


def test_external_versions_and_templates_work_as_in_the_distribution(elasticsearch_url: str, unique: str) -> None:
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.put_index_template(
            name=unique,
            index_patterns=[f"{unique}-*"],
            template={"mappings": {"dynamic": "strict", "properties": {"at": {"type": "date"}}}},
        )
        index = f"{unique}-2026.01"
        client.index(index=index, id="a", document={"at": 2}, version=2, version_type="external", refresh=True)
        with pytest.raises(ConflictError):
            client.index(index=index, id="a", document={"at": 1}, version=1, version_type="external")
        refused = client.bulk(operations=[{"create": {"_index": index, "_id": "b"}}, {"unheard": 1}])
        assert refused["items"][0]["create"]["status"] == 400
        assert client.count(index=index)["count"] == 1
