"""FHIR Provenance, R4 and R5 (https://hl7.org/fhir/provenance.html): who made, changed or signed a resource, for whom.

It tells of changes that happened, so its outcome is success. The actor is its author, else who entered, performed or
composed it, else the first agent. Targets that are no patient are what was touched; a patient is a target, R5's
``patient``, or an agent. When it happened is ``occurred[x]``, else ``recorded``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import Draft, LogSource
from streams.sources.fhir import FhirAuditEvent
from streams.sources.fhir_lifting import UNNAMED, codings, items, lifted_draft, resource
from streams.sources.fhir_patients import Malformed, kind_of, leaves, typed
from streams.sources.fhir_r5 import occurred
from streams.sources.fhir_shape import CONCEPT, REFERENCE, wrong

__all__ = ["FHIR_PROVENANCE", "FhirProvenance"]

_Json = Mapping[str, Any]
#: ``activity`` (v3 DataOperation, ISO 21089 lifecycle) as the interaction and the letter of an AuditEvent.
_ACTIVITIES: Final = {
    **dict.fromkeys(("CREATE", "originate"), ("create", "C")),
    **dict.fromkeys(("UPDATE", "APPEND", "REVISE", "update", "amend", "append", "merge"), ("update", "U")),
    **dict.fromkeys(("DELETE", "NULLIFY", "destroy"), ("delete", "D")),
    "READ": ("read", "R"),
    "access": ("read", "R"),
    "disclose": ("disclose", "R"),
}
#: Who answers for it, in this order (``provenance-participant-type``, v3 ParticipationType).
_ACTORS: Final = ("author", "AUT", "enterer", "ENT", "performer", "PRF", "composer", "attester", "verifier", "VRF")
_PATIENTS: Final = frozenset({"Patient", "RelatedPerson"})
_OBSERVERS: Final = ("assembler", "custodian", "CST")
_AGENT: Final = {
    "type": CONCEPT,
    "role": [CONCEPT],
    "who": REFERENCE,
    "whoReference": REFERENCE,
    "whoUri": str,
    "onBehalfOf": REFERENCE,
}
_SHAPE: Final = {
    "resourceType": str,
    "id": str,
    "contained": [{"resourceType": str}],
    "target": [REFERENCE],
    "occurredDateTime": str,
    "occurredPeriod": {"start": str, "end": str},
    "recorded": str,
    "reason": [CONCEPT],
    "authorization": [{"concept": CONCEPT, "reference": REFERENCE}],
    "activity": CONCEPT,
    "patient": REFERENCE,
    "encounter": REFERENCE,
    "basedOn": [REFERENCE],
    "agent": [_AGENT],
    "entity": [{"what": REFERENCE, "agent": [_AGENT]}],
    "signature": [{"who": REFERENCE, "onBehalfOf": REFERENCE}],
}


class FhirProvenance(FhirAuditEvent):
    """The source ``fhir-provenance``."""

    name = "fhir-provenance"
    logsource = LogSource(product="fhir", service="provenance", category="ehr")

    def recognises(self, record: _Json) -> bool:
        return record.get("resourceType") == "Provenance"

    def normalise(self, record: _Json) -> Draft:
        draft = lifted_draft(record, _lifted, _explain)
        for signature in record.get("signature", ()):
            for party in (signature.get("who", {}), signature.get("onBehalfOf", {})):
                if _PATIENTS & {kind_of(party.get("reference", "")), typed(party)}:
                    leaves(party, draft.identifiers)
        return draft


FHIR_PROVENANCE: Final = FhirProvenance()


def _lifted(record: _Json) -> _Json:
    if record["resourceType"] != "Provenance" or wrong(record, _SHAPE):
        raise Malformed
    activity = codings([record["activity"]]) if "activity" in record else []
    code = next((coding["code"] for coding in activity if coding["code"] in _ACTIVITIES), "")
    interaction, letter = _ACTIVITIES.get(code, (activity[0]["code"] if activity else "provenance", "U"))
    agents = items(record["agent"])
    everyone = [*agents, *(agent for entity in items(record.get("entity")) for agent in items(entity.get("agent")))]
    actor = _first(agents, _ACTORS) or agents[0]
    targets = items(record["target"])
    lifted: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "type": {"code": "rest" if code else "provenance"},
        "subtype": [{"code": interaction}],
        "action": letter,
        "outcome": "0",
        "recorded": occurred(record),
        "agent": [_agent(agent, requested=agent is actor) for agent in everyone]
        + [_principal(agent["onBehalfOf"]) for agent in everyone if "onBehalfOf" in agent],
        "source": {"observer": _who(_first(agents, _OBSERVERS) or {}) or {"display": UNNAMED}},
        "entity": [
            *(resource(target) for target in targets),
            *(resource(entity["what"]) for entity in items(record.get("entity")) if "what" in entity),
            *(resource(record[name]) for name in ("encounter",) if name in record),
            *(resource(reference) for reference in items(record.get("basedOn"))),
        ],
    }
    if "patient" in record:
        lifted["entity"].append({"what": record["patient"], "type": {"code": "1"}, "role": {"code": "1"}})
    lifted |= {name: record[name] for name in ("id", "contained") if name in record}
    reasons = [
        *items(record.get("reason")),
        *(given.get("concept", {}) for given in items(record.get("authorization"))),
    ]
    return lifted | {"purposeOfEvent": reasons}


def _first(agents: list[Any], kinds: tuple[str, ...]) -> _Json | None:
    """The agent of the first of ``kinds`` that there is one of."""
    by_kind: dict[str, _Json] = {}
    for agent in agents:
        for coding in codings([agent.get("type", {}), *items(agent.get("role"))]):
            by_kind.setdefault(coding["code"], agent)
    return next((by_kind[kind] for kind in kinds if kind in by_kind), None)


def _agent(agent: _Json, *, requested: bool) -> dict[str, Any]:
    lifted = {name: agent[name] for name in ("type", "role", "extension") if name in agent}
    return lifted | {"requestor": requested, "who": _who(agent)}


def _who(agent: _Json) -> _Json:
    """STU3 has it under two names."""
    uri = {"reference": agent["whoUri"]} if "whoUri" in agent else {}
    who: _Json = agent.get("who") or agent.get("whoReference") or uri
    return who


def _principal(party: _Json) -> dict[str, Any]:
    """For whom an agent acted, as an agent that did nothing itself; an organisation as BALP writes it."""
    lifted: dict[str, Any] = {"who": party, "requestor": False}
    if kind_of(party.get("reference", "")) == "Organization":
        lifted["type"] = {"coding": [{"code": "PROV"}]}
    return lifted


def _explain(record: _Json) -> str:
    if (kind := record.get("resourceType")) != "Provenance":
        return f"resourceType: {'missing' if kind is None else 'not Provenance'}; this source reads FHIR Provenance"
    if found := wrong(record, _SHAPE, release="FHIR"):
        return found
    for name in ("target", "agent"):
        if not record.get(name):
            return f"{name}: missing or empty; FHIR requires it"
    if not any(name in record for name in ("occurredDateTime", "occurredPeriod", "recorded")):
        return "recorded: missing; so are occurredDateTime and occurredPeriod"
    return "Provenance: some reference, identifier or code in it is empty or incomplete"
