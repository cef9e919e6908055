"""How a record of another release of FHIR, or of another resource, is brought into the shape of an R4 AuditEvent.

One reader then knows outcome, actor, patients and identifiers of all of them. Rules still see the record as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft
from streams.sources.fhir import read
from streams.sources.fhir_patients import Malformed, text
from streams.sources.fhir_terms import ACTIONS, INTERACTIONS

__all__ = ["UNNAMED", "coded_type", "codings", "items", "lifted_draft", "resource"]

_Json = Mapping[str, Any]
#: An observer's name while a record is read that names none.
UNNAMED: Final = "an unnamed system"


def lifted_draft(record: _Json, lift: Callable[[_Json], _Json], explain: Callable[[_Json], str]) -> Draft:
    """The draft of what ``lift`` makes of ``record``. Raises BadRecord; ``explain`` says why if nothing else does."""
    try:
        draft = read(lift(record))
    except BadRecord:
        raise
    except Exception as exc:
        raise BadRecord(explain(record)) from exc
    if draft.fields["observer.name"] == UNNAMED:
        del draft.fields["observer.name"]
        if draft.device == f"device:{UNNAMED}":
            draft.device = ""
            del draft.fields["device.id"]
    return draft


def items(value: Any) -> list[Any]:
    """A repeating element, which may be absent. Raises Malformed where it is no list."""
    if value is None:
        return []
    if type(value) is not list:
        raise Malformed
    return value


def codings(concepts: Iterable[Any]) -> list[_Json]:
    """Every coding of some CodeableConcepts that has a code."""
    found = [coding for concept in concepts for coding in items(concept.get("coding")) if "code" in coding]
    for coding in found:
        text(coding["code"])
    return found


def coded_type(found: Iterable[_Json], otherwise: str) -> _Json:
    """The coding that says best what happened: the first whose meaning is known, else the first."""
    several = list(found)
    for coding in several:
        if coding["code"] in ACTIONS or coding["code"] in INTERACTIONS:
            return coding
    return several[0] if several else {"code": otherwise}


def resource(reference: Any) -> _Json:
    """An entity that is what ``reference`` points to."""
    if not isinstance(reference, Mapping):
        raise Malformed
    return {"what": reference, "type": {"code": "2"}}
