"""Rules as they were read before, so that a large set loads in a fraction of the time.

The file is JSON: it holds trees and words and can run nothing. An entry is found by the digest of the rule file's
content, and counts only for the very engine, lists and pipelines that made it. A cache that is damaged, of another
engine or not readable is as good as none: the rules are read again and it is written anew.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from detectors.base import digest
from detectors.rules.compiler import compiled_late
from detectors.rules.correlation import Correlation
from detectors.rules.expression import And, Expression, Not, Or, Question
from detectors.rules.filters import Filter
from detectors.rules.indicators import Indicators
from detectors.rules.patterns import Regex
from detectors.rules.problems import Problem
from detectors.rules.rule import Rule
from detectors.rules.tables import Tables

__all__ = ["Cache", "Found"]

log = logging.getLogger(__name__)

Found = Rule | Filter | Correlation | Problem

_ENTRIES: Final = 20_000  # rule files; beyond them only those of the latest load are kept
_SIZE_LIMIT: Final = 200_000_000  # bytes
_RULE: Final = tuple(one.name for one in fields(Rule) if one.name not in ("path", "matcher"))
_FILTER: Final = tuple(one.name for one in fields(Filter) if one.name != "path")


class Cache:
    """What was read of each rule file with one set of lists."""

    def __init__(self, path: Path, tables: Tables) -> None:
        self._path = path
        self._tables = tables
        self._made_by = digest(_engine(), tables.digest)
        self._old: dict[str, Any] = {}
        self._used: dict[str, Any] = {}
        self._changed = False
        try:
            self._old = self._read()
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            log.debug("cache of rules is not used: %s", error)

    def _read(self) -> dict[str, Any]:
        if self._path.stat().st_size > _SIZE_LIMIT:
            raise ValueError("it is too large")
        told, _, content = self._path.read_bytes().partition(b"\n")
        if told.decode("ascii", "replace") != blake2b(content, digest_size=32).hexdigest():
            raise ValueError("it is damaged")
        whole = orjson.loads(content)
        if not isinstance(whole, dict) or whole.get("made_by") != self._made_by:
            raise ValueError("another engine or other lists made it")
        entries: dict[str, Any] = whole["entries"]
        return entries

    def get(self, content: bytes, path: str, read: Callable[[], list[Found]], made_by: str = "") -> list[Found]:
        """What is in ``content``, out of the cache or else by ``read``. ``made_by``: digest of its pipelines."""
        key = blake2b(content, digest_size=20, key=made_by[:64].encode()).hexdigest()
        entry = self._old.get(key)
        if entry is not None:
            try:
                found = [self._unpacked(one, path) for one in entry]
            except (KeyError, TypeError, ValueError, IndexError) as error:
                log.debug("an entry of the cache of rules is not used: %s", error)
            else:
                self._used[key] = entry
                return found
        found = read()
        if any(isinstance(one, Correlation) for one in found):
            return found  # they are few, and quickly read
        try:
            self._used[key] = [_packed(one) for one in found]
            self._changed = True
        except (TypeError, ValueError):  # a value that JSON has no form for, such as a number of 40 digits
            log.debug("%s holds a value that the cache of rules cannot keep", path)
        return found

    def save(self) -> None:
        """Write what is new. A cache that cannot be written costs time alone."""
        if not self._changed:
            return
        entries = {**self._old, **self._used}
        if len(entries) > _ENTRIES:
            entries = self._used
        content = orjson.dumps({"made_by": self._made_by, "entries": entries})
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.touch(mode=0o600)
            beside.write_bytes(blake2b(content, digest_size=32).hexdigest().encode() + b"\n" + content)
            beside.replace(self._path)
        except OSError as error:
            log.debug("cache of rules cannot be written: %s", error)

    def _unpacked(self, packed: list[Any], path: str) -> Found:
        kind, *values = packed
        if kind == "problem":
            return Problem(path, *values)
        if kind == "filter":
            told = dict(zip(_FILTER, values, strict=True))
            told["expression"] = self._tree(told["expression"])
            told["rules"] = tuple(told["rules"])
            return Filter(path=path, **told)
        told = dict(zip(_RULE, values, strict=True))
        for key in ("date", "modified"):
            if told[key] is not None:
                told[key] = dt.date.fromisoformat(told[key])
        for key in ("tags", "techniques", "references", "falsepositives", "scope", "fields"):
            told[key] = tuple(told[key])
        told["related"] = tuple((type_, id_) for type_, id_ in told["related"])
        tree = told["expression"] = self._tree(told["expression"])
        return Rule(path=path, matcher=compiled_late(tree, told["id"]), **told)

    def _tree(self, packed: list[Any]) -> Expression:
        kind = packed[0]
        if kind == "and":
            return And(tuple(map(self._tree, packed[1])))
        if kind == "or":
            return Or(tuple(map(self._tree, packed[1])))
        if kind == "not":
            return Not(self._tree(packed[1]))
        _, field, operands, cased, literals = packed
        return Question(field, kind, tuple(self._operand(kind, one) for one in operands), cased, tuple(literals))

    def _operand(self, kind: str, packed: Any) -> Any:
        if kind == "re":
            return Regex(*packed)
        if kind == "listed":
            listed = self._tables.indicators(packed)
            if listed is None:
                raise KeyError(packed)
            return listed
        return tuple(packed) if isinstance(packed, list) else packed


def _packed(found: Found) -> list[Any]:
    """Raises TypeError on what is not kept."""
    if isinstance(found, Correlation):
        raise TypeError("a correlation")
    if isinstance(found, Problem):
        made: list[Any] = ["problem", found.line, found.rule_id, found.reason]
    else:
        names = _RULE if isinstance(found, Rule) else _FILTER
        made = ["rule" if isinstance(found, Rule) else "filter"]
        made += [_tree(found.expression) if name == "expression" else getattr(found, name) for name in names]
    orjson.dumps(made)  # one value that JSON has no form for would cost the whole cache
    return made


def _tree(tree: Expression) -> list[Any]:
    if isinstance(tree, Question):
        operands = [_operand(one) for one in tree.operands]
        return [tree.kind, tree.field, operands, tree.cased, list(tree.literals)]
    if isinstance(tree, Not):
        return ["not", _tree(tree.part)]
    return ["and" if isinstance(tree, And) else "or", [_tree(part) for part in tree.parts]]


def _operand(operand: Any) -> Any:
    if isinstance(operand, Regex):
        return [operand.source, operand.literal]
    return operand.name if isinstance(operand, Indicators) else operand


@lru_cache(maxsize=1)
def _engine() -> str:
    """Digest of the code that reads rules."""
    parts = sorted(
        (entry.name, entry.read_text()) for entry in files(__package__).iterdir() if entry.name[-3:] == ".py"
    )
    return digest(*(text for pair in parts for text in pair))
