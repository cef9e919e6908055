"""Rules that every worker runs, and those that none runs any more, in the compacted topic ``rules``.

A file of rules lies there under ``file/`` and its name; a rule in it replaces one of the same id that ships with the
product or lies in a worker's own folder. A rule that was quarantined lies under ``quarantine/`` and its id, with the
version that misbehaved: another version is free again. Under ``worker/`` each worker says which rules it runs, when
they change and every minute; what one said that ended is taken away a day later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from streams.lineage import SCHEMA
from streams.settings import Settings
from streams.tail import Tail
from streams.topics import PUBLISHED, RULES

__all__ = ["LARGEST", "Board", "File", "Quarantine", "RuleTopic", "Running", "encoded"]

#: Bytes of one published file.
LARGEST = 900_000
#: What workers say where they have it to say.
_LATER: Final = ("shadowed", "lacking", "newer")


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


class Running(NamedTuple):
    """Which rules one worker runs."""

    version: str  #: of the whole set
    loaded: int
    problems: int  #: rules and files that were not loaded
    shadow: int  #: rules that are only counted
    told: int = 0  #: when it said so, ms of its own clock
    #: Titles of correlations, each with the title of the rule for which it is in shadow, or that it does without.
    shadowed: tuple[tuple[str, str], ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    newer: int = 0  #: files and quarantines that it cannot read and does without


class Board(NamedTuple):
    """What the topic says at one time."""

    files: Mapping[str, File]
    quarantined: Mapping[str, Quarantine]  #: by the rule's id
    workers: Mapping[str, Running]  #: by host and process
    newer: Mapping[str, int] = MappingProxyType({})  #: keys of what a later version wrote, and its format's version

    @property
    def texts(self) -> dict[str, str]:
        """The published files by the paths of their rules."""
        return {f"{PUBLISHED}{name}": file.text for name, file in self.files.items()}


def encoded(told: File | Quarantine | Running) -> bytes:
    """As it lies in the topic. What came to be told later is left out where there is nothing to tell of it; readers
    older than that pass over it.
    """
    fields = told._asdict()
    return orjson.dumps({"v": SCHEMA, **{name: fields[name] for name in fields if fields[name] or name not in _LATER}})


class RuleTopic:
    """The topic, read on from where it was read before."""

    def __init__(self, settings: Settings) -> None:
        self._tail = Tail(settings, RULES)
        self._files: dict[str, File] = {}
        self._quarantined: dict[str, Quarantine] = {}
        self._workers: dict[str, Running] = {}
        self._newer: dict[str, int] = {}

    def refresh(self) -> Board:
        """What holds now; of what a later version wrote, the keys. Raises kafka's errors."""
        for record in self._tail.read():
            with suppress(ValueError, AttributeError, KeyError, TypeError):  # nobody of ours wrote it
                self._take(record.key.decode(), None if record.value is None else orjson.loads(record.value))
        return Board(dict(self._files), dict(self._quarantined), dict(self._workers), dict(self._newer))

    def _take(self, key: str, value: Any) -> None:
        kind, _, name = key.partition("/")
        known = value is not None and value["v"] <= SCHEMA
        self._newer.pop(key, None)
        if value is not None and not known:
            self._newer[key] = int(value["v"])
        if kind == "file":
            self._files.pop(name, None)
            if known:
                self._files[name] = File(str(value["text"]), bool(value["shadow"]), str(value["by"]))
        elif kind == "quarantine":
            self._quarantined.pop(name, None)
            if known:
                self._quarantined[name] = Quarantine(str(value["version"]), str(value["title"]), str(value["reason"]))
        elif kind == "worker":
            self._workers.pop(name, None)
            if known:
                loaded, problems, shadow, told = (int(value[each]) for each in ("loaded", "problems", "shadow", "told"))
                shadowed, lacking = (_pairs(value.get(each, ())) for each in ("shadowed", "lacking"))
                newer = int(value.get("newer", 0))
                self._workers[name] = Running(
                    str(value["version"]), loaded, problems, shadow, told, shadowed, lacking, newer
                )

    def publish(self, name: str, file: File) -> None:
        """Have every worker run the rules of ``file``. Raises kafka's errors."""
        self._write(f"file/{name}", file)

    def withdraw(self, name: str) -> None:
        """Have no worker run them any more."""
        self._write(f"file/{name}", None)

    def quarantine(self, rule: str, why: Quarantine) -> None:
        """Have ``rule``, an id, alert nobody in this version."""
        self._write(f"quarantine/{rule}", why)

    def release(self, rule: str) -> None:
        """Let it alert again."""
        self._write(f"quarantine/{rule}", None)

    def run(self, worker: str, rules: Running | None) -> None:
        """Say which rules ``worker`` runs; None takes away what it said."""
        self._write(f"worker/{worker}", rules)

    def _write(self, key: str, told: File | Quarantine | Running | None) -> None:
        self._tail.write(key.encode(), None if told is None else encoded(told))

    def close(self) -> None:
        self._tail.close()


def _pairs(saved: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(title), str(other)) for title, other in saved)
