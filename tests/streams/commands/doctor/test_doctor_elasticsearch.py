"""Each thing that doctor looks at in Elasticsearch, well and unwell, on a real one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from answering import answering
from elasticsearch import Elasticsearch, NotFoundError
from installed import installed, unwell
from synthetic_alerts import alert

from streams.commands.doctor import elasticsearch
from streams.settings import Settings
from streams.sinks.elasticsearch import ALERTS, alert_source, templates
from streams.sinks.event_index import EVENTS, template


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return installed(tmp_path)


@pytest.fixture
def stored(settings: Settings, elasticsearch_url: str) -> Iterator[tuple[Settings, Elasticsearch]]:
    with Elasticsearch(elasticsearch_url) as client:
        for name in client.indices.get(index="wardwatch-*"):
            client.indices.delete(index=name)
        for name, body in templates().items():
            client.indices.put_index_template(name=name, **body)
        with suppress(NotFoundError):
            client.indices.delete_index_template(name=EVENTS)
        yield settings.model_copy(update={"elasticsearch": elasticsearch_url}), client


def test_elasticsearch_that_is_well_and_what_is_not(stored: tuple[Settings, Elasticsearch]) -> None:
    settings, client = stored

    def about(clock: Callable[[], float] = time.time) -> list[tuple[str, str, str, str]]:
        return unwell(elasticsearch.findings(settings, clock))

    assert about() == []
    one = alert("a", time=1_772_323_200_000)
    client.index(index=f"{ALERTS}-2026.03", id=one.id, document=alert_source(one), refresh=True)
    assert about() == []
    assert list(elasticsearch.findings(settings, time.time))[-1].told == "1 of ours, each as its template says"

    late = about(lambda: time.time() + 600)
    assert [(n, f) for n, f, *_ in late] == [("elastic clock", "error")]

    keeping = settings.model_copy(update={"events_index": True})
    missing = [
        ("templates", "error", f"{EVENTS} is missing: new indices would guess their types", "run wardwatch setup")
    ]
    for role in ("", "events"):
        assert unwell(elasticsearch.findings(keeping, time.time, role)) == missing
    assert unwell(elasticsearch.findings(keeping, time.time, "worker")) == []
    client.indices.put_index_template(name=EVENTS, **template()[EVENTS])
    for role in ("", "events"):
        assert unwell(elasticsearch.findings(keeping, time.time, role)) == []

    client.indices.put_settings(index=f"{ALERTS}-2026.03", settings={"index.blocks.read_only_allow_delete": True})
    ((name, level, told, _),) = about()
    assert (name, level, told) == (
        "indices", "error", f"{ALERTS}-2026.03 takes no writes (read_only_allow_delete)",
    )  # fmt: skip
    client.indices.put_settings(index=f"{ALERTS}-2026.03", settings={"index.blocks.read_only_allow_delete": None})

    client.indices.delete_index_template(name=ALERTS)
    client.indices.create(index=f"{ALERTS}-2026.02", mappings={"properties": {"message": {"type": "long"}}})
    missing, wrong = about()
    assert missing == (
        "templates",
        "error",
        f"{ALERTS} is missing: new indices would guess their types",
        "run wardwatch setup",
    )
    assert wrong[:2] == ("mappings", "error")
    assert f"{ALERTS}-2026.02 was not made by our template: message is long, no @timestamp" in wrong[2]
    body = templates()[ALERTS]
    body["template"]["mappings"]["properties"]["message"] = {"type": "keyword"}
    client.indices.put_index_template(name=ALERTS, **body)
    assert about()[0][2] == f"{ALERTS} is another version's"


@pytest.mark.parametrize(
    ("status", "body", "told", "mend"),
    [
        (
            401,
            {"error": {"type": "security_exception"}},
            "does not know who asks (401)",
            "WARDWATCH_ELASTICSEARCH_API_KEY",
        ),
        (403, {"error": {"type": "security_exception"}}, "security_exception", "cluster privilege monitor"),
        (503, {"error": {"type": "x"}}, "503 x", "start it, or mend WARDWATCH_ELASTICSEARCH"),
        (200, {"version": {"number": "9.1.0"}}, "9.1.0 at http://127", "use one of the 8.19 line"),
        (200, {"version": {"number": "8.11.3"}}, "8.11.3 at http://127", "upgrade to 8.19"),
    ],
)
def test_an_elasticsearch_that_does_not_serve(
    settings: Settings, status: int, body: dict[str, Any], told: str, mend: str
) -> None:
    headers = {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
    with answering(lambda _: (status, headers, json.dumps(body).encode())) as serving:
        url = serving.url.replace("//", "//soc:secret@")
        found = next(elasticsearch.findings(settings.model_copy(update={"elasticsearch": url}), lambda: 0.0))
    assert found.level != "ok"
    assert told in found.told
    assert mend in found.mend
    assert "secret" not in found.told
