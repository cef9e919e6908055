"""Patients of an HL7 v2 message, and every string of it that tells who they are.

Listed is what names somebody: numbers, names, birth dates, addresses, telephone numbers, of the patient (PID, MRG),
next of kin (NK1), guarantor (GT1) and insured (IN1, IN2), the numbers of visits (PV1), whatever a query asks for, and
all of a site's own segments (Z..). Not listed are codes, and whose number it is: a ward's name tells no patient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.sources.base import Draft
from streams.sources.hl7v2_shape import component, first, repetitions, segments, texts

__all__ = ["add_people", "identifier_of", "person_of", "together"]

_Json = Mapping[str, Any]
#: Characters from which on a text of unknown meaning is taken for an identifier.
_TELLING: Final = 4


def _number(field: _Json) -> list[str]:
    """CX: an identifier; the rest of it says whose and of what kind."""
    return texts(field.get("1"))


def _name(field: _Json) -> list[str]:
    """XPN: parts of a name, and the ways in which they are written together."""
    parts = {number: (texts(field.get(number)) or [""])[0] for number in ("1", "2", "3")}
    written = together(parts["1"], parts["2"], parts["3"])
    return [*(text for number in ("1", "2", "3", "4", "5", "6") for text in texts(field.get(number))), *written]


def together(family: str, given: str, further: str) -> list[str]:
    """The ways in which the parts of a name are written as one; nothing where one of the first two is missing."""
    if not family or not given:
        return []
    written = [f"{given} {family}", f"{family} {given}", f"{family}, {given}", f"{family}^{given}"]
    return written + ([f"{given} {further} {family}", f"{family}, {given} {further}"] if further else [])


def _person(field: _Json) -> list[str]:
    """XCN: a number, and a name."""
    return _number(field) + _name({"1": field.get("2"), "2": field.get("3"), "3": field.get("4")})


def _address(field: _Json) -> list[str]:
    """XAD: street, city, state or district, code, county; neither country nor type."""
    return [text for number in ("1", "2", "3", "4", "5", "8", "9") for text in texts(field.get(number))]


def _telephone(field: _Json) -> list[str]:
    """XTN: numbers and mail, not what they are for."""
    return [text for number in ("1", "4", "6", "7", "9", "12") for text in texts(field.get(number))]


def _date(field: _Json) -> list[str]:
    """DTM: as HL7 writes it, the day alone, and as everybody else writes it."""
    stamp = (texts(field.get("1")) or [""])[0]
    day = stamp[:8]
    return [stamp, day, f"{day[:4]}-{day[4:6]}-{day[6:]}"] if len(day) == 8 else texts(field)


def _anything(field: _Json) -> list[str]:
    return [text for text in texts(field) if len(text) >= _TELLING and text[0] != "@"]


#: Fields that tell who somebody is, and how each is read (HL7 v2.9 chapters 3 and 6).
_FIELDS: Final[dict[str, dict[Callable[[_Json], list[str]], tuple[int, ...]]]] = {
    "PID": {
        _number: (2, 3, 4, 18, 19, 20, 21),
        _name: (5, 6, 9),
        _address: (11,),
        _telephone: (13, 14, 40),
        _date: (7, 29),
        _anything: (12, 23),
    },
    "MRG": {_number: (1, 2, 3, 4, 5, 6), _name: (7,)},
    "PV1": {_number: (5, 19, 50), _date: (44, 45)},
    "NK1": {
        _name: (2, 26, 30),
        _address: (4, 32),
        _telephone: (5, 6, 31, 40, 41),
        _date: (16,),
        _number: (12, 33, 37),
        _anything: (13, 38),
    },
    "GT1": {
        _number: (2, 12, 19),
        _name: (3, 4, 42),
        _address: (5, 17),
        _telephone: (6, 7, 18),
        _date: (8,),
        _anything: (16, 21, 51),
    },
    "IN1": {_number: (8, 10, 36, 49), _name: (16,), _address: (19,), _date: (18,), _anything: (9, 11)},
    "QRD": {_person: (8,)},
    "ACC": {_date: (1,)},
}
#: Segments of which everything that is long enough is taken: insurance's many numbers, and what queries ask for.
_WHOLE: Final = ("IN2", "QPD", "QRF")
_NOT_ASKED: Final = ("1", "2")  #: QPD: name and tag of the query


def add_people(record: _Json, draft: Draft) -> None:
    """Fill the draft's patients and identifiers. Raises Malformed."""
    for name, kinds in _FIELDS.items():
        for segment in segments(record, name):
            for read, numbers in kinds.items():
                for number in numbers:
                    for field in repetitions(segment, f"{name}-{number}"):
                        draft.identifiers.update(read(field))
    for name in record:
        if name in _WHOLE or name[:1] == "Z":
            for segment in segments(record, name):
                asked = {number: field for number, field in segment.items() if number not in _NOT_ASKED}
                draft.identifiers.update(_anything(asked if name == "QPD" else segment))
    patients = [
        *(identifier_of(segment, "PID-3") or identifier_of(segment, "PID-2") for segment in segments(record, "PID")),
        *(identifier_of(segment, "MRG-1") for segment in segments(record, "MRG")),
        identifier_of(first(record, "QRD"), "QRD-8"),
        *_asked_for(first(record, "QPD")),
    ]
    draft.patients = list(dict.fromkeys(patient for patient in patients if patient))
    if draft.patients:
        draft.fields["wardwatch.patient"] = draft.patients
    draft.identifiers.update(patient.partition("^")[0] for patient in draft.patients)
    draft.identifiers.update(draft.patients)
    draft.identifiers.discard("")


def _asked_for(segment: _Json) -> list[str]:
    """QPD-3 of a query for one patient (Q21, Q23), or its ``@PID.3.1`` (Q22); else nobody in particular."""
    asked: list[str] = []
    named: dict[str, str] = {}
    for field in repetitions(segment, "QPD-3"):
        parameter = (texts(field.get("1")) or [""])[0]
        if parameter.startswith("@"):
            named[parameter.upper()] = (texts(field.get("2")) or [""])[0]
        elif parameter:
            asked.append(_written(field, "4"))
    if number := named.get("@PID.3.1") or named.get("@PID.3"):
        owner = {"1": named.get("@PID.3.4.1") or named.get("@PID.3.4", ""), "2": named.get("@PID.3.4.2", "")}
        owner["3"] = named.get("@PID.3.4.3", "") or ("ISO" if owner["2"] else "")
        asked.append(_written({"1": number, "4": owner}, "4"))
    return asked


def identifier_of(segment: _Json, name: str) -> str:
    """A number and whose it is, as HL7 writes it (``7^^^HOSP&1.2.3&ISO``), or alone where it is nobody's; else ""."""
    authority = "9" if name in ("EVN-5", "QRD-8") else "4"
    found = next(iter(repetitions(segment, name)), {})
    return _written(found, authority)


def _written(field: _Json, authority: str) -> str:
    number = (texts(field.get("1")) or [""])[0].strip()
    owner = field.get(authority)
    parts = [(texts(owner.get(place)) or [""])[0] for place in ("1", "2", "3")] if isinstance(owner, Mapping) else []
    whose = "&".join(parts) if parts else (texts(owner) or [""])[0]
    return f"{number}^^^{whose}" if number and whose.strip("&") else number


def person_of(segment: _Json, name: str) -> str:
    """XCN: given and family name of somebody of the staff; "" where neither is said."""
    return " ".join(part for part in (component(segment, f"{name}.3"), component(segment, f"{name}.2")) if part)
