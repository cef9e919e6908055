"""What STU3 and DSTU2 have in common: agents known by ``userId``, and entities by reference beside identifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base64_text import decoded
from streams.sources.fhir_lifting import UNNAMED, codings, items
from streams.sources.fhir_patients import Malformed, text
from streams.sources.fhir_shape import CODING, CONCEPT, IDENTIFIER, REFERENCE

__all__ = ["AGENT", "ENTITY", "agents_of", "entities_of", "observer_of"]

_Json = Mapping[str, Any]
#: DICOM PS3.16 CID 402 and the roles beside it: what an agent is on the network, not what it is to the patient.
_NETWORK_ROLES: Final = frozenset(str(code) for code in range(110150, 110156))

AGENT: Final = {
    "role": [CONCEPT],
    "reference": REFERENCE,
    "userId": IDENTIFIER,
    "altId": str,
    "name": str,
    "requestor": bool,
    "network": {"address": str, "type": str},
}
ENTITY: Final = {
    "identifier": IDENTIFIER,
    "reference": REFERENCE,
    "type": CODING,
    "role": CODING,
    "name": str,
    "description": str,
    "query": str,
    "detail": [{"type": str, "value": str}],
}


def agents_of(agents: Any) -> list[dict[str, Any]]:
    """The agents as R4's. Where none requested, the first that is no machine of the network did: the user."""
    several = items(agents)
    lifted = [_agent(agent) for agent in several]
    if all(agent["requestor"] is False for agent in lifted):
        for agent, was in zip(lifted, several, strict=True):
            if agent["who"] and not agent["machine"] and "media" not in was:
                agent["requestor"] = True
                break
    return lifted


def _agent(agent: _Json) -> dict[str, Any]:
    roles = items(agent.get("role"))
    found = codings(roles)
    who = dict(agent["reference"]) if "reference" in agent else {}
    if "userId" in agent and (value := agent["userId"].get("value")) is not None:
        who["identifier"] = {**agent["userId"], "value": text(value)}
    own = [coding for coding in found if coding["code"] not in _NETWORK_ROLES]
    lifted = {name: agent[name] for name in ("altId", "name", "network", "purposeOfUse", "extension") if name in agent}
    return lifted | {
        "type": {"coding": found},
        "role": [{"coding": own}] if own else [],
        "who": who,
        "requestor": agent.get("requestor", False),
        "machine": len(own) < len(found),
    }


def entities_of(entities: Any) -> list[dict[str, Any]]:
    """The entities as R4's: what they are in one place, and their details in clear."""
    return [_entity(entity) for entity in items(entities)]


def _entity(entity: _Json) -> dict[str, Any]:
    what = dict(entity["reference"]) if "reference" in entity else {}
    if "identifier" in entity:
        what["identifier"] = entity["identifier"]
        if "value" not in entity["identifier"]:
            del what["identifier"]
    lifted = {name: value for name, value in entity.items() if name not in ("reference", "identifier")}
    if "detail" in entity:
        lifted["detail"] = [
            {**detail, "valueString": decoded(text(detail["value"]))}
            for detail in items(entity["detail"])
            if "value" in detail
        ]
    return lifted | {"what": what}


def observer_of(source: Any) -> dict[str, Any]:
    """The system that reports; both releases know it by an identifier."""
    if not isinstance(source, Mapping):
        raise Malformed
    identifier = source.get("identifier")
    if identifier is None:
        return {"observer": {"display": text(source["site"]) if "site" in source else UNNAMED}}
    return {"observer": {"identifier": {"value": text(identifier["value"])}}}
