"""Which release of FHIR an AuditEvent is of, by its elements. Imports nothing, so that an emitter may ask too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

__all__ = ["SOURCE_OF", "Release", "release_of"]

Release = Literal["R4", "R5", "STU3", "DSTU2"]

#: The source that reads each.
SOURCE_OF: Final[Mapping[Release, str]] = {
    "R4": "fhir",
    "R5": "fhir-r5",
    "STU3": "fhir-stu3",
    "DSTU2": "fhir-dstu2",
}
#: Elements of an AuditEvent that R5 brought.
_OF_R5: Final = ("code", "category", "occurredDateTime", "occurredPeriod")


def release_of(record: Mapping[str, Any]) -> Release:
    """The release of an AuditEvent; R4 where its elements do not tell. Never raises."""
    source = record.get("source")
    observed = isinstance(source, dict) and "observer" in source
    type_ = record.get("type")
    concept = isinstance(type_, dict) and "coding" in type_
    if observed and type_ and not concept and "code" not in record and not isinstance(record.get("outcome"), dict):
        return "R4"  # most of them
    if "event" in record or "participant" in record or "object" in record:
        return "DSTU2"
    if (
        isinstance(record.get("outcome"), dict)
        or "code" in record
        or concept
        or ("type" not in record and any(name in record for name in _OF_R5))
    ):
        return "R5"
    if isinstance(source, dict) and not observed and "identifier" in source:
        return "STU3"
    agents = record.get("agent")
    if isinstance(agents, list) and any(isinstance(a, dict) and ("userId" in a or "reference" in a) for a in agents):
        return "STU3"
    return "R4"
