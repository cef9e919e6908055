"""``who`` and ``timeline``: what the event store says of one patient or entity.

Asking is an access: an audit event says who asked, and the brokers have it before an answer is given.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from re import compile as regex
from typing import Any

from streams.admin import SetupError
from streams.commands.own_audit import tell
from streams.keys import Keys
from streams.pseudonyms import Pseudonyms
from streams.settings import Settings
from streams.sinks.elasticsearch import Elasticsearch, StoreUnavailable
from streams.sinks.event_index import alerts_about, events_about
from streams.sinks.event_store import EventStore
from streams.sinks.store import AlertStore
from streams.sources.own import is_subject

__all__ = ["MOST", "Access", "Answer", "NotAsked", "moment", "names_of", "timeline", "who"]

#: Events that one answer is made of; where there are more, it says so.
MOST = 100_000
_SPAN = regex(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class NotAsked(Exception):
    """What was asked for cannot be looked for. The message says why, and how to mend it."""


@dataclass
class Access:
    """What one actor did to a patient's records."""

    actor: str
    count: int = 0
    first: int = 0  #: ms since the epoch, of the events that are kept
    last: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    purposes: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def json(self) -> dict[str, Any]:
        counts = {name: dict(getattr(self, name)) for name in ("actions", "purposes", "sources", "outcomes")}
        return {"actor": self.actor, "count": self.count, "first": self.first, "last": self.last, **counts}


@dataclass(frozen=True)
class Answer:
    """Entries, and what keeps them from being all there ever was."""

    entries: list[Any]
    caveats: list[str]


def moment(text: str, now: int) -> int:
    """``30d``, ``12h``, or a date with or without a time, as ms since the epoch. Raises NotAsked."""
    if span := _SPAN.fullmatch(text):
        return now - int(timedelta(**{_UNITS[span[2]]: int(span[1])}) / timedelta(milliseconds=1))
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise NotAsked(f"{text} is no time: say 30d, 12h, 2026-03-01 or 2026-03-01T08:00:00Z") from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def names_of(patient: str, keys: Keys) -> list[str]:
    """A patient's pseudonyms: ``patient`` itself where it is one, else one for each key that is here."""
    if is_subject(patient):
        return [patient]
    return [Pseudonyms(key, name).patient(patient) for name, key in keys.pseudonyms.items()]


def who(settings: Settings, keys: Keys, patient: str, *, since: int, until: int, reason: str = "") -> Answer:
    """Who did what to a patient's records, those who did most first. An audit event says who asked before it returns.

    ``patient``: an identifier as services write it, or a pseudonym. ``since``, ``until``: ms. Raises NotAsked,
    SetupError, StoreError and StoreUnavailable.
    """
    if not patient:
        raise NotAsked("name a patient: an identifier as services write it, or a pseudonym")
    names = names_of(patient, keys)
    store = _Store(settings)
    raw = "" if is_subject(patient) else patient
    found = store.events(names, since, until)
    tell(settings, "list-accesses", reason=reason, patient=raw, subject=names[0] if not raw else "")
    by_actor: dict[str, Access] = {}
    for event in found:
        _count(by_actor, event)
    entries = sorted(by_actor.values(), key=lambda access: (-access.count, access.actor))
    return Answer(entries, store.caveats(found, since, one_name=not raw))


def _count(by_actor: dict[str, Access], event: dict[str, Any]) -> None:
    own, said = event["wardwatch"], event.get("event", {})
    access = by_actor.setdefault(own["actor"], Access(own["actor"]))
    time = event["@timestamp"]
    access.count += 1
    access.first = min(access.first or time, time)
    access.last = max(access.last, time)
    access.actions[said.get("action", "")] += 1
    access.outcomes[said.get("outcome", "unknown")] += 1
    access.sources[own["source"]] += 1
    purposes = own.get("purpose") or ()
    access.purposes.update([purposes] if isinstance(purposes, str) else purposes)


def timeline(settings: Settings, keys: Keys, entity: str, *, since: int, until: int, reason: str = "") -> Answer:
    """Events and alerts of one entity, in order of time. As :func:`who` in all else.

    ``entity``: ``user:…``, ``device:…``, ``address:…`` or ``patient:…`` as alerts write it, or a patient's identifier.
    """
    if not entity:
        raise NotAsked("name an entity as alerts write it, or a patient")
    raw = "" if ":" in entity and not entity.partition(":")[0].lower().startswith(("http", "urn")) else entity
    names = names_of(entity, keys) if raw else [entity]
    store = _Store(settings)
    events = store.events(names, since, until)
    entries: list[dict[str, Any]] = [
        {
            "time": event["@timestamp"],
            "kind": "event",
            "id": event["wardwatch"]["id"],
            "actor": event["wardwatch"]["actor"],
            "source": event["wardwatch"]["source"],
            "action": event.get("event", {}).get("action", ""),
            "outcome": event.get("event", {}).get("outcome", "unknown"),
            "patients": event["wardwatch"].get("patients", []),
        }
        for event in events
    ]
    entries += store.alerts(names, [entry["id"] for entry in entries], since, until)
    # A name that no event has may be anything that somebody typed.
    known = {"subject": entity} if is_subject(entity) else {"entity": entity} if events and not raw else {}
    tell(settings, "show-timeline", reason=reason, patient=raw, **known)
    entries.sort(key=lambda entry: (entry["time"], entry["kind"] != "event", entry["id"]))
    caveats = store.caveats(events, since, one_name=not raw and entity.startswith("patient:"))
    if raw and not entries:
        caveats.append("that was looked for as a patient's identifier; others are user:…, device:… or address:…")
    return Answer(entries, caveats)


class _Store:
    """Elasticsearch where events go there, else the files beside the worker."""

    def __init__(self, settings: Settings) -> None:
        """Raises SetupError where events are not kept where this runs."""
        self._settings = settings
        self._indexed = settings.events_index and bool(settings.elasticsearch)
        if not self._indexed and not settings.events_path.exists():
            raise SetupError(
                f"no events are kept in {settings.events_path}: run `wardwatch worker --only events` there, or set "
                "WARDWATCH_EVENTS_INDEX and WARDWATCH_ELASTICSEARCH as that worker has them"
            )

    def events(self, names: Sequence[str], since: int, until: int) -> list[dict[str, Any]]:
        if self._indexed:
            return asyncio.run(self._search(events_about, names, since=since, until=until, limit=MOST))
        store = EventStore(self._settings.events_path, read_only=True)
        try:
            self._oldest = store.oldest()
            return list(store.about(names, since=since, until=until, limit=MOST))
        finally:
            store.close()

    def alerts(self, names: Sequence[str], events: Sequence[str], since: int, until: int) -> list[dict[str, Any]]:
        if self._indexed:
            found = []
            for name in names:
                ids = events[:1000]  # as many as a query takes with ease
                found += asyncio.run(self._search(alerts_about, name, ids, since=since, until=until, limit=MOST))
            return list({one["wardwatch"]["alert"]: _indexed_alert(one) for one in found}.values())
        if not self._settings.store_path.exists():
            return []
        store = AlertStore(self._settings.store_path, read_only=True)
        try:
            found = [alert for name in names for alert in store.alerts(text=name, limit=10_000)]
        finally:
            store.close()
        wanted = set(events)
        return [
            _alert(alert["first_seen"], alert["id"], alert["entity"], alert["severity"], alert["title"])
            for alert in {alert["id"]: alert for alert in found}.values()
            if since <= alert["first_seen"] <= until
            and (alert["entity"] in names or any(wanted & {*finding["event_ids"]} for finding in alert["findings"]))
        ]

    async def _search(self, ask: Any, *arguments: Any, **bounds: Any) -> list[dict[str, Any]]:
        store = Elasticsearch(self._settings.elasticsearch, **self._settings.elasticsearch_login)
        try:
            found: list[dict[str, Any]] = await ask(store, *arguments, **bounds)
            return found
        except StoreUnavailable as exc:
            raise SetupError(f"{exc}: start it, or mend WARDWATCH_ELASTICSEARCH") from exc
        finally:
            await store.close()

    def caveats(self, found: Sequence[Any], since: int, *, one_name: bool) -> list[str]:
        return list(self._caveats(found, since, one_name))

    def _caveats(self, found: Sequence[Any], since: int, one_name: bool) -> Iterator[str]:
        settings = self._settings
        if len(found) >= MOST:
            yield f"there are more than {MOST:,} events, and these are the last: choose a later --since"
        if settings.events_sample < 1 or settings.events_rules or settings.events_sources:
            yield "events_sample, events_rules or events_sources leave events out, and these are not among them"
        if one_name:
            yield "a pseudonym names a patient under one key: give the identifier to look under all"
        oldest = None if self._indexed else self._oldest
        if oldest is not None and oldest > since:
            yield f"nothing is kept of what came before {datetime.fromtimestamp(oldest / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _alert(time: int, name: str, entity: str, severity: str, title: str) -> dict[str, Any]:
    return {"time": time, "kind": "alert", "id": name, "actor": entity, "severity": severity, "title": title}


def _indexed_alert(found: dict[str, Any]) -> dict[str, Any]:
    own = found["wardwatch"]
    return _alert(own["first_seen"], own["alert"], own["entity"]["key"], own["severity"], found["rule"]["name"])
