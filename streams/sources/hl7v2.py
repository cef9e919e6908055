"""HL7 v2 messages that tell who touched a patient's record: ADT events, queries, and the answers to them.

An interface engine's feed is no audit log, and says less than one: what happened (the trigger event), who did it
(EVN-5, else the application that sent the message), when (EVN-6, EVN-2, MSH-7) and whose record (PID-3, MRG-1, QPD-3,
QRD-8). Other messages are refused by name.

A time without an offset is in the one of MSH-7, else in the zone that is set. A message's id is made of its sender,
control id and time: a message sent again is the same event.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final, NamedTuple

from detectors.base import digest
from streams.identifiers import identifiers_of
from streams.pseudonyms import canonical
from streams.sources.base import ALWAYS, BadRecord, Draft, LogSource
from streams.sources.hl7v2_people import add_people, identifier_of, person_of
from streams.sources.hl7v2_shape import Malformed, component, first
from streams.sources.local_time import hl7_milliseconds, offset_of

__all__ = ["HL7V2", "Hl7v2"]

_Json = Mapping[str, Any]


class _Trigger(NamedTuple):
    action: str
    type: str


#: HL7 v2.9 chapter 3, by trigger event.
_ADT: Final = {
    "A01": _Trigger("admit", "change"),
    "A02": _Trigger("transfer", "change"),
    "A03": _Trigger("discharge", "change"),
    "A04": _Trigger("register", "change"),
    "A05": _Trigger("pre-admit", "change"),
    "A06": _Trigger("change-to-inpatient", "change"),
    "A07": _Trigger("change-to-outpatient", "change"),
    "A08": _Trigger("update", "change"),
    "A11": _Trigger("cancel-admit", "change"),
    "A12": _Trigger("cancel-transfer", "change"),
    "A13": _Trigger("cancel-discharge", "change"),
    "A17": _Trigger("swap", "change"),
    "A23": _Trigger("delete", "deletion"),
    "A24": _Trigger("link", "change"),
    "A28": _Trigger("create", "creation"),
    "A29": _Trigger("delete", "deletion"),
    "A31": _Trigger("update", "change"),
    "A37": _Trigger("unlink", "change"),
    **{f"A{number}": _Trigger("merge", "change") for number in (18, 30, 34, 35, 36, 39, 40, 41, 42)},
    **{f"A{number}": _Trigger("move", "change") for number in (43, 44, 45)},
    **{f"A{number}": _Trigger("change-identifier", "change") for number in (46, 47, 48, 49, 50, 51)},
}
_QUERIES: Final = frozenset({"QRY", "QBP", "QSB", "VXQ"})
_ANSWERS: Final = frozenset({"ADR", "RSP", "VXR"})
#: HL7 tables 0008 and 0208: MSA-1, QAK-2.
_OUTCOMES: Final = {
    **dict.fromkeys(("AA", "CA", "OK", "NF"), "success"),
    **dict.fromkeys(("AE", "AR", "CE", "CR"), "failure"),
}


class Hl7v2:
    """The source ``hl7v2``; see :class:`streams.sources.base.Source`."""

    name = "hl7v2"
    topic = "audit.ehr"
    logsource = LogSource(product="hl7v2", service="message", category="ehr")
    lateness = 60_000
    subject = "actor"
    released = ALWAYS | {
        "event.code",
        "observer.name",
        "user.id",
        "user.name",
        "wardwatch.patient",
        "wardwatch.resource",
    }

    def __init__(self) -> None:
        self.zone: tzinfo | None = None  #: of times without an offset

    def recognises(self, record: _Json) -> bool:
        return "MSH" in record and isinstance(record["MSH"], Mapping)

    def normalise(self, record: _Json) -> Draft:
        try:
            return self._read(record)
        except BadRecord:
            raise
        except Malformed as exc:
            raise BadRecord(f"{exc}: is not what HL7 v2 has there") from None
        except Exception as exc:
            raise BadRecord("MSH: is not what HL7 v2 has there") from exc

    def _read(self, record: _Json) -> Draft:
        header, event = first(record, "MSH"), first(record, "EVN")
        kind, code = component(header, "MSH-9.1"), component(header, "MSH-9.2")
        code = code or component(event, "EVN-1")
        meaning, outcome = self._meaning(kind, code, record)
        application = component(header, "MSH-3")
        observer = "@".join(name for name in (application, component(header, "MSH-4")) if name)
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.action": meaning.action,
            "event.category": ["api"],
            "event.type": [meaning.type],
            "event.outcome": outcome,
            "event.provider": "hl7v2",
            "wardwatch.resource": ["Patient"],
        }
        if code:
            fields["event.code"] = code
        if observer:
            fields["observer.name"] = observer
        draft = Draft("", self._time(header, event), "", fields)
        operator = canonical(identifier_of(event, "EVN-5"))
        draft.actor = f"user:{operator or observer or 'an unnamed application'}"
        fields["user.id"] = draft.actor[5:]
        if operator and (name := person_of(event, "EVN-5")):
            fields["user.name"] = name
        add_people(record, draft)
        if control := component(header, "MSH-10"):
            draft.id = digest("hl7v2", observer, control, component(header, "MSH-7"))
            if identifiers_of(frozenset(draft.identifiers)).holds(control):
                # Whoever knows the rest could try patients against it: what leaves is a keyed token of it.
                draft.identifiers.add(draft.id)
        return draft

    def _meaning(self, kind: str, code: str, record: _Json) -> tuple[_Trigger, str]:
        if kind == "ADT":
            if not code:
                raise BadRecord("MSH-9.2: missing, and so is EVN-1; one of them says what happened")
            return _ADT.get(code, _Trigger(code, "change")), "success"
        if kind in _QUERIES:
            return _Trigger("query", "access"), "unknown"
        if kind in _ANSWERS:
            said = component(first(record, "QAK"), "QAK-2") or component(first(record, "MSA"), "MSA-1")
            return _Trigger("query-response", "access"), _OUTCOMES.get(said, "unknown")
        raise BadRecord("MSH-9.1: not ADT, a query (QRY, QBP) or an answer (ADR, RSP): no access is read from it")

    def _time(self, header: _Json, event: _Json) -> int:
        sent = component(header, "MSH-7")
        zone = offset_of(sent) or self.zone
        given = [(name, component(event, name)) for name in ("EVN-6", "EVN-2")] + [("MSH-7", sent)]
        for name, text in given:
            if len(text) >= 10:
                return hl7_milliseconds(text, name, zone)
        raise BadRecord("MSH-7: missing, or does not say the hour; neither do EVN-6 and EVN-2")


HL7V2: Final = Hl7v2()
