"""FHIR STU3 AuditEvent (http://hl7.org/fhir/STU3/auditevent.html): as R4, but for agents, entities and the observer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import Draft
from streams.sources.fhir import FhirAuditEvent
from streams.sources.fhir_lifting import lifted_draft
from streams.sources.fhir_older import AGENT, ENTITY, agents_of, entities_of, observer_of
from streams.sources.fhir_patients import Malformed
from streams.sources.fhir_release import release_of
from streams.sources.fhir_shape import CODING, CONCEPT, IDENTIFIER, other_release, wrong

__all__ = ["FHIR_STU3", "FhirStu3AuditEvent"]

_Json = Mapping[str, Any]
_SAME: Final = (
    *("id", "type", "subtype", "action", "recorded", "outcome", "outcomeDesc", "purposeOfEvent"),
    *("contained", "resourceType"),
)
_SHAPE: Final = {
    "resourceType": str,
    "id": str,
    "contained": [{"resourceType": str}],
    "type": CODING,
    "subtype": [CODING],
    "action": str,
    "recorded": str,
    "outcome": str,
    "outcomeDesc": str,
    "purposeOfEvent": [CONCEPT],
    "agent": [AGENT | {"purposeOfUse": [CONCEPT]}],
    "source": {"site": str, "identifier": IDENTIFIER, "type": [CODING]},
    "entity": [ENTITY],
}
_REQUIRED: Final = ("type", "recorded", "agent", "source")


class FhirStu3AuditEvent(FhirAuditEvent):
    """The source ``fhir-stu3``."""

    name = "fhir-stu3"

    def recognises(self, record: _Json) -> bool:
        return record.get("resourceType") == "AuditEvent" and release_of(record) == "STU3"

    def normalise(self, record: _Json) -> Draft:
        return lifted_draft(record, _lifted, _explain)


FHIR_STU3: Final = FhirStu3AuditEvent()


def _lifted(record: _Json) -> _Json:
    if record["resourceType"] != "AuditEvent" or release_of(record) != "STU3":
        raise Malformed
    lifted: dict[str, Any] = {name: record[name] for name in _SAME if name in record}
    lifted["agent"] = agents_of(record["agent"])
    lifted["source"] = observer_of(record["source"])
    lifted["entity"] = entities_of(record.get("entity"))
    return lifted


def _explain(record: _Json) -> str:
    if (kind := record.get("resourceType")) != "AuditEvent":
        return (
            f"resourceType: {'missing' if kind is None else 'not AuditEvent'}; this source reads FHIR STU3 AuditEvents"
        )
    if other := other_release(record, "STU3"):
        return other
    if found := wrong(record, _SHAPE, release="STU3"):
        return found
    for name in _REQUIRED:
        if not record.get(name):
            return f"{name}: missing or empty; STU3 requires it"
    if not record["type"].get("code"):
        return "type.code: missing; it says what happened"
    return "AuditEvent: some reference, identifier or code in it is empty or incomplete"
