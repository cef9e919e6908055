"""FHIR R5 AuditEvent (http://hl7.org/fhir/R5/auditevent.html), and the drafts of it that workflow systems send.

What R5 renamed is read as what R4 calls it: ``category`` and ``code`` are type and subtype, ``authorization`` the
purpose of use, ``network[x]`` the agent's address. ``patient`` is whom the event is about; ``encounter`` and
``basedOn`` are touched as an entity is. When it happened is ``occurred[x]``, else ``recorded``. A draft may leave out
what R5 requires: ``recorded``, ``source`` and who an agent is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import Draft
from streams.sources.fhir import FhirAuditEvent
from streams.sources.fhir_lifting import UNNAMED, coded_type, codings, items, lifted_draft, resource
from streams.sources.fhir_patients import Malformed, text
from streams.sources.fhir_release import release_of
from streams.sources.fhir_shape import CODING, CONCEPT, REFERENCE, other_release, wrong

__all__ = ["FHIR_R5", "FhirR5AuditEvent", "lifted_agent", "lifted_entity", "occurred"]

_Json = Mapping[str, Any]
#: ``outcome.code``: DICOM's numbers, or a severity (http://hl7.org/fhir/R5/valueset-audit-event-outcome.html).
_OUTCOMES: Final = {
    **{number: number for number in ("0", "4", "8", "12")},
    **dict.fromkeys(("success", "information", "warning"), "0"),
    "error": "8",
    "fatal": "12",
}
_AGENT: Final = {
    "type": CONCEPT,
    "role": [CONCEPT],
    "who": REFERENCE,
    "requestor": bool,
    "networkReference": REFERENCE,
    "networkUri": str,
    "networkString": str,
    "authorization": [CONCEPT],
}
_SHAPE: Final = {
    "resourceType": str,
    "id": str,
    "contained": [{"resourceType": str}],
    "category": [CONCEPT],
    "code": CONCEPT,
    "action": str,
    "occurredDateTime": str,
    "occurredPeriod": {"start": str, "end": str},
    "recorded": str,
    "outcome": {"code": CODING, "detail": [CONCEPT]},
    "authorization": [CONCEPT],
    "basedOn": [REFERENCE],
    "patient": REFERENCE,
    "encounter": REFERENCE,
    "agent": [_AGENT],
    "source": {"site": REFERENCE, "observer": REFERENCE, "type": [CONCEPT]},
    "entity": [{"what": REFERENCE, "role": CONCEPT, "query": str, "agent": [_AGENT]}],
}


class FhirR5AuditEvent(FhirAuditEvent):
    """The source ``fhir-r5``."""

    name = "fhir-r5"

    def recognises(self, record: _Json) -> bool:
        return record.get("resourceType") == "AuditEvent" and release_of(record) == "R5"

    def normalise(self, record: _Json) -> Draft:
        return lifted_draft(record, _lifted, _explain)


FHIR_R5: Final = FhirR5AuditEvent()


def _lifted(record: _Json) -> _Json:
    if record["resourceType"] != "AuditEvent" or release_of(record) != "R5":
        raise Malformed
    # Drafts before and after R5 call category and code what R4 does.
    code = codings([record["code"]] if "code" in record else items(record.get("subtype")))
    category = codings(items(record.get("category")) or ([record["type"]] if "type" in record else []))
    if not code and not category and not record.get("code", {}).get("text"):
        raise Malformed
    contained = items(record.get("contained"))
    entities: list[_Json] = [lifted_entity(entity) for entity in items(record.get("entity"))]
    entities += [resource(record["encounter"])] if "encounter" in record else []
    entities += [resource(reference) for reference in items(record.get("basedOn"))]
    if "patient" in record:
        entities.append({"what": record["patient"], "type": {"code": "1"}, "role": {"code": "1"}})
    agents = [lifted_agent(agent, contained) for agent in items(record["agent"])]
    for entity in items(record.get("entity")):
        agents += [lifted_agent(agent, contained) | {"requestor": False} for agent in items(entity.get("agent"))]
    observer = record.get("source", {}).get("observer") or {"display": UNNAMED}
    lifted: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "type": coded_type([*category, *code], "unspecified"),
        "subtype": [*code, *category],
        "recorded": occurred(record),
        "agent": agents,
        "source": {"observer": observer},
        "entity": entities,
    }
    lifted |= {name: record[name] for name in ("id", "action") if name in record}
    if contained:
        lifted["contained"] = contained
    if "authorization" in record:
        lifted["purposeOfEvent"] = items(record["authorization"])
    if "outcome" in record:
        _outcome(record["outcome"], lifted)
    return lifted


def _outcome(outcome: _Json, lifted: dict[str, Any]) -> None:
    code = text((outcome["code"] if "code" in outcome else outcome["coding"][0])["code"])
    if code in _OUTCOMES:
        lifted["outcome"] = _OUTCOMES[code]
    said = [detail["text"] for detail in items(outcome.get("detail")) if detail.get("text")]
    if said:
        lifted["outcomeDesc"] = "; ".join(said)


def occurred(record: _Json) -> str:
    """When it happened: the first of ``occurred[x]`` and ``recorded`` that says the hour. Raises without any."""
    period = record.get("occurredPeriod") or {}
    given = [record.get("occurredDateTime"), period.get("start"), period.get("end"), record.get("recorded")]
    for moment in given:
        if moment is not None and len(text(moment)) > 10:
            return text(moment)
    return next(text(moment) for moment in given if moment is not None)


def lifted_agent(agent: _Json, contained: list[Any]) -> dict[str, Any]:
    """An agent of R5 as one of R4."""
    lifted: dict[str, Any] = {name: agent[name] for name in ("type", "role", "who", "extension") if name in agent}
    lifted["requestor"] = agent.get("requestor", False)
    if "authorization" in agent:
        lifted["purposeOfUse"] = items(agent["authorization"])
    if "networkString" in agent:
        lifted["network"] = {"address": text(agent["networkString"])}
    elif "networkUri" in agent:
        uri = text(agent["networkUri"])
        kind = {"tel": "3", "mailto": "4"}.get(uri.partition(":")[0].lower(), "5")
        lifted["network"] = {"address": uri, "type": kind}
    elif "networkReference" in agent:
        reference = agent["networkReference"].get("reference")
        for inner in contained:
            if reference == f"#{inner.get('id')}" and "address" in inner:
                lifted["network"] = {"address": text(inner["address"]), "type": "5"}
    return lifted


def lifted_entity(entity: _Json) -> dict[str, Any]:
    """An entity of R5 as one of R4, where a role is one coding and a patient has a type of its own."""
    lifted = {name: value for name, value in entity.items() if name not in ("role", "agent")}
    roles = codings([entity["role"]]) if "role" in entity else []
    if any(role["code"] == "1" for role in roles):
        return lifted | {"role": {"code": "1"}, "type": {"code": "1"}}
    if roles:
        lifted["role"] = roles[0]
    return lifted


def _explain(record: _Json) -> str:
    if (kind := record.get("resourceType")) != "AuditEvent":
        return f"resourceType: {'missing' if kind is None else 'not AuditEvent'}; this source reads FHIR R5 AuditEvents"
    if other := other_release(record, "R5"):
        return other
    if found := wrong(record, _SHAPE, release="R5"):
        return found
    if not record.get("agent"):
        return "agent: missing or empty; R5 requires it"
    if not any(name in record for name in ("occurredDateTime", "occurredPeriod", "recorded")):
        return "recorded: missing; so are occurredDateTime and occurredPeriod"
    if not any(record.get(name) for name in ("code", "category", "type", "subtype")):
        return "code: missing; it says what happened"
    return "AuditEvent: some reference, identifier or code in it is empty or incomplete"
