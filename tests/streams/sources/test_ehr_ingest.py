"""One act at one patient, told by each of the EHR's formats as bytes on ``audit.ehr``: one event, one finding."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import orjson
import pytest
from atna_records import message, participant, patient, rfc3881, syslog
from nacl.public import PrivateKey

from detectors.rules import starter_rules
from streams.deadletters import DeadLetters
from streams.pipeline import Ingest, Reader
from streams.pseudonyms import Pseudonyms
from streams.records import RawRecord
from streams.topics import DEAD_LETTERS, EVENTS, FINDINGS

NOW = 1_767_600_000_000
NUMBER = "syn-0001"
_WHO = {"identifier": {"value": "nurse-7"}}
_ABOUT = {"identifier": {"system": "urn:oid:1.2.3", "value": NUMBER}}
_CX = f"{NUMBER}^^^HOSP&1.2.3&ISO"
_ATNA = message("110113", "110127", action="E", people=participant("nurse-7"), objects=patient())
_R4 = {
    "resourceType": "AuditEvent",
    "type": {"code": "110113"},
    "subtype": [{"code": "110127"}],
    "recorded": "2026-01-05T08:00:00Z",
    "outcome": "0",
    "agent": [{"who": _WHO, "requestor": True}],
    "source": {"observer": {"display": "an EHR"}},
    "entity": [{"what": _ABOUT, "role": {"code": "1"}}],
}
_R5 = {
    "resourceType": "AuditEvent",
    "category": [{"coding": [{"code": "110113"}]}],
    "code": {"coding": [{"code": "110127"}]},
    "recorded": "2026-01-05T08:00:00Z",
    "outcome": {"code": {"code": "0"}},
    "agent": [{"who": _WHO, "requestor": True}],
    "source": {"observer": {"display": "an EHR"}},
    "patient": _ABOUT,
}
_STU3 = _R4 | {
    "agent": [{"userId": {"value": "nurse-7"}, "requestor": True}],
    "source": {"identifier": {"value": "an EHR"}},
    "entity": [{"identifier": {"value": _CX}, "role": {"code": "1"}}],
}
_DSTU2 = {
    "resourceType": "AuditEvent",
    "event": {
        "type": _R4["type"],
        "subtype": _R4["subtype"],
        "dateTime": _R4["recorded"],
        "outcome": "0",
        "action": "E",
    },
    "participant": _STU3["agent"],
    "source": _STU3["source"],
    "object": _STU3["entity"],
}
OVERRIDES = {
    "fhir": json.dumps(_R4).encode(),
    "fhir-r5": json.dumps(_R5).encode(),
    "fhir-stu3": json.dumps(_STU3).encode(),
    "fhir-dstu2": json.dumps(_DSTU2).encode(),
    "atna in XML": _ATNA.encode(),
    "atna of RFC 3881": rfc3881(_ATNA).encode(),
    "atna in syslog": syslog(_ATNA),
    "atna in counted syslog": b"%d %s" % (len(syslog(_ATNA)), syslog(_ATNA)),
    "atna in UTF-16": ("\ufeff" + _ATNA).encode("utf-16-le"),
}


@cache
def ingest() -> Ingest:
    reader = Reader(starter_rules(), Pseudonyms(bytes(range(32)), "k1"))
    return Ingest(reader, DeadLetters(bytes(PrivateKey.generate().public_key)))


def derived(value: bytes, **headers: bytes) -> dict[str, list[Any]]:
    """What comes out, by topic."""
    found: dict[str, list[Any]] = {}
    for output in ingest().derive(RawRecord("audit.ehr", 0, 7, NOW, value, headers)).outputs:
        found.setdefault(output.topic, []).append(orjson.loads(output.value))
    return found


@pytest.mark.parametrize("named", [False, True], ids=["auto", "header"])
@pytest.mark.parametrize("form", OVERRIDES)
def test_breaking_the_glass_is_one_act_in_every_format(form: str, named: bool) -> None:
    out = derived(OVERRIDES[form], **({"source": form.partition(" ")[0].encode()} if named else {}))
    (event,), (finding,) = out[EVENTS], out[FINDINGS]
    assert event["source"] == form.partition(" ")[0]
    assert (event["time"], event["actor"]) == (NOW, "user:nurse-7")
    assert event["patients"] == [Pseudonyms(bytes(range(32)), "k1").patient(f"urn:oid:1.2.3|{NUMBER}")]
    assert event["fields"]["event.action"] == "emergency-override-start"
    assert (finding["title"], finding["entity"]) == ("Emergency access to a record", "user:nurse-7")
    assert NUMBER not in str(out)


def test_an_admission_of_the_same_patient_has_the_same_pseudonym() -> None:
    segments = ("MSH|^~\\&|ADT|H|||20260105090000+0100||ADT^A01|c-1", "EVN||20260105090000+0100", f"PID|1||{_CX}^MR")
    (event,) = derived("\r".join(segments).encode())[EVENTS]
    (override,) = derived(OVERRIDES["atna in XML"])[EVENTS]
    assert event["source"] == "hl7v2"
    assert event["patients"] == override["patients"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'<!DOCTYPE a [<!ENTITY x "y">]><AuditMessage>&x;</AuditMessage>', "document type declaration"),
        (b"<AuditMessage/>", "shape of no source known here"),
        (b"<Other>syn-0001</Other>", "shape of no source known here"),
        (_ATNA.replace('EventOutcomeIndicator="0"', 'EventOutcomeIndicator="syn-0001"').encode(), "EventOutcomeInd"),
        (b"MSH|^~\\&|A|B|||20260105090000+0100||ORU^R01|c-1\rPID|1||syn-0001", "MSH-9.1: not ADT"),
        (b"<85>1 - - - - - - syn-0001", "neither XML nor JSON"),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter_that_quotes_nothing(value: bytes, reason: str) -> None:
    (letter,) = derived(value)[DEAD_LETTERS]
    assert reason in letter["reason"]
    assert NUMBER not in letter["reason"]
