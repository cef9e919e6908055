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

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from detectors.base import Event
from streams.identifiers import Views, fold, holds, look
from streams.pseudonyms import Pseudonyms
from streams.sources.base import Draft, Source
from streams.vocabulary import WORDS

__all__ = ["Pseudonyms", "release"]

_YEAR: Final = 365 * 86_400_000
#: Fields that are new in every event: keeping what was seen in them would push out everything else.
_UNIQUE: Final = frozenset({"event.id", "http.request.id", "trace.id", "transaction.id"})
_VIEWS: Final = Views()


def release(
    draft: Draft,
    source: Source,
    pseudonyms: Pseudonyms,
    *,
    fallback_id: str,
    received: int,
    tolerance: int = 300_000,
    oldest: int = 10 * _YEAR,
) -> Event:
    """The event of ``draft`` as it may leave. Never raises on what a source can put into a draft.

    ``fallback_id``: the event's id where the record has none. ``received``: when the record arrived, ms since the
    epoch; an event more than ``tolerance`` ms after or ``oldest`` ms before it is not timely.
    """
    allowed = source.released
    fields = {name: value for name, value in draft.fields.items() if name in allowed}
    event_id, actor, device, address = draft.id or fallback_id, draft.actor, draft.device, draft.address
    identifiers = draft.identifiers
    own = actor.startswith("patient:")
    found = bool(identifiers) and holds(_views(draft, fields, own), identifiers)
    patients: tuple[str, ...] = ()
    if draft.patients:
        patients = tuple(dict.fromkeys([pseudonyms.patient(raw) for raw in draft.patients]))
        if "wardwatch.patient" in fields:
            fields["wardwatch.patient"] = list(patients)
    if own:
        actor = pseudonyms.patient(actor[8:])
        fields.pop("user.name", None)
        if "user.id" in fields:
            fields["user.id"] = actor
    if found:
        gate = _Gate(identifiers, draft.patients, pseudonyms)
        fields = {name: kept for name, value in fields.items() if (kept := gate.value(value)) is not None}
        event_id = gate.entity("id", draft.id) or fallback_id
        actor = actor if own else gate.entity("actor", actor)
        device = gate.entity("device", device)
        address = gate.entity("address", address)
    time = draft.time
    timely = received - oldest <= time <= received + tolerance
    return Event(event_id, time, source.name, actor, patients, device, address, timely, fields)


def _views(draft: Draft, fields: Mapping[str, Any], own: bool) -> str:
    """Everything that would leave, in all its views, but for what is replaced anyway."""
    seen, of, patients = _VIEWS.recent, _VIEWS.of, draft.patients
    views = [look(draft.id), of(draft.device), of(draft.address)]
    if not own:
        views.append(of(draft.actor))
    for name, value in fields.items():
        if type(value) is str:
            view = seen.get(value)
            if view is None:
                view = look(value) if name in _UNIQUE else of(value)
            if view:
                views.append(view)
        elif type(value) is not list:
            views.extend(map(of, _strings(value)))
        elif value is not patients:
            for item in value:
                view = seen.get(item) if type(item) is str else "\n".join(map(of, _strings(item)))
                views.append(of(item) if view is None else view)
    return "\n".join(views)


class _Gate:
    """Looks at every string by itself: the way of the few events in which something was found."""

    def __init__(self, identifiers: Iterable[str], patients: Iterable[str], pseudonyms: Pseudonyms) -> None:
        self._identifiers = identifiers
        self._patients = {fold(raw): raw for raw in patients}
        self._pseudonyms = pseudonyms
        self._own = {pseudonyms.patient(raw) for raw in patients}

    def value(self, value: Any) -> Any:
        """``value`` without what identifies a patient; None where nothing is left."""
        if isinstance(value, str):
            if value in WORDS or value in self._own:
                return value
            if raw := self._patients.get(fold(value)):
                return self._pseudonyms.patient(raw)
            return None if self._found(value) else value
        if isinstance(value, (list, tuple)):
            kept = [item for item in map(self.value, value) if item is not None]
            return kept if kept or not value else None
        return None if any(map(self._found, _strings(value))) else value

    def entity(self, kind: str, name: str) -> str:
        """``name`` itself, or a keyed token of the same kind where it holds an identifier."""
        if not name or not self._found(name):
            return name
        prefix, colon, _ = name.partition(":") if kind != "id" else ("", "", "")
        return f"{prefix}{colon}{self._pseudonyms.token(kind, name)}"

    def _found(self, text: str) -> bool:
        return holds(look(text), self._identifiers)


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
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
