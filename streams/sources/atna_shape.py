"""Parts of an audit message whose XML became a Mapping, in DICOM's spelling or RFC 3881's; what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.fhir_patients import Malformed

__all__ = ["codes", "explain", "many", "scalar"]

_Json = Mapping[str, Any]
#: What a coded value's code is called: DICOM since 2014, RFC 3881 and DICOM before.
_CODE: Final = ("csd-code", "code")


def many(holder: _Json, name: str) -> list[_Json]:
    """The elements of a name, however many there are. Raises Malformed where one is text alone."""
    value = holder.get(name)
    found = value if isinstance(value, list) else [] if value is None or value == "" else [value]
    if not all(isinstance(one, Mapping) for one in found):
        raise Malformed
    return found


def scalar(holder: _Json, name: str) -> str:
    """An attribute, or an element of text as some write it; "" without either. Raises Malformed on anything else."""
    value = holder.get(name)
    if isinstance(value, Mapping):
        value = value.get("#text", value.get("value"))
    if value is None:
        return ""
    if type(value) is not str:
        raise Malformed
    return value.strip()


def codes(holder: _Json, name: str) -> list[dict[str, Any]]:
    """Coded values, as FHIR's codings; a bare code, as the older schema has some, is one too."""
    value = holder.get(name)
    if isinstance(value, str) and value.strip():
        return [{"code": value.strip()}]
    found = []
    for one in many(holder, name):
        code = next((said for spelling in _CODE if (said := scalar(one, spelling))), "")
        if code:
            found.append({"code": code, "system": scalar(one, "codeSystemName")})
    return found


def explain(record: _Json) -> str:
    """One sentence on what is wrong with ``record`` as an audit message; says where, never what."""
    message = record.get("AuditMessage")
    if not isinstance(message, Mapping):
        return "AuditMessage: missing; this source reads audit messages of DICOM PS3.15 and RFC 3881"
    event = message.get("EventIdentification")
    if not isinstance(event, Mapping):
        return "EventIdentification: missing, or not one element"
    try:
        if not codes(event, "EventID"):
            return "EventIdentification.EventID: has no code; it says what happened"
    except Malformed:
        return "EventIdentification.EventID: is no coded value"
    for name in ("EventDateTime", "EventActionCode", "EventOutcomeIndicator"):
        if isinstance(event.get(name), list):
            return f"EventIdentification.{name}: is there more than once"
    if not message.get("ActiveParticipant"):
        return "ActiveParticipant: missing; it says who acted"
    return "AuditMessage: some participant, object or code in it is no element of an audit message"
