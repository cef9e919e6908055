"""The gate behind which no patient has a name: turns a draft into an event that may leave ingest.

Promises, of every string of the event, its id and its entities included:

- only fields that the source lists as released are there;
- a patient is a pseudonym (:mod:`streams.pseudonyms`), also where the patient is the actor;
- a value that holds one of the draft's identifiers, however written (:mod:`streams.identifiers`), is gone. An actor, a
  device, an address or an id that holds one becomes a keyed token instead, so that events still group and repeats are
  still recognised.

Words of published vocabularies (:mod:`streams.vocabulary`) pass unexamined. What this cannot see is an identifier that
the source did not list, such as a name in free text: so sources release no free text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from detectors.base import Event
from streams.identifiers import Identifiers, fold, identifiers_of
from streams.pseudonyms import Pseudonyms
from streams.sources.base import BadRecord, Draft, Source
from streams.vocabulary import WORDS

__all__ = ["OLDEST", "TOLERANCE", "Pseudonyms", "release"]

#: ms that the time of a timely event may lie after its arrival, and before.
TOLERANCE: Final = 300_000
OLDEST: Final = 10 * 365 * 86_400_000
#: ms since the epoch of the first and the last moment that a calendar of four digits has.
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999


def release(
    draft: Draft,
    source: Source,
    pseudonyms: Pseudonyms,
    *,
    fallback_id: Callable[[], str],
    received: int,
    tolerance: int = TOLERANCE,
    oldest: int = OLDEST,
) -> Event:
    """The event of ``draft`` as it may leave. Raises BadRecord on a time that no calendar has, on nothing else.

    ``fallback_id`` is asked for the event's id where the record has none. ``received``: when the record arrived, ms
    since the epoch; an event more than ``tolerance`` ms after or ``oldest`` ms before it is not timely.
    """
    allowed = source.released
    fields = draft.fields.copy()
    if not allowed.issuperset(fields):
        fields = {name: value for name, value in fields.items() if name in allowed}
    event_id, actor, device, address = draft.id or fallback_id(), draft.actor, draft.device, draft.address
    raw_ids = draft.patients
    patients: tuple[str, ...] = ()
    if raw_ids:
        patients = (pseudonyms.patient(raw_ids[0]),)
        if len(raw_ids) > 1:
            patients = tuple(dict.fromkeys([pseudonyms.patient(raw) for raw in raw_ids]))
        if "wardwatch.patient" in fields:
            fields["wardwatch.patient"] = list(patients)
    if own := actor.startswith("patient:"):
        actor = pseudonyms.patient(actor[8:])
        fields.pop("user.name", None)
        if "user.id" in fields:
            fields["user.id"] = actor
    if draft.identifiers:
        identifiers = identifiers_of(frozenset(draft.identifiers))
        if identifiers.suspects(_text([event_id, actor, device, address], fields)):
            gate = _Gate(identifiers, raw_ids, pseudonyms)
            fields = {name: kept for name, value in fields.items() if (kept := gate.value(value)) is not None}
            event_id = gate.entity("id", event_id)
            actor = actor if own else gate.entity("actor", actor)
            device = gate.entity("device", device)
            address = gate.entity("address", address)
    time = draft.time
    timely = received - oldest <= time <= received + tolerance
    if not timely and not _FIRST <= time <= _LAST:
        raise BadRecord("its time lies outside the range of dates: send one from year 1 to 9999")
    return Event(event_id, time, source.name, actor, patients, device, address, timely, fields)


def _text(entities: list[str], fields: Mapping[str, Any]) -> str:
    """Every string that would leave, and every number, in one."""
    try:
        return orjson.dumps([*entities, *fields.values()]).decode()
    except TypeError:  # what orjson does not write: half a surrogate pair, a number past 64 bits
        return "\n".join(_strings([*entities, fields]))


class _Gate:
    """Looks at every string by itself: the way of the few events in which something may have been found."""

    def __init__(self, identifiers: Identifiers, raw_ids: Iterable[str], pseudonyms: Pseudonyms) -> None:
        self._holds = identifiers.holds
        self._patients = {fold(raw): raw for raw in raw_ids}
        self._pseudonyms = pseudonyms
        self._own = {pseudonyms.patient(raw) for raw in raw_ids}

    def value(self, value: Any) -> Any:
        """``value`` without what identifies a patient; None where nothing is left."""
        if isinstance(value, str):
            if value in WORDS or value in self._own:
                return value
            if raw := self._patients.get(fold(value)):
                return self._pseudonyms.patient(raw)
            return None if self._holds(value) else value
        if isinstance(value, (list, tuple)):
            kept = [item for item in map(self.value, value) if item is not None]
            return kept if kept or not value else None
        return None if any(map(self._holds, _strings(value))) else value

    def entity(self, kind: str, name: str) -> str:
        """``name`` itself, or a keyed token of the same kind where it holds an identifier."""
        if not name or not self._holds(name):
            return name
        prefix, colon, _ = name.partition(":") if kind != "id" else ("", "", "")
        return f"{prefix}{colon}{self._pseudonyms.token(kind, name)}"


def _strings(value: Any) -> Iterator[str]:
    """Every string in ``value``, and whole numbers as text: a record number may arrive as one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, float) and value.is_integer():
        yield str(int(value))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
