"""Why a FHIR record cannot be read, in words: which release of FHIR it looks like, or which element is wrong.

Runs only for records that were refused, so it may be thorough. Says where and what kind, never the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.fhir_release import SOURCE_OF, Release, release_of

__all__ = ["AGENT", "CODING", "CONCEPT", "ENTITY", "IDENTIFIER", "REFERENCE", "explain", "other_release", "wrong"]

_KINDS: Final = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number"}
_KINDS_OF: Final = _KINDS | {float: "a number", type(None): "null"}

CODING: Final = {"system": str, "code": str, "display": str}
CONCEPT: Final = {"coding": [CODING], "text": str}
IDENTIFIER: Final = {"system": str, "value": str, "type": CONCEPT}
REFERENCE: Final = {"reference": str, "display": str, "identifier": IDENTIFIER}
AGENT: Final = {
    "type": CONCEPT,
    "role": [CONCEPT],
    "who": REFERENCE,
    "altId": str,
    "name": str,
    "requestor": bool,
    "network": {"address": str, "type": str},
    "purposeOfUse": [CONCEPT],
}
ENTITY: Final = {
    "what": REFERENCE,
    "type": CODING,
    "role": CODING,
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
    "type": CODING,
    "subtype": [CODING],
    "action": str,
    "recorded": str,
    "outcome": str,
    "outcomeDesc": str,
    "purposeOfEvent": [CONCEPT],
    "agent": [AGENT],
    "source": {"site": str, "observer": REFERENCE, "type": [CODING]},
    "entity": [ENTITY],
}
_REQUIRED: Final = ("type", "recorded", "agent", "source")


def explain(record: Mapping[str, Any]) -> str:
    """One sentence on what is wrong with ``record`` as an R4 AuditEvent."""
    if (kind := record.get("resourceType")) != "AuditEvent":
        return f"resourceType: {'missing' if kind is None else 'not AuditEvent'}; this source reads FHIR R4 AuditEvents"
    if other := other_release(record, "R4"):
        return other
    if found := wrong(record, _SHAPE):
        return found
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


def other_release(record: Mapping[str, Any], own: Release) -> str:
    """What to say of an AuditEvent of another release than ``own``; "" where it is none."""
    if (found := release_of(record)) == own:
        return ""
    return f"AuditEvent: looks like FHIR {found}; this source reads {own}: send it as source {SOURCE_OF[found]}"


def wrong(value: Any, shape: Any, path: str = "", release: str = "R4") -> str:
    """The first element whose kind is not the one that ``shape`` gives it; "" where all are."""
    wanted = shape if isinstance(shape, type) else type(shape)
    good = isinstance(value, Mapping) if wanted is dict else type(value) is wanted
    if not good:
        kind = _KINDS_OF.get(type(value), "something else")
        return f"{path}: is {kind}, {release} wants {_KINDS[wanted]}"
    if isinstance(shape, dict):
        for name, inner in shape.items():
            if name in value and (found := wrong(value[name], inner, f"{path}.{name}" if path else name, release)):
                return found
    elif isinstance(shape, list):
        for place, item in enumerate(value):
            if found := wrong(item, shape[0], f"{path}[{place}]", release):
                return found
    return ""
