"""FHIR R4 AuditEvent: who touched which patient's data, as an EHR reports it.

Reads every profile of IHE BALP 1.1 (create, read, update, delete, query, disclosure, consent decision, SAML and OAuth
users) and DICOM's own events (login, emergency override, audit started and stopped). Other releases of FHIR have
sources of their own, which bring a record into this shape. Only what is released and what identifies a patient is
looked at; a record is refused where that is malformed.

- The actor is the agent that requested; where none did, a human, else BALP's client, else the first that has a name.
- The address is that agent's, else the client's, from where it acted.
- Free text (``outcomeDesc``, narrative, descriptions, query) is there for rules to read and is never released.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from re import compile as regex
from typing import Any, Final

from detectors.base import digest
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.fhir_agents import name_of, read_agents
from streams.sources.fhir_contained import add_contained, resolved
from streams.sources.fhir_patients import Malformed, add_patient, add_query, kind_of, short, text, typed
from streams.sources.fhir_release import release_of
from streams.sources.fhir_shape import explain
from streams.sources.fhir_terms import ACTIONS, CLIENTS, INTERACTIONS, LETTERS, OUTCOMES, RECORDS, Meaning
from streams.sources.times import instant
from streams.vocabulary import RESOURCES

__all__ = ["FHIR", "FhirAuditEvent", "read"]

_Json = Mapping[str, Any]
_NONE: Final[dict[str, Any]] = {}
_DATE_TIME: Final = regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")
#: Types in which one side gives data to another: whichever side recorded it, what acted is what sent.
_DISCLOSURES: Final = frozenset({"110106", "110107"})
_SENDER: Final = "110153"
#: Subtypes that tell of the system itself: it started, stopped, or did so with its audit log.
_ABOUT_ITSELF: Final = frozenset({"110120", "110121", "110133", "110134"})


class FhirAuditEvent:
    """The source ``fhir``; see :class:`streams.sources.base.Source`."""

    name = "fhir"
    topic = "audit.ehr"
    logsource = LogSource(product="fhir", service="auditevent", category="ehr")
    lateness = 60_000
    subject = "actor"
    released = frozenset(
        {
            "device.id",
            "event.action",
            "event.category",
            "event.code",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "http.request.id",
            "observer.name",
            "organization.id",
            "organization.name",
            "source.domain",
            "source.ip",
            "user.id",
            "user.name",
            "user.roles",
            "wardwatch.interaction",
            "wardwatch.patient",
            "wardwatch.purpose",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: _Json) -> bool:
        return record.get("resourceType") == "AuditEvent" and release_of(record) == "R4"

    def normalise(self, record: _Json) -> Draft:
        """Read one AuditEvent. Raises BadRecord, which names the element and quotes nothing."""
        try:
            return read(record)
        except BadRecord:
            raise
        except Exception as exc:
            # Whatever went wrong, the record is not what R4 says; the slow look finds the element.
            raise BadRecord(explain(record)) from exc


FHIR: Final = FhirAuditEvent()


def read(record: _Json) -> Draft:
    """The draft of a record in the shape of R4; other releases are brought into it. Raises anything on what is none."""
    if record["resourceType"] != "AuditEvent" or "code" in record:
        raise Malformed
    type_code = text(record["type"]["code"])
    letter = record.get("action", "")
    client_code = CLIENTS.get(letter)
    if client_code is None:
        raise BadRecord("action: not one of C, R, U, D, E")
    outcome = OUTCOMES.get(record.get("outcome", ""))
    if outcome is None:
        raise BadRecord("outcome: not one of 0, 4, 8, 12")
    contained = record.get("contained")
    if contained is not None:
        record = resolved(record)
    agents = record["agent"]
    if type(agents) is not list or not agents:
        raise Malformed
    meaning, subtype = _meaning(type_code, record.get("subtype"), letter)
    fields: dict[str, Any] = {
        "event.kind": "event",
        "event.action": meaning.action,
        "event.category": meaning.category,
        "event.type": meaning.type,
        "event.outcome": outcome,
        "event.provider": "fhir",
        "event.code": subtype or type_code,
    }
    draft = Draft("", _time(record["recorded"]), "", fields)
    fields["observer.name"] = observer = _observer(record["source"]["observer"], draft)
    if subtype in INTERACTIONS:
        fields["wardwatch.interaction"] = subtype
    elif meaning.action == "consent-decision":
        fields["event.type"] = ["allowed"] if outcome == "success" else ["denied"]
    if said := record.get("outcomeDesc"):
        fields["event.reason"] = text(said)
    _people(contained, record.get("entity", []), draft)
    if type_code in _DISCLOSURES:
        client_code = _SENDER
    read_agents(agents, client_code, record.get("purposeOfEvent"), observer, draft)
    if subtype in _ABOUT_ITSELF and not draft.device:
        draft.device = f"device:{observer}"
        fields["device.id"] = observer
    if draft.patients:
        if len(draft.patients) > 1:
            draft.patients = list(dict.fromkeys(draft.patients))
        fields["wardwatch.patient"] = draft.patients
    given = record.get("id")
    draft.id = text(given) if given is not None else _derived_id(record, type_code, observer, draft)
    return draft


def _time(recorded: str) -> int:
    try:
        moment = datetime.fromisoformat(recorded)
        if moment.tzinfo is not None and recorded[4:17:3] == "--T::":
            return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    if (rare := instant(recorded)) is not None:
        return rare
    if _DATE_TIME.fullmatch(recorded):
        raise BadRecord("recorded: has no offset from UTC; R4's instant requires one: send Z or +hh:mm")
    if _DATE_TIME.match(recorded):
        raise BadRecord("recorded: no such day or time")
    raise BadRecord("recorded: not an instant such as 2026-01-05T08:00:00Z")


def _meaning(type_code: str, subtypes: Any, letter: str) -> tuple[Meaning, str]:
    """ECS's words, and the code of the subtype that gave them ("" where it was the type)."""
    first = ""
    for subtype in subtypes or ():
        code = subtype.get("code", "")
        meaning = INTERACTIONS.get(code) or ACTIONS.get(code)
        if meaning is not None:
            return meaning, code
        first = first or code
    if meaning := ACTIONS.get(type_code):
        return (meaning._replace(type=["change"]) if letter in "CUD" and type_code in RECORDS else meaning), ""
    category, types = LETTERS[letter]
    return Meaning(text(first or type_code), category, types), first


def _observer(observer: _Json, draft: Draft) -> str:
    name = observer.get("reference")
    if name:
        name = short(name)
    else:
        name = observer.get("display") or observer["identifier"]["value"]
        if type(name) is not str or not name:
            raise Malformed
    if name.startswith("Patient/") or ("type" in observer and typed(observer) == "Patient"):
        add_patient(observer, _NONE, draft)
    return name


def _people(contained: Any, entities: Any, draft: Draft) -> None:
    """Whom and what the event is about."""
    if contained is not None:
        add_contained(contained, draft)
    if type(entities) is not list:
        raise Malformed
    touched: list[str] = []
    for entity in entities:
        what = entity.get("what") or _NONE
        code = (entity.get("type") or _NONE).get("code")
        kind = ""
        if "reference" in what:
            kind, _, id_ = what["reference"].partition("/")
            if kind not in RESOURCES or "/" in id_ or "?" in kind:
                kind = kind_of(what["reference"])
        if not kind:
            kind = typed(what) if "type" in what else code or ""
            if kind not in RESOURCES:
                kind = ""
        if kind and code != "1":
            touched.append(kind)
        if kind == "Patient" or (entity.get("role") or _NONE).get("code") == "1":
            add_patient(what, entity, draft)
        elif code == "XrequestId":
            draft.fields["http.request.id"] = text(what["identifier"]["value"])
        if "query" in entity:
            touched.extend(add_query(entity["query"], draft))
    if touched:
        draft.fields["wardwatch.resource"] = touched if len(touched) == 1 else list(dict.fromkeys(touched))


def _derived_id(record: _Json, type_code: str, observer: str, draft: Draft) -> str:
    """An id for a record without one, from its ``XrequestId``; "" where it has none either.

    Client and server both record one act under one XrequestId: observer and agents tell their records apart, and
    entities and patients tell apart the several records of one request. Whoever knows the rest could try patients
    against it, so it counts as an identifier: what leaves is a keyed token of it.
    """
    request = draft.fields.get("http.request.id")
    if request is None:
        return ""
    agents = [
        (name_of(agent), [coding.get("code") for coding in (agent.get("type") or _NONE).get("coding") or ()])
        for agent in record["agent"]
    ]
    entities = [(entity.get("what") or _NONE).get("reference") for entity in record["entity"]]
    derived = digest(
        request, draft.time, type_code, draft.fields["event.code"], observer, agents, entities, draft.patients
    )
    if draft.patients:
        draft.identifiers.add(derived)
    return derived
