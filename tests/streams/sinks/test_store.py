"""The embedded store keeps the newest revision, finds, and refuses what is no store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from small_disk import SmallDisk
from synthetic_alerts import alert

from streams.sinks import store as module
from streams.sinks.database import StoreError
from streams.sinks.store import AlertStore

ROOT = Path(__file__).parents[3]


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


def test_on_a_full_disk_it_takes_nothing_says_so_and_takes_all_once_there_is_room(
    tmp_path: Path, small_disk: Callable[[Path, int], SmallDisk]
) -> None:
    """Both stores, open already and not yet: a worker that starts on a full disk waits for room as well."""
    disk = small_disk(tmp_path / "disk", 8)
    script = [*disk.enter, sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path / "disk")]
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    environment = {**os.environ, "PYTHONPATH": path}
    process = subprocess.Popen(script, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    disk.fill()
    process.stdin.write("full\n")
    process.stdin.flush()
    told = [process.stdout.readline().rstrip() for _ in range(4)]
    disk.free()
    kept, _ = process.communicate("free\n", timeout=30)
    mend = "has no room: free some of its disk, and what waits is written by itself"
    unopened = "cannot be opened, its disk is full: free some of it"
    folder = tmp_path / "disk"
    assert told == [
        f"{folder}/alerts.sqlite {mend}",
        f"{folder}/events.sqlite {mend}",
        f"{folder}/new-alerts.sqlite {unopened}",
        f"{folder}/new-events.sqlite {unopened}",
    ]
    assert kept.split() == ["202", "202", "200", "200"], "each once, of what was refused too"


ON_A_FULL_DISK = """
import asyncio, sys, time
from pathlib import Path
from synthetic_alerts import alert
from test_event_store import WIDE, event
from streams.event_keeping import EmbeddedEvents
from streams.indexing import Stores
from streams.sinks.event_store import EventStore
from streams.sinks.database import StoreFull
from streams.sinks.store import AlertStore

folder = Path(sys.argv[1])
open_alerts, open_events = AlertStore(folder / "alerts.sqlite"), EventStore(folder / "events.sqlite")
stores = [Stores(open_alerts, None), Stores(folder / "new-alerts.sqlite", None)]
keepers = [EmbeddedEvents(open_events, WIDE, time.time), EmbeddedEvents(folder / "new-events.sqlite", WIDE, time.time)]
some = [alert(str(n)) for n in range(200)], [event(n) for n in range(200)]


async def main():
    for n in (1000, 1001):  # so that the files are there, and their logs
        await stores[0].write([alert(str(n))], now=1)
        await keepers[0].write([event(n)])
    print("ready", flush=True)
    sys.stdin.readline()
    tries = [part for s, k in zip(stores, keepers) for part in ((s.write, some[0], {"now": 2}), (k.write, some[1], {}))]
    for write, what, given in tries:
        try:
            await write(what, **given)
            print("taken", flush=True)
        except StoreFull as exc:
            print(exc, flush=True)
    sys.stdin.readline()
    for _ in range(2):
        for write, what, given in tries:
            await write(what, **given)
    for store, keeper in zip(stores, keepers):
        print(sum(store._opened().count().values()), keeper._opened().count())

asyncio.run(main())
"""


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
