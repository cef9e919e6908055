"""The embedded store: alerts in one SQLite file, for whoever runs without Elasticsearch. What the console shows.

One process writes, any number read (write-ahead log). An alert is written by its revision: an older one never
replaces a newer, and writing the same twice changes nothing. The newest :data:`KEPT` alerts are kept.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from detectors.base import SEVERITIES, Alert, Severity
from streams.codecs import alert_document
from streams.sinks.database import not_written, opened

__all__ = ["KEPT", "VERSION", "AlertStore"]

#: Alerts kept; the oldest make room.
KEPT = 200_000

#: Version of the file's tables.
VERSION = 1

_SCHEMA = """
create table if not exists alerts (
    id text primary key,
    revision integer not null,
    sequence integer not null,
    severity integer not null,
    entity text not null,
    source text not null,
    detector text not null,
    title text not null,
    last_seen integer not null,
    stored integer not null,
    words text not null,
    document blob not null
) without rowid;
create unique index if not exists alerts_sequence on alerts (sequence);
create table if not exists facts (name text primary key, value blob not null) without rowid;
"""

_UPSERT = """
insert into alerts values (?, ?, (select coalesce(max(sequence), 0) + 1 from alerts), ?, ?, ?, ?, ?, ?, ?, ?, ?)
on conflict (id) do update set
    revision = excluded.revision, sequence = excluded.sequence, severity = excluded.severity, entity = excluded.entity,
    source = excluded.source, detector = excluded.detector, title = excluded.title, last_seen = excluded.last_seen,
    stored = excluded.stored, words = excluded.words, document = excluded.document
where excluded.revision > alerts.revision
"""


class AlertStore:
    """One connection, for any thread: they wait for each other."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or create. Raises StoreError on a file that is damaged or no store of ours, StoreFull without room."""
        self.path = path
        self._writing = threading.Lock()
        self._db = opened(path, schema=_SCHEMA, version=VERSION, table="alerts", read_only=read_only)
        self._db.row_factory = sqlite3.Row

    def write(self, alerts: Iterable[Alert], *, now: int) -> None:
        """Durable when it returns. ``now``: ms, shown as the time of arrival. Raises StoreError, and then none is."""
        try:
            with self._writing, self._db:
                self._db.executemany(_UPSERT, (_row(alert, now) for alert in alerts))
                self._db.execute(
                    "delete from alerts where sequence <= (select coalesce(max(sequence), 0) - ? from alerts)", (KEPT,)
                )
        except sqlite3.Error as exc:
            raise not_written(self.path, exc) from exc

    def set_fact(self, name: str, value: Any) -> None:
        """Keep one JSON value by name, such as a worker's throughput, for the console to show. Raises StoreError."""
        try:
            with self._writing, self._db:
                self._db.execute("insert or replace into facts values (?, ?)", (name, orjson.dumps(value)))
        except sqlite3.Error as exc:
            raise not_written(self.path, exc) from exc

    def drop_facts(self, prefix: str, *, before: int) -> None:
        """Forget facts whose name begins with ``prefix`` and whose ``time`` is before ``before`` (ms)."""
        old = [(name,) for name, fact in self.facts().items() if name.startswith(prefix) and fact["time"] < before]
        try:
            with self._writing, self._db:
                self._db.executemany("delete from facts where name = ?", old)
        except sqlite3.Error as exc:
            raise not_written(self.path, exc) from exc

    def facts(self) -> dict[str, Any]:
        return {name: orjson.loads(value) for name, value in self._db.execute("select name, value from facts")}

    def alert(self, alert_id: str) -> dict[str, Any] | None:
        """One alert, whole; None where there is none."""
        row = self._db.execute("select document, stored from alerts where id = ?", (alert_id,)).fetchone()
        return None if row is None else {**orjson.loads(row["document"]), "stored": row["stored"]}

    def alerts(
        self,
        *,
        text: str = "",
        severity: Severity = "informational",
        source: str = "",
        entity: str = "",
        before: int = 0,
        after: int = 0,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Newest first. ``severity``: at least. ``text``: every word of it occurs. ``before``, ``after``: sequences."""
        where: list[str] = ["severity >= ?"]
        values: list[Any] = [SEVERITIES.index(severity)]
        filters: list[tuple[str, Any]] = [("source = ?", source), ("entity = ?", entity)]
        filters += [("sequence < ?", before), ("sequence > ?", after)]
        filters += [("words like ? escape '\\'", f"%{_escaped(word)}%") for word in text.lower().split()]
        for clause, value in filters:
            if value:
                where.append(clause)
                values.append(value)
        columns = "select sequence, document, stored from alerts"
        query = f"{columns} where {' and '.join(where)} order by sequence desc limit ?"  # our clauses
        rows = self._db.execute(query, (*values, limit)).fetchall()
        return [{**orjson.loads(r["document"]), "sequence": r["sequence"], "stored": r["stored"]} for r in rows]

    def count(self) -> dict[str, int]:
        """How many alerts are kept, by severity."""
        rows = self._db.execute("select severity, count(*) from alerts group by severity")
        return {SEVERITIES[severity]: number for severity, number in rows}

    def latest(self) -> int:
        """The highest sequence; it rises with every write."""
        return int(self._db.execute("select coalesce(max(sequence), 0) from alerts").fetchone()[0])

    def close(self) -> None:
        with self._writing:
            self._db.close()


def _row(alert: Alert, now: int) -> tuple[Any, ...]:
    first = alert.findings[0]
    document = orjson.dumps(alert_document(alert))
    told = [alert.title, alert.reason, alert.entity, first.source, first.detector, *first.techniques]
    told += [str(value) for value in first.rule.values()] + [str(value) for value in first.evidence.values()]
    return (
        alert.id,
        alert.revision,
        SEVERITIES.index(alert.severity),
        alert.entity,
        first.source,
        first.detector,
        alert.title,
        alert.last_seen,
        now,
        " ".join(told).lower(),
        document,
    )


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
