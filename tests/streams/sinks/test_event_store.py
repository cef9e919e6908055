"""The embedded event store: each event once, found by everybody it is about, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.base import Event
from streams.sinks.database import StoreError
from streams.sinks.event_store import EventStore, Limits

DAY = 86_400_000
NOW = 1_790_000_000_000
WIDE = Limits(size=1 << 30, days=30)
PATIENT, OTHER = "patient:0123abcd.aaaabbbbccccddddeeeeffff", "patient:0123abcd.bbbbbbbbccccddddeeeeffff"


def event(number: int, *, patients: tuple[str, ...] = (PATIENT,), time: int = NOW, pad: int = 0) -> Event:
    fields = {"event.action": "read", "user.id": "synthetic-p1", "event.reason": "x" * pad}
    return Event(
        f"e{number}", time + number, "fhir", "user:synthetic-p1", patients, "", "address:192.0.2.7", True, fields
    )


def ids(store: EventStore, *entities: str, since: int = 0, until: int = 1 << 60) -> list[str]:
    return [one["wardwatch"]["id"] for one in store.about(entities, since=since, until=until, limit=1000)]


@pytest.fixture
def store(tmp_path: Path) -> EventStore:
    return EventStore(tmp_path / "events.sqlite")


def test_written_again_an_event_is_there_once_and_found_by_each_entity(store: EventStore) -> None:
    asked = event(3, patients=())._replace(fields={"wardwatch.about": OTHER})
    for _ in range(3):
        store.write([event(1), event(2, patients=(PATIENT, OTHER)), asked], now=NOW, limits=WIDE)
    assert store.count() == 3
    assert ids(store, PATIENT) == ["e2", "e1"]
    assert ids(store, OTHER) == ["e3", "e2"]
    assert ids(store, PATIENT, OTHER) == ["e3", "e2", "e1"], "each once"
    assert ids(store, "user:synthetic-p1") == ids(store, "address:192.0.2.7") == ["e3", "e2", "e1"]
    assert ids(store, PATIENT, since=NOW + 2) == ["e2"]
    assert ids(store, PATIENT, until=NOW + 1) == ["e1"]
    assert ids(store, "user:nobody") == []
    store.close()


def test_what_is_too_old_goes_by_when_it_was_stored(store: EventStore) -> None:
    store.write([event(1, time=NOW + 400 * DAY)], now=NOW, limits=WIDE)
    store.write([event(2, patients=(OTHER,), time=NOW - 400 * DAY)], now=NOW + 20 * DAY, limits=WIDE)
    assert store.count() == 2, "an event's own date, which may be wrong, keeps nothing and removes nothing"
    store.write([], now=NOW + 31 * DAY, limits=WIDE)
    assert (ids(store, PATIENT), ids(store, OTHER)) == ([], ["e2"])
    assert store.oldest() == NOW + 20 * DAY
    names = store._db.execute("select name from entities").fetchall()
    assert (PATIENT,) not in names, "nobody is remembered of whom nothing is"
    store.close()


def test_the_file_stays_within_its_limit_and_keeps_the_newest(store: EventStore) -> None:
    limits = Limits(size=1_000_000, days=30)
    for start in range(0, 6000, 200):
        store.write([event(n, pad=500) for n in range(start, start + 200)], now=NOW, limits=limits)
        assert store._used() < 1_400_000
    kept = ids(store, PATIENT)
    assert 300 < len(kept) <= 1000
    assert kept[0] == "e5999"
    assert store.path.stat().st_size < 3_000_000
    store.close()


def test_another_reads_while_one_writes(store: EventStore) -> None:
    store.write([event(1)], now=NOW, limits=WIDE)
    reader = EventStore(store.path, read_only=True)
    store.write([event(2)], now=NOW, limits=WIDE)
    assert ids(reader, PATIENT) == ["e2", "e1"]
    reader.close()
    store.close()


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match=r"cannot be opened .* move it away"):
        EventStore(tmp_path / "x")
    with pytest.raises(StoreError, match="cannot be opened"):
        EventStore(tmp_path / "nowhere", read_only=True)
