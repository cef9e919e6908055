"""Thirty kinds of record that no source can read. Each must become a dead letter, and cost nothing but itself."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

__all__ = ["KINDS", "poison"]

Record = dict[str, Any]


def _without(*path: str) -> Callable[[Record], bytes]:
    def make(record: Record) -> bytes:
        at: Any = record
        for name in path[:-1]:
            at = at[name]
        del at[path[-1]]
        return json.dumps(record).encode()

    return make


def _with(value: Any, *path: str) -> Callable[[Record], bytes]:
    def make(record: Record) -> bytes:
        at: Any = record
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value
        return json.dumps(record).encode()

    return make


#: What is done to a good FHIR R4 AuditEvent.
KINDS: dict[str, Callable[[Record], bytes]] = {
    "empty": lambda _: b"",
    "one brace": lambda _: b"{",
    "null": lambda _: b"null",
    "number": lambda _: b"42",
    "string": lambda _: b'"AuditEvent"',
    "array of nothing": lambda _: b"[]",
    "random bytes": lambda _: bytes(random.Random(7).randbytes(300)),
    "broken UTF-8": lambda r: json.dumps(r).encode().replace(b"synthetic", b"\xff\xfe\xfd"),
    "truncated": lambda r: json.dumps(r).encode()[:-40],
    "trailing garbage": lambda r: json.dumps(r).encode() + b"}}",
    "single quotes": lambda r: str(r).encode(),
    "NaN": lambda r: json.dumps({**r, "outcome": float("nan")}).encode(),
    "XML": lambda _: b"<AuditEvent xmlns='http://hl7.org/fhir'/>",
    "UTF-16": lambda r: json.dumps(r).encode("utf-16"),
    "deep nesting": lambda _: b"[" * 100_000 + b"]" * 100_000,
    "unknown shape": lambda _: b'{"hello": "world"}',
    "other resource": _with("Observation", "resourceType"),
    "no recorded": _without("recorded"),
    "recorded a number": _with(1700000000, "recorded"),
    "recorded without offset": _with("2026-03-01T10:00:00", "recorded"),
    "recorded no date": _with("yesterday", "recorded"),
    "month thirteen": _with("2026-13-01T10:00:00Z", "recorded"),
    "no agent": _without("agent"),
    "agent empty": _with([], "agent"),
    "agent an object": _with({"who": {}}, "agent"),
    "agent a list of strings": _with(["nurse"], "agent"),
    "no source": _without("source"),
    "source a string": _with("ehr", "source"),
    "no type": _without("type"),
    "type a list": _with([1, 2], "type"),
}


def poison(kind: str, good: Record) -> bytes:
    return KINDS[kind](copy.deepcopy(good))
