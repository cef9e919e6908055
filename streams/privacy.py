"""The gate behind which no patient has a name: turns a draft into an event that may leave ingest.

Promises, of every string of the event, its id and its entities included:

- only fields that the source lists as released are there;
- a patient is a pseudonym (:mod:`streams.pseudonyms`), also where the patient is the actor;
- a value that holds one of the draft's identifiers, plain or in any case, url-encoded, base64 at any alignment, or
  both over each other, is gone. An actor, a device, an address or an id that holds one becomes a keyed token instead,
  so that events still group and repeats are still recognised.

How an identifier is looked for depends on its length, because ``7`` is in every address and ``Patient/7`` in none:
from 8 characters on anywhere; from 4 characters on, or letters alone from 2 on, where neither neighbour is a letter or
digit, and not as the id of another kind of resource (``Practitioner/1234`` is not ``Patient/1234``); anything shorter
only as the whole value. Words of published vocabularies (:mod:`streams.vocabulary`) pass unexamined.

What this cannot see is an identifier that the source did not list, such as a name in free text: so sources release no
free text.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from unicodedata import normalize
from urllib.parse import unquote_plus

from detectors.base import Event
from streams.pseudonyms import Pseudonyms
from streams.sources.base import Draft, Source
from streams.vocabulary import WORDS

__all__ = ["Pseudonyms", "release"]

_YEAR: Final = 365 * 86_400_000
_LONG: Final = 8
_KEPT: Final = 16_384
_RUN: Final = re.compile(rb"[A-Za-z0-9+/]{6,}")
_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


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
    actor = draft.actor
    own = actor.startswith("patient:")
    texts = [draft.id, draft.device, draft.address]
    if not own:
        texts.append(actor)
    fields = _select(draft, source.released, texts)
    patients = tuple(dict.fromkeys([pseudonyms.patient(raw) for raw in draft.patients]))
    if "wardwatch.patient" in fields:
        fields["wardwatch.patient"] = list(patients)
    event_id, device, address = draft.id or fallback_id, draft.device, draft.address
    if own:
        actor = pseudonyms.patient(actor[8:])
        fields.pop("user.name", None)
        if "user.id" in fields:
            fields["user.id"] = actor
    identifiers = draft.identifiers
    if identifiers and _hits(identifiers, "\n".join(map(_views, texts))):
        gate = _Gate(identifiers, draft.patients, pseudonyms)
        fields = {name: kept for name, value in fields.items() if (kept := gate.value(value)) is not None}
        event_id = gate.entity("id", draft.id) or fallback_id
        actor = actor if own else gate.entity("actor", actor)
        device = gate.entity("device", device)
        address = gate.entity("address", address)
    time = draft.time
    timely = received - oldest <= time <= received + tolerance
    return Event(event_id, time, source.name, actor, patients, device, address, timely, fields)


def _select(draft: Draft, allowed: frozenset[str], texts: list[str]) -> dict[str, Any]:
    """The fields that are on the list; puts every string of theirs that is no published word into ``texts``."""
    fields: dict[str, Any] = {}
    words = WORDS
    patients = draft.patients
    for name, value in draft.fields.items():
        if name in allowed:
            fields[name] = value
            if type(value) is str:
                if value not in words:
                    texts.append(value)
            elif type(value) is not list:
                texts.extend(_strings(value))
            elif value is not patients:
                for item in value:
                    if type(item) is not str:
                        texts.extend(_strings(item))
                    elif item not in words:
                        texts.append(item)
    return fields


class _Gate:
    """Looks at every string by itself: the way of the few events in which something was found."""

    def __init__(self, identifiers: Iterable[str], patients: Iterable[str], pseudonyms: Pseudonyms) -> None:
        self._identifiers = [text for text in identifiers if text]
        self._patients = {_fold(raw): raw for raw in patients}
        self._pseudonyms = pseudonyms
        self._own = {pseudonyms.patient(raw) for raw in patients}

    def value(self, value: Any) -> Any:
        """``value`` without what identifies a patient; None where nothing is left."""
        if isinstance(value, str):
            if value in WORDS or value in self._own:
                return value
            if raw := self._patients.get(_fold(value)):
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
        return _hits(self._identifiers, _views(text))


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


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else normalize("NFKC", text).casefold()


def _hits(identifiers: Iterable[str], haystack: str) -> bool:
    for identifier in identifiers:
        needle = identifier.lower() if identifier.isascii() else _fold(identifier)
        if needle in haystack and needle and _means(needle, haystack):
            return True
    return False


def _means(needle: str, haystack: str) -> bool:
    """Whether ``needle``, which is in ``haystack``, is there as an identifier and not by chance."""
    if len(needle) >= _LONG:
        return True
    whole = len(needle) < 4 and not (len(needle) >= 2 and needle.isalpha())
    place = haystack.find(needle)
    while place >= 0:
        before, after = haystack[place - 1 : place], haystack[place + len(needle) : place + len(needle) + 1]
        if whole:
            if before in ("", "\n") and after in ("", "\n"):
                return True
        elif not before.isalnum() and not after.isalnum() and not _other_resource(haystack, place):
            return True
        place = haystack.find(needle, place + 1)
    return False


_QUALIFIED: Final = re.compile(
    r"(?:^|[^a-z])(?:practitioner|practitionerrole|device|organization|relatedperson|person)/$"
)


def _other_resource(haystack: str, place: int) -> bool:
    """Whether what stands at ``place`` is the id of a resource that is no patient."""
    return haystack[place - 1 : place] == "/" and _QUALIFIED.search(haystack[max(0, place - 24) : place]) is not None


_recent: dict[str, str] = {}
_older: dict[str, str] = {}


def _views(text: str) -> str:
    """``text`` folded, and below it, each in its line, whatever it says when url- or base64-decoded."""
    global _recent, _older
    known = _recent.get(text)
    if known is None:
        known = _older.get(text) or _look(text)
        if len(text) <= 512:
            if len(_recent) >= _KEPT:
                _older, _recent = _recent, {}
            _recent[text] = known
    return known


def _look(text: str) -> str:
    views = {text: None}
    for _ in range(2):
        views.update((unquote_plus(view), None) for view in tuple(views) if "%" in view)
        views.update((found, None) for view in tuple(views) for found in _base64(view))
    return "\n".join(map(_fold, views))


def _base64(text: str) -> Iterator[str]:
    raw = text.encode("utf-8", "surrogatepass").translate(_ALPHABET, b"\r\n")
    for run in _RUN.findall(raw):
        for start in range(4):
            part = run[start:]
            part = part[: len(part) - (len(part) % 4 == 1)]
            if len(part) >= 6:
                yield a2b_base64(part + b"===").decode("utf-8", "replace")
