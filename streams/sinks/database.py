"""A SQLite file of ours: opened or made, of a version that is known, and what is told where it cannot be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

__all__ = ["StoreError", "StoreFull", "check_version", "not_opened", "not_written", "opened"]


class StoreError(Exception):
    """The store cannot be used. The message says why and how to mend it."""


class StoreFull(StoreError):
    """There is no room for it; there may be later."""


def _has_no_room(exc: sqlite3.Error) -> bool:
    return getattr(exc, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")


def not_opened(path: Path, exc: sqlite3.Error) -> StoreError:
    """What is told of a file that cannot be opened."""
    if _has_no_room(exc):
        return StoreFull(f"{path} cannot be opened, its disk is full: free some of it")
    return StoreError(f"{path} cannot be opened ({exc}): move it away, a new one is made")


def check_version(database: sqlite3.Connection, path: Path, version: int) -> int:
    """The version of the tables in ``path``, 0 where none is said. Raises StoreError on one past ``version``."""
    (found,) = database.execute("pragma user_version").fetchone()
    if found > version:
        raise StoreError(f"{path} has tables of version {found}; this version of Wardwatch reads {version}: upgrade it")
    return int(found)


def not_written(path: Path, exc: sqlite3.Error) -> StoreError:
    """What is told of a write that failed. Nothing of it is in the file."""
    if _has_no_room(exc):
        return StoreFull(f"{path} has no room: free some of its disk, and what waits is written by itself")
    return StoreError(f"{path}: {exc}")


def opened(path: Path, *, schema: str, version: int, table: str, read_only: bool) -> sqlite3.Connection:
    """For any thread, one at a time. Unless ``read_only`` the file is made where there is none, by ``schema``.

    ``table``: one that it makes. Raises StoreError on a file that is damaged, of a later version or none of ours,
    StoreFull without room.
    """
    try:
        if read_only:
            database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5, check_same_thread=False)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(path, timeout=5, check_same_thread=False)
    except sqlite3.Error as exc:
        raise not_opened(path, exc) from exc
    try:
        found = check_version(database, path, version)
        if not read_only:
            database.executescript(schema)
            if found < version:
                database.execute(f"pragma user_version = {version}")
            database.execute("pragma journal_mode = wal")
            database.execute("pragma synchronous = full")
        database.execute(f"select 1 from {table} limit 1")  # noqa: S608  one that is being made has no tables yet
    except (StoreError, sqlite3.Error) as exc:
        database.close()
        raise exc if isinstance(exc, StoreError) else not_opened(path, exc) from exc
    return database
