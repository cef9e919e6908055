"""What lies on this machine: names that are no setting, the data folder and its disk, keys, rules, the store."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator

from detectors.rules import load
from streams.commands.config import unknown_names
from streams.commands.doctor.finding import Finding
from streams.keys import keys_of
from streams.settings import Settings
from streams.sinks.store import AlertStore, StoreError

__all__ = ["findings"]

#: Bytes free below which a worker's store, or an embedded Kafka, soon stops; and the share below which it is told.
_NEEDED = 512 * 1024 * 1024
_SHARE = 0.05
_GB = 1024**3


def findings(settings: Settings) -> Iterator[Finding]:
    """Of everything here."""
    yield from _settings()
    yield from _folder(settings)
    yield from _rules(settings)
    if settings.embedded_store and settings.store_path.exists():
        yield _store(settings)


def _settings() -> Iterator[Finding]:
    unknown = unknown_names()
    for one in unknown:
        mend = f"call it {one.nearest}" if one.nearest else "take it away; wardwatch config shows what there is"
        yield Finding("settings", "warning", f"{one.name} in {one.origin} is no setting", mend)
    if not unknown:
        yield Finding("settings", "ok", "every name is a setting")


def _folder(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if not home.is_dir():
        yield Finding("data folder", "error", f"{home} is no folder", "run wardwatch setup, or set WARDWATCH_DATA_DIR")
        return
    if not os.access(home, os.W_OK | os.X_OK):
        yield Finding("data folder", "error", f"{home} cannot be written", "give it to the user that runs workers")
    usage = shutil.disk_usage(home)
    free = f"{usage.free / _GB:,.1f} GB of {usage.total / _GB:,.1f} GB are free under {home}"
    if usage.free < _NEEDED:
        yield Finding("disk", "error", free, "make room: it takes 512 MB")
    elif usage.free < _SHARE * usage.total:
        yield Finding("disk", "warning", free, "make room before it is full")
    else:
        yield Finding("disk", "ok", free)
    yield _keys(settings)


def _keys(settings: Settings) -> Finding:
    folder = settings.home / "keys"
    elsewhere = settings.pseudonym_key.get_secret_value() or settings.pseudonym_key_command
    if not elsewhere and not any(folder.glob("pseudonym*.key")):
        return Finding(
            "keys", "error", f"there are none in {folder}", "run wardwatch setup, or copy them from a worker that runs"
        )
    try:
        keys_of(settings)
    except (ValueError, OSError) as exc:
        return Finding("keys", "error", str(exc), "restore the folder from your backup")
    open_to = [path.name for path in sorted(folder.iterdir()) if path.stat().st_mode & 0o077]
    if open_to:
        told = f"others may read {', '.join(open_to)} in {folder}"
        return Finding("keys", "warning", told, f"chmod 600 {folder}/*, and think whether anybody has")
    return Finding("keys", "ok", f"whole, and their owner's alone, in {folder}")


def _rules(settings: Settings) -> Iterator[Finding]:
    if not settings.rules:
        return
    missing = [str(path) for path in settings.rules if not path.exists()]
    if missing:
        yield Finding("rules", "error", f"{', '.join(missing)} is not there", "mend WARDWATCH_RULES, or put them there")
        return
    problems = load(settings.rules, **settings.rule_context).problems
    for problem in problems[:3]:
        yield Finding("rules", "warning", str(problem), "mend the rule: it is left out until then")
    if len(problems) > 3:
        yield Finding("rules", "warning", f"{len(problems) - 3} more are left out", "wardwatch detect names each")
    if not problems:
        yield Finding("rules", "ok", "every rule beside the starter pack can be loaded")


def _store(settings: Settings) -> Finding:
    mend = "move it away, or restore it from your backup"
    try:
        store = AlertStore(settings.store_path, read_only=True)
        try:
            store.latest()
        finally:
            store.close()
    except StoreError as exc:
        return Finding("store", "error", str(exc).partition(": move it")[0], mend)
    except sqlite3.Error as exc:
        return Finding("store", "error", f"{settings.store_path} cannot be read ({exc})", mend)
    return Finding("store", "ok", f"{settings.store_path} can be read")
