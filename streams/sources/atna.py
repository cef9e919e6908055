"""IHE ATNA: audit messages of DICOM PS3.15 A.5, and of RFC 3881 before it, in XML, by syslog or by themselves.

DICOM, RFC 3881 and FHIR's AuditEvent are one model; a message is brought into the shape of an R4 AuditEvent and read as
one, so that the same act has the same words whoever reports it. Where they differ:

- Whoever took part on its own account is a requestor (``UserIsRequestor``), the machine too: the actor is a requestor
  that is no machine of the network, else the first requestor, else whoever is no machine.
- The address is the actor's, else that of the requestor's machine.
- A patient's number is written as HL7 v2 does (CX) and is FHIR's identifier of that system: :mod:`streams.pseudonyms`.
- The query is base64 of XML, HL7 v2 or a URL; a patient that only the query names is one.
- A time without an offset is in the zone that is set, else in the one of the syslog header.

A message that a shipper put into JSON of its own, as text, is taken out of it; rules see it as if it came by itself.

The event's id is the one it arrived with: a message has none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from re import compile as regex
from typing import Any, Final

from streams.sources.atna_objects import entity_of, told_of
from streams.sources.atna_shape import codes, explain, many, scalar
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.fhir import FHIR, read
from streams.sources.local_time import offset_of, xsd_milliseconds
from streams.wire import parse_other
from streams.xml_records import parse_xml

__all__ = ["ATNA", "Atna"]

_Json = Mapping[str, Any]
#: DICOM PS3.16 CID 402, and the media beside it: what a participant is on the network.
_MACHINES: Final = frozenset({"110150", "110152", "110153", "110154", "110155"})
#: ``UserIDTypeCode`` of what is no person: station, URI, device name, HL7 application (DICOM PS3.16 CID 404, RFC 3881).
_MACHINE_IDS: Final = frozenset({"110119", "12", "113877", "HL7APP"})
_PROCESS: Final = "2"  #: ``UserTypeCode``
#: An IP address as Java prints a socket's: host, slash, address, port.
_SOCKET: Final = regex(r"(?:[^/]*/)?(\d{1,3}(?:\.\d{1,3}){3})(?::\d{1,5})?")
#: What a refusal calls in R4's words, in those of an audit message.
_NAMES: Final = {"action": "EventActionCode", "outcome": "EventOutcomeIndicator"}
#: Where shippers put what they read: Filebeat and Vector, rsyslog, Fluent Bit.
_SHIPPED: Final = ("message", "msg", "log")
#: What an event of each type is about, where its objects do not say (DICOM PS3.15 A.5.3).
_ABOUT: Final = {
    "110103": "ImagingStudy",
    "110104": "ImagingStudy",
    "110105": "ImagingStudy",
    "110109": "ServiceRequest",
    "110110": "Patient",
    "110111": "Procedure",
}


class Atna:
    """The source ``atna``; see :class:`streams.sources.base.Source`."""

    name = "atna"
    topic = "audit.ehr"
    logsource = LogSource(product="atna", service="auditmessage", category="ehr")
    lateness = 60_000
    subject = "actor"
    released = FHIR.released

    def __init__(self) -> None:
        self.zone: tzinfo | None = None  #: of times without an offset

    def recognises(self, record: _Json) -> bool:
        if "AuditMessage" in record:
            return isinstance(record["AuditMessage"], Mapping)
        return bool(_shipped(record))

    def normalise(self, record: _Json) -> Draft:
        if shipped := _shipped(record):
            record = parse_other(shipped.encode("utf-8", "surrogatepass"), parse_xml)
        try:
            draft = self._read(record)
            if shipped:
                draft.shown = record
            return draft
        except BadRecord as exc:
            name, colon, reason = str(exc).partition(":")
            raise BadRecord(f"{_NAMES.get(name, name)}{colon}{reason}") from exc
        except Exception as exc:
            raise BadRecord(explain(record)) from exc

    def _read(self, record: _Json) -> Draft:
        message, header = record["AuditMessage"], record.get("syslog") or {}
        event = message["EventIdentification"]
        type_codes, subtypes = codes(event, "EventID"), codes(event, "EventTypeCode")
        objects = many(message, "ParticipantObjectIdentification")
        stamp = scalar(header, "timestamp")
        zone = self.zone or (offset_of(stamp) if stamp else None)
        time = xsd_milliseconds(scalar(event, "EventDateTime") or None, "EventDateTime", zone)
        asked, told = told_of(objects)
        lifted: dict[str, Any] = {
            "resourceType": "AuditEvent",
            "type": type_codes[0],
            "subtype": subtypes,
            "action": scalar(event, "EventActionCode").upper(),
            "outcome": scalar(event, "EventOutcomeIndicator"),
            "recorded": "1970-01-01T00:00:00Z",
            "purposeOfEvent": [{"coding": codes(event, "PurposeOfUse")}],
            "agent": _agents(many(message, "ActiveParticipant")),
            "source": {"observer": {"display": _observer(message, header)}},
            "entity": [entity_of(item) for item in objects],
        }
        if said := scalar(event, "EventOutcomeDescription"):
            lifted["outcomeDesc"] = said
        if told:  # known before anything is looked at that may hold it
            lifted["contained"] = [{"resourceType": "Person", "extension": sorted(told)}]
        draft = read(lifted)
        draft.time = time
        fields = draft.fields
        fields["event.provider"] = "atna"
        if asked and not draft.patients:
            draft.patients = fields["wardwatch.patient"] = asked
        about = _ABOUT.get(type_codes[0]["code"])
        if about and "wardwatch.resource" not in fields:
            fields["wardwatch.resource"] = [about]
        return draft


ATNA: Final = Atna()


def _shipped(record: _Json) -> str:
    """The message as text, where a shipper put it into JSON of its own; "" where it did not."""
    if "AuditMessage" in record:
        return ""
    for name in _SHIPPED:
        text = record.get(name)
        if type(text) is str and "AuditMessage" in text[:4096] and text.lstrip()[:1] in ("<", *"123456789"):
            return text
    return ""


def _observer(message: _Json, header: _Json) -> str:
    """The system that reports: by its id, its site, or the host that sent the message."""
    sources = many(message, "AuditSourceIdentification")
    names = [scalar(source, name) for name in ("AuditSourceID", "AuditEnterpriseSiteID") for source in sources]
    known = next((name for name in [*names, scalar(header, "hostname")] if name), "")
    if not known:
        raise BadRecord("AuditSourceIdentification.AuditSourceID: missing or empty; it says which system reports")
    return known


def _agents(participants: list[_Json]) -> list[dict[str, Any]]:
    agents = [_agent(participant) for participant in participants]
    machines = [_is_machine(participant) for participant in participants]
    # RFC 3881, 5.2.4: a participant requested unless it is said that it did not.
    asked = [scalar(participant, "UserIsRequestor").lower() not in ("false", "0") for participant in participants]
    named = [bool(agent["who"] or agent.get("altId") or agent.get("name")) for agent in agents]
    places = [place for place in range(len(agents)) if named[place]]
    candidates = [
        *(place for place in places if asked[place] and not machines[place]),
        *(place for place in places if asked[place]),
        *(place for place in places if not machines[place]),
    ]
    if candidates:
        acted = candidates[0]
        agents[acted]["requestor"] = True
        if "network" not in agents[acted]:
            for agent, requested in zip(agents, asked, strict=True):
                if requested and "network" in agent:
                    agents[acted]["network"] = agent["network"]
                    break
    return agents


def _is_machine(participant: _Json) -> bool:
    return (
        scalar(participant, "UserTypeCode") == _PROCESS
        or any(role["code"] in _MACHINES for role in codes(participant, "RoleIDCode"))
        or any(kind["code"] in _MACHINE_IDS for kind in codes(participant, "UserIDTypeCode"))
    )


def _agent(participant: _Json) -> dict[str, Any]:
    roles = codes(participant, "RoleIDCode")
    own = [role for role in roles if role["code"] not in _MACHINES]
    agent: dict[str, Any] = {"type": {"coding": roles}, "role": [{"coding": own}], "requestor": False, "who": {}}
    if user := scalar(participant, "UserID"):
        agent["who"] = {"identifier": {"value": user}}
    for name, element in (("altId", "AlternativeUserID"), ("name", "UserName")):
        if said := scalar(participant, element):
            agent[name] = said
    if address := scalar(participant, "NetworkAccessPointID"):
        socket = _SOCKET.fullmatch(address)
        kind = scalar(participant, "NetworkAccessPointTypeCode")
        agent["network"] = {"address": socket[1] if socket else address, "type": kind}
    return agent
