"""What an audit message is about: its participant objects as entities, and all in them that tells who a patient is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.atna_shape import codes, many, scalar
from streams.sources.base64_text import decoded
from streams.sources.fhir_patients import kind_of, leaves
from streams.sources.hl7v2_people import together
from streams.sources.query_people import cx_numbers, people_of

__all__ = ["entity_of", "told_of"]

_Json = Mapping[str, Any]
_STUDY: Final = "110180"
#: ``ParticipantObjectIDTypeCode`` (RFC 3881, 5.5.4) of numbers that a person has: record, patient, enrollee, security.
_PERSONAL: Final = frozenset({"1", "2", "4", "5"})
#: Roles of people whose names and numbers tell who the patient is: subscriber, guarantor, customer.
_RELATED: Final = frozenset({"9", "10", "19"})
#: Numbers that are a patient's, whatever carries them: encounter, account, guarantor.
_NUMBERS: Final = frozenset({"3", "6", "7"})
_CODES: Final = (
    *("ParticipantObjectTypeCode", "ParticipantObjectTypeCodeRole", "ParticipantObjectDataLifeCycle"),
    *("ParticipantObjectIDTypeCode", "ParticipantObjectSensitivity", "ParticipantObjectQuery"),
)


def _is_patient(item: _Json) -> bool:
    role = scalar(item, "ParticipantObjectTypeCodeRole")
    kinds = {code["code"] for code in codes(item, "ParticipantObjectIDTypeCode")}
    person = scalar(item, "ParticipantObjectTypeCode") == "1"
    return role == "1" or (person and not role and bool(kinds & _PERSONAL))


def entity_of(item: _Json) -> dict[str, Any]:
    """A ``ParticipantObjectIdentification`` as R4's entity."""
    role, number = scalar(item, "ParticipantObjectTypeCodeRole"), scalar(item, "ParticipantObjectID")
    what: dict[str, Any] = {}
    if kind_of(number) and "/" in number:
        what["reference"] = number
    elif number:
        what["identifier"] = {"value": number}
    entity: dict[str, Any] = {"what": what, "type": {"code": scalar(item, "ParticipantObjectTypeCode")}}
    if query := scalar(item, "ParticipantObjectQuery"):
        entity["query"] = decoded(query)
    if _is_patient(item):
        return entity | {"role": {"code": "1"}, "name": scalar(item, "ParticipantObjectName")}
    if any(code["code"] == _STUDY for code in codes(item, "ParticipantObjectIDTypeCode")):
        what["type"] = "ImagingStudy"
    elif role == "3":
        what["type"] = "DocumentReference"
    return entity | {"role": {"code": role}}


def told_of(objects: list[_Json]) -> tuple[list[str], set[str]]:
    """Patients whom queries ask for, as HL7 v2 writes their numbers, and all that tells who a patient is."""
    asked: list[str] = []
    said: set[str] = set()
    for item in objects:
        numbers = {code["code"] for code in codes(item, "ParticipantObjectIDTypeCode")}
        if _is_patient(item) or scalar(item, "ParticipantObjectTypeCodeRole") in _RELATED or numbers & _NUMBERS:
            family, given, further, *rest = [*scalar(item, "ParticipantObjectName").split("^"), "", "", ""]
            said |= {part for part in (family, given, further, *rest) if len(part) > 1}
            said.update(together(family, given, further))
            leaves({name: value for name, value in item.items() if name not in _CODES}, said)
            for detail in many(item, "ParticipantObjectDetail"):
                if value := scalar(detail, "value"):
                    said |= {value, decoded(value)}
        elif _STUDY in numbers:
            # Accession numbers and the like are the patient's.
            leaves(scalar(item, "ParticipantObjectID"), said)
            leaves(item.get("ParticipantObjectDescription"), said)
        if query := scalar(item, "ParticipantObjectQuery"):
            found, said_of = people_of(query)
            asked.extend(found)
            said |= {query, *said_of}
    return list(dict.fromkeys(asked)), (said | cx_numbers(said)) - {""}
