"""FHIR R4 AuditEvent: who touched which patient's data, as an EHR reports it.

Reads every profile of IHE BALP 1.1 (create, read, update, delete, query, disclosure, consent decision, SAML and OAuth
users) and DICOM's own events (login, emergency override, audit started and stopped). Other releases of FHIR are refused
by name. Only what is released and what identifies a patient is looked at; a record is refused where that is malformed.

- The actor is the agent that requested; where none did, a human, else BALP's client, else the first that has a name.
- The address is that agent's, else the client's, from where it acted.
- Free text (``outcomeDesc``, narrative, descriptions, query) is there for rules to read and is never released.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from re import compile as regex
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

from detectors.base import digest
from streams.pseudonyms import canonical
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.fhir_shape import explain
from streams.sources.fhir_terms import ACTIONS, CLIENTS, INTERACTIONS, LETTERS, OUTCOMES, PATIENT_ROLES, Meaning
from streams.vocabulary import PURPOSES, RESOURCES

__all__ = ["FHIR", "FhirAuditEvent"]

_Json = Mapping[str, Any]
_NONE: Final[dict[str, Any]] = {}
_KEPT: Final = 16_384
_NAMED: Final = regex(r"(?:.*/)?([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/.*)?")
_STAMP: Final = regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
#: Search parameters whose value says who is looked for.
_PERSONAL: Final = regex(
    r"(?:^|[?&\n\s])(?:[A-Za-z]+[.:])*(?:_id|patient|subject|beneficiary|individual|identifier|name|family|given|"
    r"phonetic|birthdate|phone|email|telecom|address(?:-[a-z]+)?|death-date)(?::[A-Za-z]+|\.[A-Za-z.]+)?=([^&\s]+)"
)
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
            "source.address",
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
        return record.get("resourceType") == "AuditEvent"

    def normalise(self, record: _Json) -> Draft:
        """Read one AuditEvent. Raises BadRecord, which names the element and quotes nothing."""
        try:
            return _read(record)
        except BadRecord:
            raise
        except Exception as exc:
            # Whatever went wrong, the record is not what R4 says; the slow look finds the element.
            raise BadRecord(explain(record)) from exc


FHIR: Final = FhirAuditEvent()


class _Malformed(Exception):
    """Some element is not what R4 says; :func:`explain` says which."""


def _read(record: _Json) -> Draft:
    if record["resourceType"] != "AuditEvent":
        raise _Malformed
    type_code = _string(record["type"]["code"])
    letter = record.get("action", "")
    clients = CLIENTS.get(letter)
    if clients is None:
        raise BadRecord("action: not one of C, R, U, D, E")
    outcome = OUTCOMES.get(record.get("outcome", ""))
    if outcome is None:
        raise BadRecord("outcome: not one of 0, 4, 8, 12")
    agents = record["agent"]
    if not agents or type(agents) is not list or "code" in record:
        raise _Malformed

    meaning, subtype, known = _meaning(type_code, record.get("subtype"), letter)
    draft = Draft(
        "",
        _time(record["recorded"]),
        "",
        {
            "event.kind": "event",
            "event.action": meaning.action,
            "event.category": meaning.category,
            "event.type": meaning.type,
            "event.outcome": outcome,
            "event.provider": "fhir",
            "event.code": subtype or type_code,
        },
    )
    fields = draft.fields
    if known == "interaction":
        fields["wardwatch.interaction"] = subtype
    elif meaning.action == "consent-decision":
        fields["event.type"] = ["allowed"] if outcome == "success" else ["denied"]
    if text := record.get("outcomeDesc"):
        fields["event.reason"] = _string(text)

    observer = _observer(record["source"]["observer"])
    fields["observer.name"] = observer

    if "contained" in record:
        _contained(record["contained"], draft)
    _entities(record, draft)
    _agents(agents, clients, record.get("purposeOfEvent"), observer, draft)
    if subtype in _ABOUT_ITSELF and not draft.device:
        draft.device = f"device:{observer}"
        fields["device.id"] = observer
    if draft.patients:
        draft.patients = list(dict.fromkeys(draft.patients))
        fields["wardwatch.patient"] = draft.patients
    given = record.get("id")
    draft.id = _string(given) if given else _derived_id(record, type_code, observer, draft)
    return draft


def _string(value: Any) -> str:
    if type(value) is not str or not value:
        raise _Malformed
    return value


def _time(recorded: str) -> int:
    if not _STAMP.fullmatch(recorded):
        if regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?").fullmatch(recorded):
            raise BadRecord("recorded: has no offset from UTC; R4's instant requires one: send Z or +hh:mm")
        raise BadRecord("recorded: not an instant such as 2026-01-05T08:00:00Z")
    try:
        return round(datetime.fromisoformat(recorded).timestamp() * 1000)
    except ValueError:
        raise BadRecord("recorded: no such day or time") from None


def _meaning(type_code: str, subtypes: Any, letter: str) -> tuple[Meaning, str, str]:
    """ECS's words, the code of the subtype that gave them, and whether it is a REST interaction."""
    first = ""
    if subtypes:
        for subtype in subtypes:
            code = subtype.get("code", "")
            if meaning := INTERACTIONS.get(code):
                if type_code == "rest" or not first:
                    return meaning, code, "interaction"
            elif meaning := ACTIONS.get(code):
                return meaning, code, "event"
            first = first or code
    if meaning := ACTIONS.get(type_code):
        return meaning, "", "event"
    category, types = LETTERS[letter]
    return Meaning(_string(first or type_code), category, types), first, ""


def _observer(observer: _Json) -> str:
    reference = observer.get("reference")
    if reference:
        return _shortened(reference)
    if display := observer.get("display"):
        return _string(display)
    return _string(observer["identifier"]["value"])


# -- entities --------------------------------------------------------------------------------------------------------


def _entities(record: _Json, draft: Draft) -> None:
    touched: list[str] = []
    entities = record.get("entity")
    if not entities:
        return
    if type(entities) is not list:
        raise _Malformed
    for entity in entities:
        what = entity.get("what") or _NONE
        type_ = entity.get("type") or _NONE
        code = type_.get("code")
        reference = what.get("reference")
        patient = code == "1" and (entity.get("role") or _NONE).get("code") == "1"
        if reference is not None:
            kind = reference.rpartition("/")[0].rpartition("/")[2] if "_history" not in reference else ""
            if kind not in RESOURCES:
                kind = _resource(reference)
            if kind == "Patient":
                patient = True
            if code != "1" and kind in RESOURCES:
                touched.append(kind)
        if patient:
            _patient(what, entity, draft)
        elif code == "XrequestId":
            draft.fields["http.request.id"] = _string(what["identifier"]["value"])
        if (query := entity.get("query")) is not None:
            touched.extend(_query(query, draft))
    if touched:
        draft.fields["wardwatch.resource"] = list(dict.fromkeys(touched))


def _resource(reference: str) -> str:
    """The resource type that a reference names, in whichever form; "" where it names none."""
    found = _NAMED.fullmatch(reference)
    if found:
        return found[1].partition("/")[0]
    return reference.partition("?")[0].rpartition("/")[2] if "?" in reference else ""


def _patient(what: _Json, entity: _Json, draft: Draft) -> None:
    """Note a patient that an entity or an agent (``what``: its reference) names, and all that identifies them."""
    identifiers = draft.identifiers
    raw = ""
    reference = what.get("reference")
    if reference:
        identifiers.add(reference)
        if reference[0] == "#":
            raw = ""
        elif "?" in reference:
            raw = unquote_plus(reference.rpartition("=")[2])
            identifiers.add(raw)
        else:
            raw = canonical(reference)
            identifiers.add(raw)
            identifiers.add(raw.rpartition("/")[2])
    identifier = what.get("identifier")
    if identifier is not None:
        value = _string(identifier["value"])
        system = identifier.get("system")
        identifiers.add(value)
        if not raw:
            raw = f"{system}|{value}" if system else value
    for text in (what.get("display"), entity.get("name"), entity.get("altId")):
        if text:
            identifiers.add(_string(text))
            raw = raw or text
    if "detail" in entity or "description" in entity or "extension" in entity or "extension" in what:
        _leaves(entity, identifiers)
    if raw:
        draft.patients.append(raw)


_CODED: Final = frozenset(
    {"system", "code", "url", "type", "role", "securityLabel", "lifecycle", "resourceType", "use"}
)


def _leaves(node: Any, into: set[str]) -> None:
    """Every string below ``node`` but codes."""
    if isinstance(node, str):
        if node:
            into.add(node)
    elif isinstance(node, Mapping):
        for name, inner in node.items():
            if name not in _CODED:
                _leaves(inner, into)
    elif isinstance(node, list):
        for inner in node:
            _leaves(inner, into)


def _contained(resources: Any, draft: Draft) -> None:
    """Patients that travel inside the record: names, record numbers, telecom, addresses, birth dates."""
    for resource in resources:
        if resource.get("resourceType") in ("Patient", "RelatedPerson", "Person"):
            inner = {name: value for name, value in resource.items() if name not in ("text", "meta", "gender")}
            _leaves(inner, draft.identifiers)
            for name in resource.get("name") or ():
                given, family = name.get("given") or [], name.get("family")
                if family and given:
                    draft.identifiers |= {f"{' '.join(given)} {family}", f"{family} {' '.join(given)}"}
                    draft.identifiers |= {f"{given[0]} {family}", f"{family}, {' '.join(given)}"}
            if resource["resourceType"] == "Patient":
                for identifier in (resource.get("identifier") or ())[:1]:
                    system = identifier.get("system")
                    value = _string(identifier["value"])
                    draft.patients.append(f"{system}|{value}" if system else value)


def _query(query: str, draft: Draft) -> list[str]:
    """Take the patients out of a search (base64 as R4 says, or plain as some send it); give the types searched."""
    try:
        text = a2b_base64(_string(query)).decode("utf-8")
    except (Base64Error, UnicodeDecodeError):
        text = query
    draft.identifiers.add(query)
    for value in _PERSONAL.findall(text):
        plain = unquote_plus(value)
        draft.identifiers |= {value, plain, plain.rpartition("|")[2], plain.rpartition("/")[2]} - {""}
    path = text.partition("?")[0].split()
    return [part for token in path[:2] for part in token.split("/") if part in RESOURCES][:1]


# -- agents ----------------------------------------------------------------------------------------------------------


def _agents(agents: list[Any], client_code: str, purposes: Any, observer: str, draft: Draft) -> None:
    requestor = client = human = None
    codes: list[str] = []
    if purposes:
        _codes(purposes, codes)
    for agent in agents:
        if agent["requestor"] is True:
            requestor = requestor or agent
        elif agent["requestor"] is not False:
            raise _Malformed
        who = agent.get("who") or _NONE
        for coding in (agent.get("type") or _NONE).get("coding") or ():
            code = coding.get("code")
            if code == client_code:
                client = client or agent
            elif code == "humanuser":
                human = human or agent
            elif code == "PROV":
                _organisation(who, draft)
        if _is_patient(agent, who):
            _patient(who, agent, draft)
            _leaves({name: agent.get(name) for name in ("altId", "name", "extension", "who")}, draft.identifiers)
        if "purposeOfUse" in agent:
            _codes(agent["purposeOfUse"], codes)
    if codes:
        draft.fields["wardwatch.purpose"] = list(dict.fromkeys(codes))
    chosen = requestor or human or client or agents[0]
    _actor(chosen, client, observer, draft)
    _address(chosen, client, draft)


def _codes(concepts: Any, into: list[str]) -> None:
    for concept in concepts:
        for coding in concept.get("coding") or ():
            if (code := coding.get("code")) in PURPOSES:
                into.append(code)


def _is_patient(agent: _Json, who: _Json) -> bool:
    reference = who.get("reference")
    if reference is not None and "Patient" in reference and _resource(reference) == "Patient":
        return True
    for concept in (agent.get("type") or _NONE, *(agent.get("role") or ())):
        for coding in concept.get("coding") or ():
            if coding.get("code") in PATIENT_ROLES:
                return True
    return False


def _organisation(who: _Json, draft: Draft) -> None:
    if display := who.get("display"):
        draft.fields["organization.name"] = _string(display)
    if reference := who.get("reference"):
        draft.fields["organization.id"] = _shortened(reference)
    elif identifier := who.get("identifier"):
        draft.fields["organization.id"] = _string(identifier["value"])


def _shortened(reference: str) -> str:
    """A reference without its server and version: ``Practitioner/7``."""
    found = _NAMED.fullmatch(reference)
    return found[1] if found else reference


def _named(agent: _Json) -> str:
    """``kind:id`` of an agent by its reference, identifier, display, altId or name; "" where it has none."""
    who = agent.get("who") or _NONE
    if reference := who.get("reference"):
        short = _shortened(reference)
        return f"device:{short}" if short.startswith("Device/") else f"user:{short}"
    if (identifier := who.get("identifier")) and (value := identifier.get("value")):
        system = identifier.get("system")
        return f"user:{system}|{_string(value)}" if system else f"user:{_string(value)}"
    name = who.get("display") or agent.get("altId") or agent.get("name")
    return f"user:{_string(name)}" if name else ""


def _actor(agent: _Json, client: _Json | None, observer: str, draft: Draft) -> None:
    fields = draft.fields
    who = agent.get("who") or _NONE
    if _is_patient(agent, who):
        mine = Draft("", 0, "", {})
        _patient(who, agent, mine)
        if mine.patients:
            draft.actor = f"patient:{mine.patients[0]}"
            fields["user.id"] = mine.patients[0]
            return
    actor = _named(agent)
    if not actor and client is not None and client is not agent:
        actor = _named(client)
    draft.actor = actor = actor or f"user:unnamed of {observer}"
    kind, _, id_ = actor.partition(":")
    if kind == "device":
        draft.device = actor
        fields["device.id"] = id_
        return
    fields["user.id"] = id_
    if name := agent.get("name") or who.get("display"):
        fields["user.name"] = _string(name)
    if roles := agent.get("role"):
        codes = [c["code"] for role in roles for c in role.get("coding") or () if c.get("code")]
        if codes:
            fields["user.roles"] = codes


def _address(agent: _Json, client: _Json | None, draft: Draft) -> None:
    network = agent.get("network") or (client.get("network") if client is not None else None)
    if not network or not (text := network.get("address")):
        return
    known = _addresses.get(text)
    if known is None:
        known = _parsed(_string(text), network.get("type"))
        if len(_addresses) >= _KEPT:
            _addresses.clear()
        _addresses[text] = known
    field, value = known
    if field:
        draft.fields[field] = draft.fields["source.address"] = value
        draft.address = f"address:{value}"
        if draft.actor.startswith("patient:"):
            draft.identifiers.add(value)


_addresses: dict[str, tuple[str, str]] = {}


def _parsed(text: str, kind: Any) -> tuple[str, str]:
    """The ECS field of a network address and its one spelling; ("", "") for telephone numbers and mail."""
    if kind in ("3", "4"):
        return "", ""
    if "://" in text:
        try:
            text = urlsplit(text).hostname or ""
        except ValueError:
            return "", ""
    try:
        return "source.ip", str(ip_address(text))
    except ValueError:
        return ("source.domain", text.lower()) if text else ("", "")


def _derived_id(record: _Json, type_code: str, observer: str, draft: Draft) -> str:
    """An id for a record without one, from its ``XrequestId``; "" where it has none either.

    Client and server both record one act under one XrequestId: observer and agents tell their records apart, and
    entities and patients tell apart the several records of one request. It holds patients, so it is made an
    identifier itself: privacy then lets out a keyed token of it.
    """
    request = draft.fields.get("http.request.id")
    if not request:
        return ""
    agents = [
        (_named(agent), [c.get("code") for c in (agent.get("type") or _NONE).get("coding") or ()])
        for agent in record["agent"]
    ]
    entities = [(entity.get("what") or _NONE).get("reference") for entity in record["entity"]]
    parts = (type_code, draft.fields["event.code"], observer, agents, entities, draft.patients)
    derived = f"{request}.{draft.time}.{digest(*parts)}"
    if draft.patients:
        draft.identifiers.add(derived)
    return derived
