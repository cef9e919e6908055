"""Why a FHIR record cannot be read, in words: which release of FHIR it looks like, or which element is wrong.

Runs only for records that were refused, so it may be thorough. Says where and what kind, never the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["explain"]

_KINDS: Final = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number"}
_KINDS_OF: Final = _KINDS | {float: "a number", type(None): "null"}

_CODING: Final = {"system": str, "code": str, "display": str}
_CONCEPT: Final = {"coding": [_CODING], "text": str}
_IDENTIFIER: Final = {"system": str, "value": str, "type": _CONCEPT}
_REFERENCE: Final = {"reference": str, "display": str, "identifier": _IDENTIFIER}
_AGENT: Final = {
    "type": _CONCEPT,
    "role": [_CONCEPT],
    "who": _REFERENCE,
    "altId": str,
    "name": str,
    "requestor": bool,
    "network": {"address": str, "type": str},
    "purposeOfUse": [_CONCEPT],
}
_ENTITY: Final = {
    "what": _REFERENCE,
    "type": _CODING,
    "role": _CODING,
    "name": str,
    "description": str,
    "query": str,
    "detail": [{"type": str, "valueString": str, "valueBase64Binary": str}],
}
#: The part of R4's AuditEvent that is read here (https://hl7.org/fhir/R4/auditevent.html).
_SHAPE: Final = {
    "resourceType": str,
    "id": str,
    "contained": [{"resourceType": str}],
    "type": _CODING,
    "subtype": [_CODING],
    "action": str,
    "recorded": str,
    "outcome": str,
    "outcomeDesc": str,
    "purposeOfEvent": [_CONCEPT],
    "agent": [_AGENT],
    "source": {"site": str, "observer": _REFERENCE, "type": [_CODING]},
    "entity": [_ENTITY],
}
_REQUIRED: Final = ("type", "recorded", "agent", "source")


def explain(record: Mapping[str, Any]) -> str:
    """One sentence on what is wrong with ``record`` as an R4 AuditEvent."""
    if (kind := record.get("resourceType")) != "AuditEvent":
        return f"resourceType: {'missing' if kind is None else 'not AuditEvent'}; this source reads FHIR R4 AuditEvents"
    if version := _version(record):
        return f"AuditEvent: looks like FHIR {version}; this source reads R4: convert it before it is sent"
    if wrong := _wrong(record, _SHAPE, ""):
        return wrong
    for name in _REQUIRED:
        if not record.get(name):
            return f"{name}: missing or empty; R4 requires it"
    if not record["type"].get("code"):
        return "type.code: missing; it says what happened"
    for place, agent in enumerate(record["agent"]):
        if "requestor" not in agent:
            return f"agent[{place}].requestor: missing; R4 requires it"
    if not (observer := record["source"].get("observer")):
        return "source.observer: missing or names nothing: give it a reference, an identifier or a display"
    if not (observer.get("reference") or observer.get("display") or observer.get("identifier", {}).get("value")):
        return "source.observer: names nothing: give it a reference, an identifier or a display"
    return "AuditEvent: some reference, identifier or code in it is empty or incomplete"


def _version(record: Mapping[str, Any]) -> str:
    """Another release than R4 that the record's elements belong to; "" where they do not tell."""
    if "event" in record or "participant" in record or "object" in record:
        return "DSTU2"
    if isinstance(record.get("outcome"), dict) or (
        "type" not in record
        and ("code" in record or "category" in record or "occurredDateTime" in record or "occurredPeriod" in record)
    ):
        return "R5"
    source = record.get("source")
    if isinstance(source, dict) and "observer" not in source and "identifier" in source:
        return "STU3"
    agents = record.get("agent")
    if isinstance(agents, list) and any(isinstance(a, dict) and ("userId" in a or "reference" in a) for a in agents):
        return "STU3"
    return ""


def _wrong(value: Any, shape: Any, path: str) -> str:
    """The first element whose kind is not the one R4 gives it."""
    wanted = shape if isinstance(shape, type) else type(shape)
    good = isinstance(value, Mapping) if wanted is dict else type(value) is wanted
    if not good:
        kind = _KINDS_OF.get(type(value), "something else")
        return f"{path}: is {kind}, R4 wants {_KINDS[wanted]}"
    if isinstance(shape, dict):
        for name, inner in shape.items():
            if name in value and (wrong := _wrong(value[name], inner, f"{path}.{name}" if path else name)):
                return wrong
    elif isinstance(shape, list):
        for place, item in enumerate(value):
            if wrong := _wrong(item, shape[0], f"{path}[{place}]"):
                return wrong
    return ""
