"""What lies on this machine: settings that are none, the data folder and its disk, keys, tables, rules, the store."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from detectors.rules import load
from streams.commands.config import unknown_names
from streams.commands.doctor.finding import Finding
from streams.keys import exposed, keys_of
from streams.settings import Settings
from streams.sinks.database import StoreError
from streams.sinks.event_store import EventStore
from streams.sinks.store import AlertStore
from streams.sources.known import load_sources

__all__ = ["findings"]

#: Bytes free below which a worker's store, or an embedded Kafka, soon stops; and the share below which it is told.
_NEEDED = 512 * 1024 * 1024
_SHARE = 0.05
_GB = 1024**3
#: Files that every host of an installation has, and that are the same on each.
_SHARED = ("webhook.key", "dead-letters.public", "vault.public")


def findings(settings: Settings, role: str = "") -> Iterator[Finding]:
    """Of everything here. ``role``: as for :func:`streams.commands.doctor.findings`."""
    yield from _settings()
    yield from _folder(settings, role)
    if role in ("", "worker"):
        yield from _tables(settings)
        yield from _rules(settings, "rules", settings.rules)
        if settings.embedded_store and settings.store_path.exists():
            yield _store(settings.store_path, AlertStore)
    if role in ("", "events"):
        yield from _events(settings)


def _settings() -> Iterator[Finding]:
    unknown = unknown_names()
    for one in unknown:
        mend = f"call it {one.nearest}" if one.nearest else "take it away; wardwatch config shows what there is"
        yield Finding("settings", "warning", f"{one.name} in {one.origin} is no setting", mend)
    if not unknown:
        yield Finding("settings", "ok", "every name is a setting")


def _folder(settings: Settings, role: str) -> Iterator[Finding]:
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
    yield (keys := _keys(settings))
    if keys.level != "error" and settings.vault:
        yield _vault(settings, role)


def _keys(settings: Settings) -> Finding:
    folder = settings.home / "keys"
    elsewhere = settings.pseudonym_key.get_secret_value() or settings.pseudonym_key_command
    if not elsewhere and not any(folder.glob("pseudonym*.key")):
        return Finding(
            "keys", "error", f"there are none in {folder}", "run wardwatch setup, or copy them from a worker that runs"
        )
    if missing := [name for name in _SHARED if not (folder / name).exists()]:
        told = f"{', '.join(missing)} is not in {folder}, and would be made anew, which fits no other host"
        return Finding("keys", "error", told, "copy it from a worker that runs")
    try:
        keys_of(settings)
    except (ValueError, OSError) as exc:
        return Finding("keys", "error", str(exc), "restore the folder from your backup")
    if open_to := exposed(folder):
        told = f"others may read {', '.join(open_to)} in {folder}"
        return Finding("keys", "warning", told, f"chmod 600 {folder}/*, and think whether anybody has")
    return Finding("keys", "ok", f"whole, and their owner's alone, in {folder}")


def _vault(settings: Settings, role: str) -> Finding:
    """Whoever has the vault's private key knows every patient: it is where it is needed, and nowhere else."""
    path = settings.home / "keys" / "vault.private"
    outside = settings.vault_private_key.get_secret_value() or settings.vault_private_key_command
    if role in ("worker", "events"):
        if path.exists() or outside:
            told = f"{'it is given here' if outside else f'{path} is here'}, and this host needs none to do its work"
            return Finding("vault key", "warning", told, "move it to where those sit who may reveal (docs/identity.md)")
        return Finding("vault key", "ok", "not here: what this host writes to the vault it cannot read")
    if not path.exists() and not outside and not role:
        return Finding("vault key", "ok", "not here: identities are revealed elsewhere")
    try:
        keys_of(settings).vault_private()
    except (ValueError, OSError) as exc:
        mend = "put the installation's own there; what the vault holds opens with no other"
        return Finding("vault key", "error", str(exc), mend)
    return Finding("vault key", "ok", "here, and of the vault's public key: identities can be revealed")


def _events(settings: Settings) -> Iterator[Finding]:
    yield from _rules(settings, "events rules", settings.events_rules)
    if settings.events_index and not settings.elasticsearch:
        mend = "set WARDWATCH_ELASTICSEARCH, or unset WARDWATCH_EVENTS_INDEX"
        yield Finding("events", "error", "events_index is set, and there is no Elasticsearch", mend)
    elif not settings.events_index and settings.events_path.exists():
        yield _store(settings.events_path, EventStore)


def _tables(settings: Settings) -> Iterator[Finding]:
    if not settings.sources:
        return
    sources, problems = load_sources(settings.sources)
    for problem in problems[:3]:
        mend = "mend it, and start the workers again: its rows are dead letters until then"
        yield Finding("sources", "warning", str(problem), mend)
    if len(problems) > 3:
        yield Finding("sources", "warning", f"{len(problems) - 3} more mistakes", "wardwatch sources check names each")
    if not problems:
        names = ", ".join(table.name for table in sources.tables)
        yield Finding("sources", "ok", f"every table that is named can be read: {names}")


def _rules(settings: Settings, setting: str, paths: Sequence[Path]) -> Iterator[Finding]:
    if not paths:
        return
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        mend = f"mend WARDWATCH_{setting.upper().replace(' ', '_')}, or put them there"
        yield Finding(setting, "error", f"{', '.join(missing)} is not there", mend)
        return
    problems = load(paths, **settings.rule_context).problems
    for problem in problems[:3]:
        yield Finding(setting, "warning", str(problem), "mend the rule: it is left out until then")
    if len(problems) > 3:
        yield Finding(setting, "warning", f"{len(problems) - 3} more are left out", "wardwatch detect names each")
    if not problems:
        yield Finding(setting, "ok", "every rule that is named can be loaded")


def _store(path: Path, kind: type[AlertStore | EventStore]) -> Finding:
    mend = "move it away, or restore it from your backup"
    try:
        store = kind(path, read_only=True)
        try:
            store.count()
        finally:
            store.close()
    except StoreError as exc:
        return Finding("store", "error", str(exc).partition(": move it")[0], mend)
    except sqlite3.Error as exc:
        return Finding("store", "error", f"{path} cannot be read ({exc})", mend)
    return Finding("store", "ok", f"{path} can be read")
