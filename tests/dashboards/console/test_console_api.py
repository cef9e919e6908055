"""The console's API over a real store, in process: what it answers, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from synthetic_alerts import alert

from dashboards.console.app import create_app
from streams.sinks.store import AlertStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AlertStore]:
    opened = AlertStore(tmp_path / "alerts.sqlite")
    yield opened
    opened.close()


@pytest.fixture
async def client(store: AlertStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(store.path))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8900") as opened:
        yield opened


async def test_alerts_come_newest_first_and_filtered(client: httpx.AsyncClient, store: AlertStore) -> None:
    store.write([alert("a", severity="low"), alert("b"), alert("c", source="device")], now=1)
    names = [found["title"][-1] for found in (await client.get("/api/alerts")).json()]
    assert names == ["c", "b", "a"]
    found = (await client.get("/api/alerts", params={"severity": "high", "source": "device"})).json()
    assert [item["title"][-1] for item in found] == ["c"]
    before = (await client.get("/api/alerts", params={"before": 2})).json()
    assert [item["title"][-1] for item in before] == ["a"]


async def test_one_alert_with_the_evidence_it_keeps(client: httpx.AsyncClient, store: AlertStore) -> None:
    store.write([alert("a")], now=7)
    found = (await client.get(f"/api/alerts/{alert('a').id}")).json()
    assert found["findings"][0]["evidence"] == {"event.action": "delete", "source.ip": "192.0.2.7"}
    assert found["stored"] == 7
    assert (await client.get("/api/alerts/none")).status_code == 404


async def test_state_counts_alerts_and_says_what_workers_said(client: httpx.AsyncClient, store: AlertStore) -> None:
    store.write([alert("a"), alert("b", severity="low")], now=1)
    store.set_fact("worker.1", {"lag": 5})
    assert (await client.get("/api/status")).json() == {
        "counts": {"high": 1, "low": 1},
        "facts": {"worker.1": {"lag": 5}},
        "latest": 2,
    }


async def test_without_a_store_it_is_empty_and_no_error(tmp_path: Path) -> None:
    transport = httpx.ASGITransport(app=create_app(tmp_path / "none.sqlite"))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8900") as client:
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/api/alerts")).json() == []


async def test_a_store_made_anew_is_read(client: httpx.AsyncClient, store: AlertStore) -> None:
    """A damaged store is moved away and a new one made, while the page stays open."""
    store.write([alert("a")], now=1)
    assert len((await client.get("/api/alerts")).json()) == 1
    store.close()
    for file in store.path.parent.glob("alerts.sqlite*"):
        file.unlink()
    AlertStore(store.path).close()
    assert (await client.get("/api/alerts")).json() == []


@pytest.mark.parametrize("path", ["/", "/api/alerts", "/api/status", "/api/stream"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8900"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
    ],
)
async def test_strangers_are_refused(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], status: int
) -> None:
    assert (await client.get(path, headers=headers)).status_code == status


async def test_it_only_reads(client: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert (await client.request(method, "/api/alerts")).status_code == 405


@pytest.mark.parametrize("path", ["/", "/console.js", "/api/alerts", "/api/alerts/none"])
async def test_every_answer_carries_the_policy(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers


@pytest.mark.parametrize("query", ["severity=worst", "before=x", "after=-1", "before=%C2%B2"])
async def test_a_query_that_means_nothing_is_told(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/api/alerts?{query}")).status_code == 400
