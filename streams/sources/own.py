"""What people do with Wardwatch itself: whom they had revealed, whom they asked about, which keys they changed.

``wardwatch.audit/1``, one JSON object; the commands write it (:mod:`streams.commands.own_audit`). It may name a patient
as any service's record does, under ``patient``; that leaves ingest as a pseudonym. A pseudonym that was asked about is
under ``subject``, any other entity under ``entity``. ``reason`` is what the person gave: it is released, unless it
holds the patient's identifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as regex
from typing import Any, Final

from streams.pseudonyms import canonical
from streams.sources.base import ALWAYS, BadRecord, Draft, LogSource
from streams.sources.times import milliseconds

__all__ = ["OWN", "SCHEMA", "OwnAudit", "is_subject"]

SCHEMA: Final = "wardwatch.audit/1"

#: Action to ECS category and type.
_ACTIONS: Final[dict[str, tuple[str, str]]] = {
    "reveal-identity": ("database", "access"),
    "list-accesses": ("database", "access"),
    "show-timeline": ("database", "access"),
    "rotate-key": ("configuration", "change"),
    "destroy-key": ("configuration", "deletion"),
    "publish-rules": ("configuration", "change"),
    "withdraw-rules": ("configuration", "deletion"),
    "release-rule": ("configuration", "change"),
}
_OUTCOMES: Final = frozenset({"success", "failure"})
#: An entity whose name is a pseudonym or a token: nothing else may be released as one.
_SUBJECT: Final = regex(r"[a-z]{1,32}:[0-9a-f]{8}\.[a-z2-7]{24}")
#: A key, by the id that names it.
_KEY: Final = regex(r"[0-9a-f]{8}")
#: Another entity, as events have it.
_ENTITY: Final = regex(r"[a-z]{1,32}:[^\x00-\x1f]{1,512}")
_NAMED: Final = (
    ("entity", "wardwatch.about", _ENTITY),
    ("subject", "wardwatch.about", _SUBJECT),
    ("key", "wardwatch.key", _KEY),
)


def is_subject(text: str) -> bool:
    """Whether ``text`` is an entity's name as pseudonyms and tokens are."""
    return _SUBJECT.fullmatch(text) is not None


class OwnAudit:
    """The source ``wardwatch``; see :class:`streams.sources.base.Source`."""

    name = "wardwatch"
    topic = "audit.ehr"
    logsource = LogSource(product="wardwatch", service="audit")
    lateness = 10_000
    subject = "actor"
    released = ALWAYS | {
        "event.dataset",
        "event.reason",
        "host.name",
        "user.id",
        "wardwatch.about",
        "wardwatch.key",
        "wardwatch.patient",
    }

    def recognises(self, record: Mapping[str, Any]) -> bool:
        schema = record.get("schema")
        return isinstance(schema, str) and schema.startswith("wardwatch.audit/")

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if record.get("schema") != SCHEMA:
            raise BadRecord(f"schema is not {SCHEMA}, the one this version reads")
        action = _text(record, "action")
        if action not in _ACTIONS:
            raise BadRecord(f"action is none of {', '.join(_ACTIONS)}")
        outcome = _text(record, "outcome")
        if outcome not in _OUTCOMES:
            raise BadRecord("outcome is neither success nor failure")
        category, type_ = _ACTIONS[action]
        operator, host = _text(record, "operator"), _text(record, "host")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.dataset": "wardwatch.audit",
            "event.provider": "wardwatch",
            "event.category": [category],
            "event.type": [type_],
            "event.action": action,
            "event.outcome": outcome,
            "user.id": operator,
            "host.name": host,
        }
        for name, field, shape in _NAMED:
            if name in record:
                value = _text(record, name)
                if not shape.fullmatch(value):
                    raise BadRecord(f"{name} is none that this version makes")
                fields[field] = value
        if "reason" in record:
            fields["event.reason"] = _text(record, "reason")
        draft = Draft(
            id=_text(record, "id"),
            time=milliseconds(record.get("time"), "time"),
            actor=f"user:{operator}",
            fields=fields,
        )
        if "patient" in record:
            _patient(_text(record, "patient"), draft)
        return draft


def _patient(patient: str, draft: Draft) -> None:
    known = canonical(patient)
    draft.patients.append(patient)
    draft.fields["wardwatch.patient"] = draft.patients
    draft.identifiers |= {patient, known, known.rpartition("|")[2]} - {""}
    if known.startswith("Patient/"):
        draft.identifiers.add(known[8:])


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise BadRecord(f"{name} is missing" if value is None else f"{name} is no text")
    return value


OWN: Final = OwnAudit()
