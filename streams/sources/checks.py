"""What every source must satisfy, whatever log it reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NoReturn

from detectors.purity import pure
from streams.identifiers import identifiers_of
from streams.sources.base import BadRecord, Draft, Source
from streams.sources.ecs import EXPECTED
from streams.sources.plain_checks import plain_faults

__all__ = ["SourceCheckError", "check_source"]

_OUTCOMES = frozenset({"success", "failure", "unknown"})
_OWN = "wardwatch."
_STRANGE: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**40,
    1.5,
    "",
    " ",
    "x" * 5000,
    "\ud800",
    "\x00",
    [],
    [None],
    [[]],
    {},
    {"a": 1},
)
#: Characters of a value of a record that an error message must not repeat; fewer may be a word of its own.
_TELLING = 6
#: Names that sources know records by: each is tried with every strange value.
_KNOWN_BY = ("resourceType", "schema", "eventSource", "eventName", "eventVersion", "awsRegion", "type", "id")


class SourceCheckError(AssertionError):
    """A source that breaks the contract. The message begins with the check it failed."""


def check_source(
    source: Source,
    good: Iterable[Mapping[str, Any]],
    others: Iterable[Mapping[str, Any]],
    ecs: frozenset[str] | None = None,
) -> None:
    """Raise SourceCheckError unless ``source`` keeps the contract.

    ``good``: records it must read. ``others``: records of other sources. ``ecs``: names of ECS's fields, where known.
    """
    records = [dict(record) for record in good]
    if not records:
        _fail("records", "there is no good record to try")
    _check_itself(source)
    watched = _Watched(source)
    for record in records:
        _check_good(watched, record, ecs)
    _check_recognises(watched, records, others)
    for record in records:
        for broken in mutations(record):
            _check_broken(watched, broken)
    if plain := getattr(source, "plain", None):
        every = (one for record in records for one in (record, *mutations(record)))
        if fault := plain_faults(source, plain, every):
            _fail("plain", fault)


def _fail(check: str, what: str) -> NoReturn:
    raise SourceCheckError(f"{check}: {what}")


class _Watched:
    """A source, each call of which fails where it looks at anything but the record."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.released = source.released

    def recognises(self, record: Mapping[str, Any]) -> bool:
        with pure(_caught):
            try:
                answer = self._source.recognises(record)
            except SourceCheckError:
                raise
            except Exception as exc:
                _fail("recognises", f"it raised {type(exc).__name__}, which would cost more than the one record")
        if type(answer) is not bool:
            _fail("recognises", "its answer is neither true nor false")
        return answer

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        with pure(_caught):
            return self._source.normalise(record)


def _caught(what: str) -> NoReturn:
    _fail("pure", f"it looked at {what}")


def _check_itself(source: Source) -> None:
    if not source.name or not source.topic.startswith("audit."):
        _fail("describes itself", "it has no name, or its topic is not one of audit.*")
    if type(source.lateness) is not int or source.lateness < 0:
        _fail("describes itself", "its lateness is no whole number of milliseconds from 0 on")
    if source.subject not in ("actor", "device"):
        _fail("describes itself", "its subject is neither actor nor device")


def _check_recognises(source: _Watched, records: Iterable[dict[str, Any]], others: Iterable[Mapping[str, Any]]) -> None:
    for other in others:
        if source.recognises(other):
            _fail("recognises", "it takes another source's record for its own")
    for name in _KNOWN_BY:
        for value in _STRANGE:
            source.recognises({name: value})
            for record in records:
                source.recognises({**record, name: value})


def _check_good(source: _Watched, record: dict[str, Any], ecs: frozenset[str] | None) -> None:
    if not source.recognises(record):
        _fail("recognises", "it does not know a record of its own")
    before = deepcopy(record)
    try:
        draft, again = source.normalise(record), source.normalise(record)
    except BadRecord as exc:
        _fail("reads", f"it refuses a good record: {exc}")
    if record != before:
        _fail("leaves the record alone", "the record was changed")
    if draft != again:
        _fail("deterministic", "the same record gave another draft")
    _check_draft(draft)
    for name in draft.fields:
        if not name.startswith(_OWN) and ecs is not None and name not in ecs:
            _fail("ECS", f"{name} is no field of ECS, and not under {_OWN}")
    for name in source.released:
        if not name.startswith(_OWN) and ecs is not None and name not in ecs:
            _fail("ECS", f"{name} is released and no field of ECS")


def _check_draft(draft: Draft) -> None:
    if type(draft.time) is not int:
        _fail("time", "it is no whole number of milliseconds")
    _check_entities(draft)
    fields = draft.fields
    for name in ("event.action", "event.kind", "event.category", "event.type", "event.outcome"):
        if name not in fields:
            _fail("fields", f"{name} is missing")
    if fields["event.kind"] != "event" or fields["event.outcome"] not in _OUTCOMES:
        _fail("ECS", "event.kind or event.outcome has a value that ECS does not allow")
    if not set(fields["event.category"]) <= EXPECTED.keys():
        _fail("ECS", "event.category has a value that ECS does not allow")
    for category in fields["event.category"]:
        if not set(fields["event.type"]) <= EXPECTED[category]:
            _fail("ECS", f"event.type has a value that ECS does not expect beside {category}")
    try:
        json.dumps(fields)
    except (TypeError, ValueError):
        _fail("fields", "one is not JSON")
    _check_people(draft)


def _check_entities(draft: Draft) -> None:
    kind, _, name = draft.actor.partition(":")
    if not kind or not name:
        _fail("actor", "it is not kind:id")
    for entity, prefix in ((draft.device, "device:"), (draft.address, "address:")):
        if entity and not (entity.startswith(prefix) and len(entity) > len(prefix)):
            _fail("entities", f"one does not begin with {prefix}")


def _check_people(draft: Draft) -> None:
    known = identifiers_of(frozenset(i for i in draft.identifiers if isinstance(i, str)))
    for patient in draft.patients:
        # A patient whose number is shorter is found as a whole value only, which the gate does by itself.
        number = patient.rpartition("|")[2] if isinstance(patient, str) else ""
        if len(number) >= _TELLING and not known.holds(number):
            _fail("identifiers", "a patient is named by something that is not listed, so the gate would let it pass")
    if draft.actor.startswith("patient:") and not draft.patients:
        _fail("identifiers", "a patient acts and is not listed")
    if not all(isinstance(identifier, str) for identifier in (*draft.identifiers, *draft.patients)):
        _fail("identifiers", "one is no text")


def _check_broken(source: _Watched, record: dict[str, Any]) -> None:
    try:
        draft = source.normalise(record)
    except BadRecord as exc:
        message = str(exc)
        if not message.strip():
            _fail("says why", "an error message is empty")
        parts = {message[place : place + _TELLING] for place in range(len(message) - _TELLING + 1)}
        for value in {text for text in _texts(record) if len(text) >= _TELLING}:
            for part in parts:
                if part in value and part not in _said(source, _without(record, value)):
                    _fail("quotes nothing", "an error message quotes the record, or part of it")
        return
    except SourceCheckError:
        raise
    except Exception as exc:
        _fail("raises BadRecord", f"{type(exc).__name__} on a broken record")
    _check_draft(draft)


def _said(source: _Watched, record: dict[str, Any]) -> str:
    try:
        source.normalise(record)
    except BadRecord as exc:
        return str(exc)
    return ""


def _without(value: Any, text: str) -> Any:
    """``value`` with something else wherever ``text`` stood: what a source still says of it are its own words."""
    if isinstance(value, dict):
        return {name: _without(child, text) for name, child in value.items()}
    if isinstance(value, list):
        return [_without(child, text) for child in value]
    return "~" * len(text) if value == text else value


def mutations(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The record with each of its parts taken out, and replaced by each strange value."""
    for path in list(_paths(record)):
        for value in (_MISSING, *_STRANGE):
            broken = deepcopy(record)
            at: Any = broken
            for step in path[:-1]:
                at = at[step]
            if value is not _MISSING:
                at[path[-1]] = value
            elif isinstance(at, dict):
                del at[path[-1]]
            yield broken


_MISSING = object()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for name, child in items:
        yield (*path, name)
        yield from _paths(child, (*path, name))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
