"""Identifiers planted in every string of whole records of every source, in every promised spelling; nothing leaves.

What leaves is all that ingest makes of a raw record: keys and values of events, views and findings, and of a dead
letter all but what is sealed.
"""

from __future__ import annotations

import copy
import html
import json
import tomllib
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey

from detectors.rules import starter_rules
from streams.deadletters import DeadLetters
from streams.demo.hospital import Hospital
from streams.demo.records import audit_event, cloudtrail, device_event
from streams.demo.stories import STORIES
from streams.pipeline import Ingest, Reader
from streams.pseudonyms import Pseudonyms
from streams.records import RawRecord
from streams.sources.known import Sources
from streams.sources.table import Table
from streams.sources.table_file import TableFile
from streams.topics import DEAD_LETTERS

NOW = 1_767_600_000_000
PATIENT = "synthetic-0001"
NUMBER = "77-31-MRN-40"
NAME = "Quillön Synthetic-Planted"
SHORT = "s-47110"
SECRETS = (PATIENT, f"Patient/{PATIENT}", NUMBER, NAME, SHORT)


def _everywhere(text: str, write: Callable[[str], str]) -> str:
    return "".join(map(write, text))


def _escaped(text: str) -> str:
    return _everywhere(text, lambda char: f"\\u{ord(char):04x}")


#: Every spelling that ``streams/identifiers.py`` promises to find.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "upper": str.upper,
    "swapped case": str.swapcase,
    "decomposed": lambda text: normalize("NFD", text),
    "composed": lambda text: normalize("NFC", text),
    "full width": lambda text: _everywhere(text, lambda c: chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c),
    "url": quote,
    "url, every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "url, as a form": quote_plus,
    "url twice": lambda text: quote(quote(text, safe=""), safe=""),
    "entities": lambda text: _everywhere(text, lambda char: f"&#{ord(char)};"),
    "entities, hexadecimal": lambda text: _everywhere(text, lambda char: f"&#x{ord(char):X};"),
    "entities, named": lambda text: html.escape(text).replace("ö", "&ouml;"),
    "escapes": _escaped,
    "escapes, two digits": lambda text: _everywhere(text, lambda char: f"\\x{ord(char):02x}"),
    "escapes, then url": lambda text: quote(_escaped(text)),
    "url, then entities": lambda text: html.escape(_everywhere(quote(text, safe=""), lambda c: f"&#{ord(c)};")),
    "json in a string": lambda text: json.dumps({"who": [text]}),
    "json in json": lambda text: json.dumps(json.dumps({"who": text})),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64, shifted by one": lambda text: urlsafe_b64encode(b"?" + text.encode() + b"&x=1").decode(),
    "base64, shifted by two": lambda text: b64encode(b"??" + text.encode() + b"&").decode(),
    "base64, unpadded": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 of lower case": lambda text: b64encode(text.lower().encode()).decode(),
    "base64 of upper case": lambda text: b64encode(text.upper().encode()).decode(),
    "base64 of url": lambda text: b64encode(quote(text, safe="").encode()).decode(),
    "base64, then url": lambda text: quote(b64encode(text.encode()).decode(), safe=""),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, upper": lambda text: text.encode().hex().upper(),
    "hexadecimal of lower case": lambda text: text.lower().encode().hex(),
    "without separators": lambda text: text.replace("-", "").replace(" ", "") if any(map(str.isdigit, text)) else text,
}
FRAMES = ("{}", "{} and more", "x-{}", "https://ehr.example/{}?a=b", "before\n{}\nafter", '{{"in": "{}"}}')


def _fhir() -> dict[str, Any]:
    record = audit_event(
        id="a1b2",
        time=NOW,
        interaction="read",
        staff="p-001",
        address="192.0.2.7",
        patient=PATIENT,
        purpose="ETREAT",
    )
    patient = record["entity"][1]
    patient["name"] = NAME
    patient["what"]["identifier"] = {"system": "urn:oid:1.2", "value": NUMBER}
    patient["detail"] = [{"type": "alias", "valueString": SHORT}]
    human = record["agent"][1]
    human["name"], human["altId"] = "A member of staff", "staff-7"
    human["role"] = [{"coding": [{"system": "http://example.org/roles", "code": "nurse"}], "text": "nurse"}]
    clinic = {"reference": "Organization/o-1", "display": "A clinic", "identifier": {"value": "org-77"}}
    record["agent"].append({"type": {"coding": [{"code": "PROV"}]}, "who": clinic, "requestor": False})
    record["entity"].append({"type": {"code": "2"}, "role": {"code": "24"}, "query": b64encode(b"GET /x").decode()})
    record["text"], record["outcomeDesc"] = {"status": "generated", "div": f"<div>{NAME}</div>"}, "a reason"
    return record


def _device() -> dict[str, Any]:
    record = device_event(
        id="d-1",
        time=NOW,
        device="pump-0001",
        type="infusion-pump",
        event="command",
        action="limit_override",
        address="192.0.2.9",
        operator="p-001",
        patient=PATIENT,
        measurements=(("8867-4", 72.0, "/min"),),
        details={"limit": "hard", "note": "a note"},
    )
    record["network"] |= {"mac": "00:00:5e:00:53:01"}
    return record


def _cloud() -> dict[str, Any]:
    return cloudtrail(
        id="c-1",
        time=NOW,
        name="PutBucketPolicy",
        service="s3",
        user="synthetic-admin1",
        address="192.0.2.1",
        request={
            "bucketName": "synthetic-images",
            "key": "a key",
            "bucketPolicy": {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}]},
        },
        extra={
            "responseElements": {"x": "a"},
            "resources": [{"ARN": "arn:aws:s3:::b/key", "type": "AWS::S3::Object"}],
            "additionalEventData": {"SignatureVersion": "SigV4"},
            "tlsDetails": {"clientProvidedHostHeader": "h"},
            "sharedEventID": "s",
        },
    )


def _r5() -> dict[str, Any]:
    record = _fhir()
    clinic = record["agent"].pop()
    agents = [
        {name: agent[name] for name in ("type", "role", "who", "requestor") if name in agent}
        for agent in record["agent"]
    ]
    agents[1]["networkString"] = "192.0.2.7"
    agents[1]["authorization"] = [{"coding": [{"code": "ETREAT"}]}]
    about = {"what": record["entity"][1]["what"], "role": {"coding": [{"code": "1"}]}}
    about["detail"] = [{"type": {"text": "alias"}, "valueString": SHORT}]
    return {
        "resourceType": "AuditEvent",
        "id": "a1b2",
        "category": [{"coding": [{"code": "rest"}]}],
        "code": {"coding": [{"code": "read", "display": "Read"}], "text": "a text"},
        "occurredDateTime": record["recorded"],
        "recorded": record["recorded"],
        "outcome": {"code": {"code": "0"}, "detail": [{"text": "a reason"}]},
        "patient": {"reference": f"Patient/{PATIENT}", "display": NAME},
        "encounter": {"reference": "Encounter/e-1", "display": "an encounter"},
        "agent": [*agents, {"type": clinic["type"], "who": clinic["who"]}],
        "source": {"site": {"display": "a site"}, "observer": {"display": "an EHR"}},
        "entity": [about, {"what": {"reference": "Observation/o-1"}, "query": b64encode(b"GET /x").decode()}],
    }


def _stu3() -> dict[str, Any]:
    human = {
        "role": [{"coding": [{"code": "nurse"}], "text": "nurse"}],
        "reference": {"reference": "Practitioner/p-001", "display": "A member of staff"},
        "userId": {"system": "urn:oid:1.2.9", "value": "n-7"},
        "altId": "staff-7",
        "name": "A nurse",
        "requestor": True,
        "network": {"address": "192.0.2.7", "type": "2"},
    }
    about = {
        "reference": {"reference": f"Patient/{PATIENT}"},
        "identifier": {"value": f"{NUMBER}^^^&1.2&ISO"},
        "type": {"code": "1"},
        "role": {"code": "1"},
        "name": NAME,
        "detail": [{"type": "alias", "value": b64encode(SHORT.encode()).decode()}],
    }
    return {
        "resourceType": "AuditEvent",
        "id": "a1b2",
        "type": {"system": "urn:x", "code": "rest", "display": "a text"},
        "subtype": [{"code": "read"}],
        "action": "R",
        "recorded": "2026-01-05T08:00:00Z",
        "outcome": "0",
        "outcomeDesc": "a reason",
        "agent": [human],
        "source": {"site": "a site", "identifier": {"value": "an EHR"}},
        "entity": [
            about,
            {"reference": {"reference": "Observation/o-1"}, "description": "a text", "type": {"code": "2"}},
        ],
    }


def _dstu2() -> dict[str, Any]:
    record = _stu3()
    event = {name: record[name] for name in ("type", "subtype", "action", "outcome", "outcomeDesc")}
    parts = {"participant": record["agent"], "source": record["source"], "object": record["entity"]}
    event["dateTime"] = record["recorded"]
    return {"resourceType": "AuditEvent", "id": "a1b2", "event": event, **parts}


def _provenance() -> dict[str, Any]:
    author = {"reference": "Practitioner/p-001", "display": "A member of staff"}
    return {
        "resourceType": "Provenance",
        "id": "a1b2",
        "target": [{"reference": "Observation/o-1", "display": "a thing"}, {"reference": f"Patient/{PATIENT}"}],
        "recorded": "2026-01-05T08:00:00Z",
        "activity": {"coding": [{"code": "UPDATE"}], "text": "a text"},
        "patient": {"identifier": {"system": "urn:oid:1.2", "value": NUMBER}, "display": NAME},
        "agent": [
            {"type": {"coding": [{"code": "author"}]}, "who": author, "role": [{"coding": [{"code": "nurse"}]}]},
            {"type": {"coding": [{"code": "custodian"}]}, "who": {"display": "an EHR"}},
            {"who": author, "onBehalfOf": {"reference": "Organization/o-1", "display": "A clinic"}},
        ],
        "signature": [{"who": {"reference": "RelatedPerson/r-1", "display": SHORT}}],
    }


def _atna() -> dict[str, Any]:
    def coded(code: str) -> dict[str, str]:
        return {"csd-code": code, "codeSystemName": "DCM", "originalText": "a text"}

    def about(number: str, **more: Any) -> dict[str, Any]:
        codes = {"ParticipantObjectTypeCode": "1", "ParticipantObjectTypeCodeRole": "1"}
        return {"ParticipantObjectID": number, "ParticipantObjectIDTypeCode": coded("2"), **codes, **more}

    detail = {"type": "alias", "value": b64encode(SHORT.encode()).decode()}
    thing = {"ParticipantObjectID": "1.2.3.4", "ParticipantObjectTypeCode": "2", "ParticipantObjectTypeCodeRole": "3"}
    return {
        "syslog": {"hostname": "pacs.example", "appname": "an app", "timestamp": "2026-01-05T08:00:00Z"},
        "AuditMessage": {
            "EventIdentification": {
                "EventActionCode": "R",
                "EventDateTime": "2026-01-05T08:00:00Z",
                "EventOutcomeIndicator": "0",
                "EventOutcomeDescription": "a reason",
                "EventID": coded("110110"),
                "EventTypeCode": [coded("of-a-vendor")],
                "PurposeOfUse": coded("ETREAT"),
            },
            "ActiveParticipant": [
                {
                    "UserID": "nurse-7",
                    "AlternativeUserID": "n7",
                    "UserName": "A nurse",
                    "UserIsRequestor": "true",
                    "NetworkAccessPointID": "desk-7.example",
                    "RoleIDCode": coded("HCP"),
                },
                {"UserID": "archive", "UserIsRequestor": "false", "RoleIDCode": coded("110152")},
            ],
            "AuditSourceIdentification": {"AuditSourceID": "a PACS", "AuditEnterpriseSiteID": "a site"},
            "ParticipantObjectIdentification": [
                about(f"Patient/{PATIENT}"),
                about(f"{NUMBER}^^^&1.2&ISO", ParticipantObjectName=NAME, ParticipantObjectDetail=detail),
                {**thing, "ParticipantObjectIDTypeCode": coded("110180"), "ParticipantObjectName": "a study"},
            ],
        },
    }


def _azure() -> dict[str, Any]:
    return {
        "Body": {"patientId": f"Patient/{PATIENT}", "deviceId": "pump-0001", "note": "a note", "heartrate": "72"},
        "Properties": {"iothub-creation-time-utc": "2026-01-05T08:00:00Z", "ward": "3"},
        "SystemProperties": {
            "iothub-connection-device-id": "pump-0001",
            "iothub-connection-auth-method": '{"type":"sas"}',
            "iothub-enqueuedtime": "2026-01-05T08:00:01Z",
            "message-id": "m-1",
        },
    }


def _hl7v2() -> dict[str, Any]:
    return {
        "MSH": {
            **{
                number: {"1": text} for number, text in (("3", "AN-APP"), ("4", "A-SITE"), ("7", "20260105090000+0100"))
            },
            "9": {"1": "ADT", "2": "A01"},
            "10": {"1": "c-1"},
        },
        "EVN": {"2": {"1": "20260105085900"}, "5": {"1": "op-7", "2": "Staff", "3": "Nora", "9": {"2": "1.2.9"}}},
        "PID": {
            "3": [{"1": PATIENT, "4": {"1": "HOSP", "2": "1.2.3", "3": "ISO"}}, {"1": NUMBER, "4": "X"}],
            "5": {"1": NAME},
            "18": {"1": SHORT},
        },
        "PV1": {"2": {"1": "I"}, "3": {"1": "WARD-3"}, "7": {"1": "dr-9"}},
        "OBX": {"5": {"1": "a finding"}},
    }


#: A table that releases as much as it may.
TABLE = """
name = "attacked"
recognise = ["AT", "WHO", "MRN"]
identifies = ["NAME", "ALIAS", "REF"]
released = ["source.ip", "user.name", "user.roles", "event.reason", "device.id", "wardwatch.own"]
time = {column = "AT"}
actor = {column = "WHO"}
action = {column = "DOES", otherwise = {category = "database", type = "access"}}
outcome = {column = "ENDED", values = {ok = "success"}, otherwise = "failure"}
patients = [{column = "MRN", system = "urn:oid:1.2"}]
id = {columns = ["AT", "NUMBER"]}
[fields]
"source.ip" = {column = "IP", unreadable = "leave out"}
"user.name" = "LOGIN"
"user.roles" = {column = "ROLES", separator = ";"}
"event.reason" = "NOTE"
"device.id" = "STATION"
"wardwatch.own" = "OWN.deep"
"""


def _table() -> dict[str, Any]:
    row = dict(
        zip(("WHO", "DOES", "ENDED", "NUMBER", "IP"), ("p-001", "a look", "ok", "n-1", "192.0.2.7"), strict=True)
    )
    row |= {"LOGIN": "a.nurse", "ROLES": "nurse;clerk", "NOTE": "a note", "STATION": "ws-1", "UNREAD": "a text"}
    about = {"MRN": NUMBER, "NAME": NAME, "ALIAS": SHORT, "REF": f"Patient/{PATIENT}"}
    return {"AT": "2026-01-05T08:00:00Z", **row, **about, "OWN": {"deep": "a text"}}


def _paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, str):
        yield path
    for name, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from _paths(inner, (*path, name))


#: Topic, record, the secrets that it names itself, and where nothing is planted: what says whom it is about.
RECORDS: dict[str, tuple[str, Callable[[], dict[str, Any]], tuple[str, ...], set[tuple[Any, ...]]]] = {
    "fhir": (
        "audit.ehr",
        _fhir,
        SECRETS,
        {
            ("entity", 1, "what", "reference"),
            ("entity", 1, "what", "identifier", "value"),
            ("entity", 1, "name"),
            ("entity", 1, "detail", 0, "valueString"),
            ("recorded",),
        },
    ),
    "device": ("audit.iot", _device, (PATIENT, f"Patient/{PATIENT}"), {("patient",), ("time",)}),
    "azure-iot": (
        "audit.iot",
        _azure,
        (PATIENT, f"Patient/{PATIENT}"),
        {
            ("Body", "patientId"),
            ("Properties", "iothub-creation-time-utc"),
            ("SystemProperties", "iothub-enqueuedtime"),
        },
    ),
    "table": (
        "audit.ehr",
        _table,
        (NUMBER, NAME, SHORT, f"Patient/{PATIENT}"),
        {("AT",), ("MRN",), ("NAME",), ("ALIAS",), ("REF",)},
    ),
    # CloudTrail names no patient: what may leave is the caller's, and all the rest stays.
    "cloudtrail": (
        "audit.cloud",
        _cloud,
        SECRETS,
        {
            *((name,) for name in ("eventID", "eventName", "eventSource", "awsRegion", "userAgent")),
            *((name,) for name in ("sourceIPAddress", "recipientAccountId", "eventTime")),
            *(("userIdentity", name) for name in ("arn", "userName", "type")),
            ("requestParameters", "bucketName"),
        },
    ),
}
#: By whichever of these a patient is known, nothing is planted there.
_STU3_ABOUT = [("reference", "reference"), ("identifier", "value"), ("name",), ("detail", 0, "value")]
_OBJECTS = ("AuditMessage", "ParticipantObjectIdentification")
RECORDS |= {
    "fhir-r5": (
        "audit.ehr",
        _r5,
        SECRETS,
        {
            *((name,) for name in ("resourceType", "recorded", "occurredDateTime")),
            *(("patient", name) for name in ("reference", "display")),
            ("entity", 0, "what", "reference"),
            ("entity", 0, "what", "identifier", "value"),
            ("entity", 0, "detail", 0, "valueString"),
            ("entity", 0, "role", "coding", 0, "code"),
        },
    ),
    "fhir-stu3": (
        "audit.ehr",
        _stu3,
        SECRETS,
        {*(("entity", 0, *path) for path in _STU3_ABOUT), ("entity", 0, "role", "code"), ("recorded",)},
    ),
    "fhir-dstu2": (
        "audit.ehr",
        _dstu2,
        SECRETS,
        {*(("object", 0, *path) for path in _STU3_ABOUT), ("object", 0, "role", "code"), ("event", "dateTime")},
    ),
    "fhir-provenance": (
        "audit.ehr",
        _provenance,
        SECRETS,
        {
            ("target", 1, "reference"),
            ("patient", "identifier", "value"),
            ("patient", "display"),
            *(("signature", 0, "who", name) for name in ("reference", "display")),
            ("recorded",),
        },
    ),
    "atna": (
        "audit.ehr",
        _atna,
        SECRETS,
        {
            *((*_OBJECTS, number, "ParticipantObjectID") for number in (0, 1)),
            *((*_OBJECTS, number, "ParticipantObjectTypeCodeRole") for number in (0, 1)),
            (*_OBJECTS, 1, "ParticipantObjectName"),
            (*_OBJECTS, 1, "ParticipantObjectDetail", "value"),
            ("AuditMessage", "EventIdentification", "EventDateTime"),
        },
    ),
    "hl7v2": (
        "audit.ehr",
        _hl7v2,
        (PATIENT, NUMBER, NAME, SHORT),
        {("PID", "3", number, "1") for number in (0, 1)}
        | {("PID", "5", "1"), ("PID", "18", "1"), ("MSH", "7", "1"), ("EVN", "2", "1"), ("MSH", "9", "1")},
    ),
}
PLACES = [
    (source, path)
    for source, (_, make, _, kept) in RECORDS.items()
    for path in sorted(set(_paths(make())) - kept, key=str)
]


@cache
def _ingest() -> Ingest:
    reader = Reader(starter_rules(), Pseudonyms(bytes(range(32)), "k1"))
    letters = DeadLetters(bytes(PrivateKey.generate().public_key))
    sources = Sources([Table(TableFile.model_validate(tomllib.loads(TABLE)))])
    return Ingest(reader, letters, views=("patient", "device", "address"), sources=sources)


def _out(topic: str, value: bytes, headers: dict[str, bytes] | None = None) -> str:
    """All that one raw record puts outside, in clear."""
    shown = []
    for output in _ingest().derive(RawRecord(topic, 0, 7, NOW, value, headers or {})).outputs:
        content = orjson.loads(output.value)
        if output.topic == DEAD_LETTERS:
            content = {name: part for name, part in content.items() if not name.startswith("sealed")}
        shown += [output.key.decode(), json.dumps(content, ensure_ascii=False), str(content)]
    assert shown
    return "\n".join(shown)


def _planted(record: dict[str, Any], path: tuple[Any, ...], text: str) -> bytes:
    record = copy.deepcopy(record)
    node: Any = record
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = text
    return orjson.dumps(record)


def _assert_absent(out: str, *texts: str) -> None:
    folded = normalize("NFKC", out).casefold()
    for text in texts:
        assert text not in out
        assert normalize("NFKC", text).casefold() not in folded


@settings(max_examples=1500, deadline=None)  # the first one loads the rules
@given(st.sampled_from(PLACES), st.sampled_from(SECRETS), st.sampled_from(sorted(SPELLINGS)), st.sampled_from(FRAMES))
@example(("fhir", ("id",)), PATIENT, "base64", "{}")
@example(("fhir", ("agent", 1, "who", "reference")), PATIENT, "plain", "{}")
@example(("fhir", ("source", "observer", "display")), NAME, "url twice", "{}")
@example(("device", ("device", "id")), PATIENT, "hexadecimal", "x-{}")
@example(("cloudtrail", ("requestParameters", "key")), NAME, "plain", "{}")
@example(("atna", ("AuditMessage", "ActiveParticipant", 0, "UserID")), NUMBER, "plain", "{}")
@example(("hl7v2", ("EVN", "5", "1")), SHORT, "plain", "{}")
def test_an_identifier_planted_anywhere_leaves_nowhere(
    place: tuple[str, tuple[Any, ...]], secret: str, spelling: str, frame: str
) -> None:
    source, path = place
    topic, make, known, _ = RECORDS[source]
    if secret not in known:
        secret = known[0]
    planted = SPELLINGS[spelling](secret)
    out = _out(topic, _planted(make(), path, frame.format(planted)))
    _assert_absent(out, planted, secret)


@pytest.mark.parametrize("spelling", sorted(SPELLINGS))
@pytest.mark.parametrize("secret", SECRETS)
def test_every_spelling_of_every_identifier_is_found_where_it_would_leave(spelling: str, secret: str) -> None:
    """The observer's name leaves as it is: so nothing but the gate keeps these in."""
    planted = f"x {SPELLINGS[spelling](secret)} y"
    clean = _out("audit.ehr", _planted(_fhir(), ("source", "observer", "display"), "x nobody y"))
    assert "x nobody y" in clean
    out = _out("audit.ehr", _planted(_fhir(), ("source", "observer", "display"), planted))
    _assert_absent(out, SPELLINGS[spelling](secret))
    assert '"observer.name"' not in out


@pytest.mark.parametrize("spelling", ["plain", "url twice", "base64", "hexadecimal"])
@pytest.mark.parametrize("header", ["event-id", "source", "producer", "patient"])
@pytest.mark.parametrize("broken", [False, True])
def test_a_header_takes_nothing_out(header: str, spelling: str, broken: bool) -> None:
    record = _fhir()
    del record["id"], record["entity"][0]  # so that the header's id is the event's
    value = b"{" if broken else orjson.dumps(record)
    _assert_absent(_out("audit.ehr", value, {header: SPELLINGS[spelling](PATIENT).encode()}), PATIENT)


def test_a_header_that_names_no_source_is_told_as_that() -> None:
    out = _out("audit.ehr", orjson.dumps(_fhir()), {"source": b"fhri"})
    assert "header source: there is no source of that name" in out
    record = _fhir()
    del record["id"], record["entity"][0]
    out = _out("audit.ehr", orjson.dumps(record), {"event-id": b"\xff"})
    assert "header event-id: is not UTF-8" in out


@pytest.mark.parametrize("source", sorted(RECORDS.keys() - {"cloudtrail"}))
def test_no_refusal_says_who_it_was_about(source: str) -> None:
    """Every place taken by something strange: refused or not, nothing of the patient is in clear."""
    topic, make, known, _ = RECORDS[source]
    for path in [path for name, path in PLACES if name == source]:
        for value in (None, 7, [], {}, "", "\ud800", True):
            record: Any = make()
            node = record
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = value
            _assert_absent(_out(topic, json.dumps(record).encode()), *known)


def test_a_record_number_that_is_a_number_is_one() -> None:
    record = _device()
    record["patient"], record["network"]["port"] = "48213", 48213
    out = _out("audit.iot", orjson.dumps(record))
    assert "48213" not in out
    record["network"]["port"] = 48214
    assert "48214" in _out("audit.iot", orjson.dumps(record))


def test_ordinary_traffic_keeps_every_word() -> None:
    """The gate takes nothing out of a day of the synthetic hospital, attacks included, but patients themselves."""
    hospital = Hospital(seed=5, staff=40, patients=120)
    emissions = [emission for emission, _ in zip(hospital.traffic(NOW, per_second=20), range(3000), strict=False)]
    for story in STORIES:
        emissions.extend(story.tell(hospital, NOW))
    names = {"fhir": "observer.name user.id source.ip http.request.id", "device": "device.id source.ip device.type"}
    names["cloudtrail"] = "user.id cloud.account.id"
    for emission in emissions:
        outputs = (
            _ingest()
            .derive(
                RawRecord(
                    emission.topic,
                    0,
                    1,
                    emission.time,
                    orjson.dumps(emission.record),
                    {"source": emission.source.encode()},
                )
            )
            .outputs
        )
        event = orjson.loads(outputs[0].value)
        assert event["id"] == emission.record.get("id", emission.record.get("eventID"))
        assert ":k1." not in event["actor"] + event["device"] + event["address"]
        assert set(names[emission.source].split()) <= event["fields"].keys()
