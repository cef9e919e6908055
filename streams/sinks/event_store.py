"""The embedded event store: which events there were about whom, in one SQLite file of bounded size and age.

For whoever runs without Elasticsearch, so that "who opened this record last month" has an answer. One process writes,
any number read (write-ahead log). An event is kept once, by its id; what is too old goes, and so do the oldest where
the file would grow past its limit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from detectors.base import Event
from streams.documents import document
from streams.lineage import fingerprint
from streams.sinks.database import StoreError, not_written, opened

__all__ = ["VERSION", "EventStore", "Limits", "entities_of"]

#: Version of the file's tables.
VERSION = 1

_SCHEMA = """
pragma auto_vacuum = incremental;
create table if not exists events (
    sequence integer primary key,
    mark integer not null unique,
    time integer not null,
    stored integer not null,
    document blob not null
);
create table if not exists entities (number integer primary key, name text not null unique);
create table if not exists about (
    entity integer not null, time integer not null, sequence integer not null,
    primary key (entity, time, sequence)
) without rowid;
create index if not exists about_sequence on about (sequence);
"""
#: Of all events, the share that goes at once where the file is full.
_SHARE = 20
_DAY = 86_400_000


class Limits(NamedTuple):
    size: int  #: bytes that the events may take; indexes and what is being written come on top of it for a moment
    days: int  #: after which an event goes, counted from when it was stored


def entities_of(event: Event) -> set[str]:
    """Everybody and everything that an event can be asked for by."""
    asked = event.fields.get("wardwatch.about")
    return {event.actor, *event.patients, event.device, event.address, asked if isinstance(asked, str) else ""} - {""}


class EventStore:
    """One connection, for any thread: they wait for each other."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create. Raises StoreError on a file that is no store of ours, or is damaged."""
        self.path = path
        self._writing = threading.Lock()
        self._db = opened(path, schema=_SCHEMA, version=VERSION, table="about", read_only=read_only)

    def write(self, events: Iterable[Event], *, now: int, limits: Limits) -> None:
        """Durable when it returns. ``now``: ms since the epoch. Raises StoreError, and then none is."""
        try:
            with self._writing, self._db:
                for event in events:
                    self._put(event, now)
                self._trim(now, limits)
                self._db.execute("pragma incremental_vacuum(1000)").fetchall()
        except sqlite3.Error as exc:
            raise not_written(self.path, exc) from exc

    def _put(self, event: Event, now: int) -> None:
        # SQLite's integers are signed, and so is the mark
        mark = fingerprint(event.id) - (1 << 63)
        put = self._db.execute(
            "insert or ignore into events (mark, time, stored, document) values (?, ?, ?, ?)",
            (mark, event.time, now, orjson.dumps(document(event))),
        )
        if not put.rowcount:
            return  # it is there
        for name in entities_of(event):
            self._db.execute("insert or ignore into entities (name) values (?)", (name,))
            self._db.execute(
                "insert or ignore into about select number, ?, ? from entities where name = ?",
                (event.time, put.lastrowid, name),
            )

    def _trim(self, now: int, limits: Limits) -> None:
        young = self._db.execute(
            "select sequence from events where stored >= ? order by sequence limit 1", (now - limits.days * _DAY,)
        ).fetchone()
        first, last = self._db.execute("select min(sequence), max(sequence) from events").fetchone()
        if first is None:
            return
        keep_from = young[0] if young else last + 1
        if keep_from == first and self._used() <= limits.size:
            return
        self._drop_before(keep_from)
        while self._used() > limits.size and keep_from <= last:
            keep_from += (last - keep_from) // _SHARE + 1
            self._drop_before(keep_from)
        self._db.execute("delete from entities where number not in (select entity from about)")

    def _drop_before(self, sequence: int) -> None:
        self._db.execute("delete from about where sequence < ?", (sequence,))
        self._db.execute("delete from events where sequence < ?", (sequence,))

    def _used(self) -> int:
        """Bytes in use; what was freed and not given back does not count."""
        pages, free, size = (
            self._db.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def about(self, entities: Sequence[str], *, since: int, until: int, limit: int) -> Iterator[dict[str, Any]]:
        """Documents of events about any of ``entities``, newest first, each once. ``since``, ``until``: ms, inclusive.

        Raises StoreError.
        """
        marks = ", ".join("?" * len(entities))
        query = (
            "select distinct a.time, a.sequence, e.document from about a join events e using (sequence) "  # noqa: S608
            f"where a.entity in (select number from entities where name in ({marks})) and a.time between ? and ? "
            "order by a.time desc, a.sequence desc limit ?"  # our own words, but for the marks
        )
        try:
            for _, _, found in self._db.execute(query, (*entities, since, until, limit)):
                yield orjson.loads(found)
        except sqlite3.Error as exc:
            raise StoreError(f"{self.path}: {exc}") from exc

    def count(self) -> int:
        return int(self._db.execute("select count(*) from events").fetchone()[0])

    def oldest(self) -> int | None:
        """ms at which the oldest event that is kept was stored; None where there is none."""
        found = self._db.execute("select stored from events order by sequence limit 1").fetchone()
        return None if found is None else int(found[0])

    def close(self) -> None:
        with self._writing:
            self._db.close()
