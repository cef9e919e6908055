"""FHIR DSTU2 AuditEvent (http://hl7.org/fhir/DSTU2/auditevent.html): ``event``, ``participant`` and ``object``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft
from streams.sources.fhir import FhirAuditEvent
from streams.sources.fhir_lifting import items, lifted_draft
from streams.sources.fhir_older import AGENT, ENTITY, agents_of, entities_of, observer_of
from streams.sources.fhir_patients import Malformed
from streams.sources.fhir_release import release_of
from streams.sources.fhir_shape import CODING, IDENTIFIER, other_release, wrong

__all__ = ["FHIR_DSTU2", "FhirDstu2AuditEvent"]

_Json = Mapping[str, Any]
_SAME: Final = ("type", "subtype", "action", "outcome", "outcomeDesc")
#: What a refusal calls in R4's words, in DSTU2's.
_NAMES: Final = {"recorded": "event.dateTime", "action": "event.action", "outcome": "event.outcome"}
_SHAPE: Final = {
    "resourceType": str,
    "id": str,
    "contained": [{"resourceType": str}],
    "event": {
        "type": CODING,
        "subtype": [CODING],
        "action": str,
        "dateTime": str,
        "outcome": str,
        "outcomeDesc": str,
        "purposeOfEvent": [CODING],
    },
    "participant": [AGENT | {"purposeOfUse": [CODING]}],
    "source": {"site": str, "identifier": IDENTIFIER, "type": [CODING]},
    "object": [ENTITY],
}


class FhirDstu2AuditEvent(FhirAuditEvent):
    """The source ``fhir-dstu2``."""

    name = "fhir-dstu2"

    def recognises(self, record: _Json) -> bool:
        return record.get("resourceType") == "AuditEvent" and release_of(record) == "DSTU2"

    def normalise(self, record: _Json) -> Draft:
        try:
            draft = lifted_draft(record, _lifted, _explain)
        except BadRecord as exc:
            name, colon, reason = str(exc).partition(":")
            raise BadRecord(f"{_NAMES.get(name, name)}{colon}{reason}") from exc
        draft.shown = _shown(record)
        return draft


FHIR_DSTU2: Final = FhirDstu2AuditEvent()


def _lifted(record: _Json) -> _Json:
    if record["resourceType"] != "AuditEvent" or release_of(record) != "DSTU2":
        raise Malformed
    event = record["event"]
    lifted: dict[str, Any] = {name: event[name] for name in _SAME if name in event}
    lifted |= {name: record[name] for name in ("resourceType", "id", "contained") if name in record}
    lifted["recorded"] = event["dateTime"]
    lifted["purposeOfEvent"] = [{"coding": items(event.get("purposeOfEvent"))}]
    lifted["agent"] = agents_of(record["participant"])
    for agent in lifted["agent"]:
        if "purposeOfUse" in agent:
            agent["purposeOfUse"] = [{"coding": items(agent["purposeOfUse"])}]
    lifted["source"] = observer_of(record["source"])
    lifted["entity"] = entities_of(record.get("object"))
    return lifted


def _shown(record: _Json) -> _Json:
    """``event`` without what ECS calls by the same names; that is where R4 has it, so that rules for R4 find it."""
    event = record["event"]
    hidden = ("type", "action", "outcome")
    rest = {name: value for name, value in event.items() if name not in hidden}
    return {**{name: event[name] for name in ("subtype", *hidden) if name in event}, **record, "event": rest}


def _explain(record: _Json) -> str:
    if (kind := record.get("resourceType")) != "AuditEvent":
        return (
            f"resourceType: {'missing' if kind is None else 'not AuditEvent'}; this source reads FHIR DSTU2 AuditEvents"
        )
    if other := other_release(record, "DSTU2"):
        return other
    if found := wrong(record, _SHAPE, release="DSTU2"):
        return found
    for name in ("event", "participant", "source"):
        if not record.get(name):
            return f"{name}: missing or empty; DSTU2 requires it"
    for name in ("type", "dateTime"):
        if name not in record["event"]:
            return f"event.{name}: missing; DSTU2 requires it"
    return "AuditEvent: some reference, identifier or code in it is empty or incomplete"
