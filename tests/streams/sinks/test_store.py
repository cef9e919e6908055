"""The embedded store keeps the newest revision, finds, and refuses what is no store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from synthetic_alerts import alert

from streams.sinks import store as module
from streams.sinks.store import AlertStore, StoreError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AlertStore]:
    opened = AlertStore(tmp_path / "alerts.sqlite")
    yield opened
    opened.close()


def test_newest_come_first(store: AlertStore) -> None:
    store.write([alert("a"), alert("b")], now=1)
    store.write([alert("c")], now=2)
    assert [found["title"][-1] for found in store.alerts()] == ["c", "b", "a"]
    assert store.count() == {"high": 3}


def test_the_same_again_changes_nothing(store: AlertStore) -> None:
    store.write([alert("a")], now=1)
    latest = store.latest()
    store.write([alert("a", title="changed")], now=2)
    assert store.latest() == latest
    assert store.alert(alert("a").id)["title"] == "Synthetic alert a"  # type: ignore[index]


def test_an_older_revision_never_replaces_a_newer(store: AlertStore) -> None:
    store.write([alert("a", revision=2, title="newer")], now=1)
    store.write([alert("a", revision=1, title="older")], now=2)
    assert store.alert(alert("a").id)["title"] == "newer"  # type: ignore[index]
    store.write([alert("a", revision=3, title="newest")], now=3)
    assert store.alert(alert("a").id)["title"] == "newest"  # type: ignore[index]


def test_filters_and_search(store: AlertStore) -> None:
    store.write([alert("a", severity="low"), alert("b", source="device"), alert("c", entity="device:pump_1")], now=1)
    assert [found["title"][-1] for found in store.alerts(severity="high")] == ["c", "b"]
    assert [found["title"][-1] for found in store.alerts(source="device")] == ["b"]
    assert [found["title"][-1] for found in store.alerts(entity="device:pump_1")] == ["c"]
    assert [found["title"][-1] for found in store.alerts(text="PUMP_1 delete")] == ["c"]
    assert store.alerts(text="pumpx1") == [], "an underscore is no wildcard"
    assert store.alerts(text="%") == []
    assert [found["title"][-1] for found in store.alerts(after=store.latest() - 1)] == ["c"]


def test_the_oldest_make_room(store: AlertStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    for name in "abcde":
        store.write([alert(name)], now=1)
    assert [found["title"][-1] for found in store.alerts()] == ["e", "d", "c"]


def test_it_is_there_after_a_restart_and_others_can_read_meanwhile(store: AlertStore) -> None:
    store.write([alert("a")], now=1)
    store.set_fact("worker.1", {"lag": 3})
    reader = AlertStore(store.path, read_only=True)
    assert reader.latest() == 1
    assert reader.facts() == {"worker.1": {"lag": 3}}
    reader.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite"
    path.write_bytes(b"no database at all, and long enough to be told so" * 100)
    with pytest.raises(StoreError, match=r"alerts\.sqlite cannot be opened .* move it away"):
        AlertStore(path)


def test_a_store_that_cannot_be_written_says_so_for_facts_too(store: AlertStore) -> None:
    """A worker reports on itself every few seconds: a full disk must not end it."""
    store._db.execute("pragma query_only = on")
    with pytest.raises(StoreError, match=r"alerts\.sqlite: attempt to write a readonly database"):
        store.set_fact("worker.1", {"lag": 3})
    with pytest.raises(StoreError, match="readonly"):
        store.write([alert("a")], now=1)


def test_threads_that_write_wait_for_each_other(store: AlertStore) -> None:
    def write(number: int) -> None:
        for turn in range(20):
            store.set_fact(f"worker.{number}", turn)
            store.write([alert(f"{number}-{turn}")], now=turn)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert store.count() == {"high": 160}
    assert store.facts() == {f"worker.{number}": 19 for number in range(8)}


def test_what_workers_of_long_ago_said_is_forgotten(store: AlertStore) -> None:
    """Each has a name of its own: a worker that ends and is started again every minute would fill the page."""
    for number in range(5):
        store.set_fact(f"worker.{number}", {"time": number * 1000})
    store.set_fact("other", {"time": 0})
    store.drop_facts("worker.", before=3000)
    assert sorted(store.facts()) == ["other", "worker.3", "worker.4"]


def test_one_that_is_just_being_made_is_none_yet(tmp_path: Path) -> None:
    """Its file is there before its tables are: who looks then hears so, and looks again."""
    (tmp_path / "alerts.sqlite").touch()
    with pytest.raises(StoreError, match="no such table"):
        AlertStore(tmp_path / "alerts.sqlite", read_only=True)
