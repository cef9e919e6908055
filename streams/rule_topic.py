"""Rules that every worker runs, and those that none runs any more, in the compacted topic ``rules``.

A file of rules lies there under ``file/`` and its name; a rule in it replaces one of the same id that ships with the
product or lies in a worker's own folder. A rule that was quarantined lies under ``quarantine/`` and its id, with the
version that misbehaved: another version is free again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

from streams.lineage import SCHEMA
from streams.settings import Settings
from streams.tail import Tail
from streams.topics import RULES

__all__ = ["LARGEST", "Board", "File", "Quarantine", "RuleTopic"]

#: Bytes of one published file.
LARGEST = 900_000


class File(NamedTuple):
    """One published file."""

    text: str  #: YAML, of one rule or many
    shadow: bool = False  #: its rules are counted and alert nobody
    by: str = ""  #: who published it


class Quarantine(NamedTuple):
    """Why a rule alerts no more."""

    version: str  #: of the rule that misbehaved
    title: str
    reason: str


class Board(NamedTuple):
    """What the topic says at one time."""

    files: Mapping[str, File]
    quarantined: Mapping[str, Quarantine]  #: by the rule's id


class RuleTopic:
    """The topic, read on from where it was read before."""

    def __init__(self, settings: Settings) -> None:
        self._tail = Tail(settings, RULES)
        self._files: dict[str, File] = {}
        self._quarantined: dict[str, Quarantine] = {}

    def refresh(self) -> Board:
        """What holds now. What a later version wrote is left out. Raises kafka's errors."""
        for record in self._tail.read():
            with suppress(ValueError, AttributeError, KeyError, TypeError):  # nobody of ours wrote it
                self._take(record.key.decode(), None if record.value is None else orjson.loads(record.value))
        return Board(dict(self._files), dict(self._quarantined))

    def _take(self, key: str, value: Any) -> None:
        kind, _, name = key.partition("/")
        known = value is not None and value["v"] <= SCHEMA
        if kind == "file":
            self._files.pop(name, None)
            if known:
                self._files[name] = File(str(value["text"]), bool(value["shadow"]), str(value["by"]))
        elif kind == "quarantine":
            self._quarantined.pop(name, None)
            if known:
                self._quarantined[name] = Quarantine(str(value["version"]), str(value["title"]), str(value["reason"]))

    def publish(self, name: str, file: File) -> None:
        """Have every worker run the rules of ``file``. Raises kafka's errors."""
        self._write(f"file/{name}", file._asdict())

    def withdraw(self, name: str) -> None:
        """Have no worker run them any more."""
        self._write(f"file/{name}", None)

    def quarantine(self, rule: str, why: Quarantine) -> None:
        """Have ``rule``, an id, alert nobody in this version."""
        self._write(f"quarantine/{rule}", why._asdict())

    def release(self, rule: str) -> None:
        """Let it alert again."""
        self._write(f"quarantine/{rule}", None)

    def _write(self, key: str, value: Mapping[str, Any] | None) -> None:
        self._tail.write(key.encode(), None if value is None else orjson.dumps({"v": SCHEMA, **value}))

    def close(self) -> None:
        self._tail.close()
