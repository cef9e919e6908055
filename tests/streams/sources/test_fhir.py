"""FHIR R4 AuditEvents become drafts: every BALP shape, DICOM's own events, and refusals that say why."""

from __future__ import annotations

import contextlib
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outside_fhir import EXPECTED, Expected

from streams.demo.records import audit_event
from streams.sources.base import BadRecord, Draft, Source
from streams.sources.checks import EXPECTED as EXPECTED_TYPES
from streams.sources.fhir import FHIR
from streams.sources.fhir_terms import ACTIONS, INTERACTIONS, LETTERS
from streams.vocabulary import WORDS

_FOLDER = os.environ.get("WARDWATCH_TEST_DATA")
_needs_data = pytest.mark.skipif(not _FOLDER, reason="WARDWATCH_TEST_DATA names no folder with real records")


def _event(**over: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "id": "synthetic-1",
        "time": 1_767_600_000_123,
        "interaction": "read",
        "staff": "p-001",
        "address": "192.0.2.7",
        "patient": "synthetic-0001",
    }
    return audit_event(**(arguments | over))


def _lines(name: str) -> list[dict[str, Any]]:
    assert _FOLDER
    return [json.loads(line) for line in (Path(_FOLDER) / "fhir" / name).read_text("utf-8").splitlines()]


def test_is_a_source() -> None:
    assert isinstance(FHIR, Source)


def test_read_of_an_observation() -> None:
    draft = FHIR.normalise(_event())
    assert (draft.id, draft.time, draft.actor) == ("synthetic-1", 1_767_600_000_123, "user:Practitioner/p-001")
    assert draft.patients == ["Patient/synthetic-0001"]
    assert draft.address == "address:192.0.2.7"
    assert {"synthetic-0001", "Patient/synthetic-0001", "Synthetic Patient synthetic-0001"} <= draft.identifiers
    assert draft.fields == {
        "event.kind": "event",
        "event.action": "read",
        "event.category": ["api"],
        "event.type": ["access"],
        "event.outcome": "success",
        "event.provider": "fhir",
        "event.code": "read",
        "wardwatch.interaction": "read",
        "wardwatch.purpose": ["TREAT"],
        "wardwatch.resource": ["Observation"],
        "wardwatch.patient": ["Patient/synthetic-0001"],
        "http.request.id": "request-synthetic-1",
        "observer.name": "synthetic-ehr.hospital.example",
        "user.id": "Practitioner/p-001",
        "source.ip": "192.0.2.7",
    }


@_needs_data
@pytest.mark.outside_data
def test_published_examples() -> None:
    """Each as the table says that was made from the record, not from the code; other releases are refused by name."""
    read: set[str] = set()
    for line in _lines("auditevent_examples.jsonl"):
        record = line["resource"]
        if line["fhir_version"] != "R4":
            with pytest.raises(BadRecord, match=line["fhir_version"]):
                FHIR.normalise(record)
            continue
        draft, expected = FHIR.normalise(record), EXPECTED[record["id"]]
        fields = draft.fields
        read.add(record["id"])
        assert draft.id == record["id"]
        assert draft.time == datetime.fromisoformat(record["recorded"]).timestamp() * 1000
        assert expected == Expected(
            draft.actor,
            fields["event.action"],
            fields["event.type"][0],
            fields["event.category"][0],
            fields["event.outcome"],
            draft.address,
            tuple(draft.patients),
            tuple(fields.get("wardwatch.resource", ())),
            tuple(fields.get("wardwatch.purpose", ())),
            draft.device,
            {name: fields.get(name) for name in expected.others},
        ), record["id"]
    assert read == EXPECTED.keys()


@_needs_data
@pytest.mark.outside_data
def test_the_draft_shape_of_r5_is_refused_by_name() -> None:
    for record in _lines("auditevent_xes_r5draft.jsonl"):
        with pytest.raises(BadRecord, match="R5"):
            FHIR.normalise(record)


# -- BALP 1.1 and DICOM, shape by shape -------------------------------------------------------------------------------

_DCM = "http://dicom.nema.org/resources/ontology/DCM"


def _dicom(type_code: str, subtype: str, **over: Any) -> dict[str, Any]:
    return _event(type_code=type_code, subtype=(_DCM, subtype, ""), **over)


@pytest.mark.parametrize(
    ("record", "action", "category", "type_"),
    [
        (_event(interaction="create"), "create", ["api"], ["creation"]),
        (_event(interaction="read"), "read", ["api"], ["access"]),
        (_event(interaction="vread"), "vread", ["api"], ["access"]),
        (_event(interaction="update"), "update", ["api"], ["change"]),
        (_event(interaction="patch"), "patch", ["api"], ["change"]),
        (_event(interaction="delete"), "delete", ["api"], ["deletion"]),
        (_event(interaction="search"), "search", ["api"], ["access"]),
        (_event(interaction="search-type"), "search", ["api"], ["access"]),
        (_dicom("110106", "disclose"), "disclose", ["database"], ["access"]),
        (_dicom("110107", "disclose"), "disclose", ["database"], ["access"]),
        (_dicom("110106", "ITI-32"), "export", ["database"], ["access"]),
        (_dicom("110113", "AuthZ-Consent"), "consent-decision", ["api"], ["allowed"]),
        (_dicom("110113", "AuthZ-Consent", outcome="8"), "consent-decision", ["api"], ["denied"]),
        (_dicom("110114", "110122"), "login", ["authentication", "session"], ["start"]),
        (_dicom("110114", "110123"), "logout", ["authentication", "session"], ["end"]),
        (_dicom("110113", "110127"), "emergency-override-start", ["iam"], ["admin", "change"]),
        (_dicom("110113", "110133"), "audit-stop", ["configuration"], ["change"]),
        (_dicom("110113", "110134"), "audit-start", ["configuration"], ["change"]),
        (_dicom("110100", "110120"), "application-start", ["process"], ["start"]),
        (_event(type_code="own", subtype=("http://example.org", "peek", "")), "peek", ["api"], ["access"]),
    ],
)
def test_what_happened(record: dict[str, Any], action: str, category: list[str], type_: list[str]) -> None:
    fields = FHIR.normalise(record).fields
    assert (fields["event.action"], fields["event.category"], fields["event.type"]) == (action, category, type_)


def test_every_word_is_one_that_ecs_allows() -> None:
    meanings = [*INTERACTIONS.values(), *ACTIONS.values()]
    kinds = [(meaning.category, meaning.type) for meaning in meanings] + list(LETTERS.values())
    for categories, types in kinds:
        for category in categories:
            assert {*types} <= EXPECTED_TYPES[category], (categories, types)
    assert {meaning.action for meaning in meanings} <= WORDS
    assert set(FHIR.normalise(_event()).fields) <= FHIR.released


@pytest.mark.parametrize(("code", "outcome"), [("0", "success"), ("4", "failure"), ("8", "failure"), ("12", "failure")])
def test_outcome(code: str, outcome: str) -> None:
    assert FHIR.normalise(_event(outcome=code)).fields["event.outcome"] == outcome


def test_an_outcome_left_out_is_unknown() -> None:
    record = _event()
    del record["outcome"]
    assert FHIR.normalise(record).fields["event.outcome"] == "unknown"


def test_free_text_is_for_rules_and_is_not_released() -> None:
    record = _event() | {"outcomeDesc": "refused by consent"}
    assert FHIR.normalise(record).fields["event.reason"] == "refused by consent"
    assert "event.reason" not in FHIR.released


@pytest.mark.parametrize(
    ("recorded", "time"),
    [
        ("2026-01-05T08:00:00Z", 1_767_600_000_000),
        ("2026-01-05T09:00:00+01:00", 1_767_600_000_000),
        ("2026-01-05T08:00:00.123456789Z", 1_767_600_000_123),
        ("2026-01-05t08:00:00z", 1_767_600_000_000),
        ("2026-01-05 03:00:00.5-05:00", 1_767_600_000_500),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999),
        ("1960-01-01T00:00:00.500Z", -315_619_199_500),
    ],
)
def test_times(recorded: str, time: int) -> None:
    assert FHIR.normalise(_event() | {"recorded": recorded}).time == time


# -- who --------------------------------------------------------------------------------------------------------------


def _by(agent: dict[str, Any], **over: Any) -> Draft:
    """The draft of a record whose requestor is ``agent``."""
    record = _event(**over)
    record["agent"][1] = {"requestor": True} | agent
    return FHIR.normalise(record)


@pytest.mark.parametrize(
    ("agent", "actor"),
    [
        ({"who": {"reference": "https://ehr.example/fhir/Practitioner/7/_history/2"}}, "user:Practitioner/7"),
        ({"who": {"reference": "PractitionerRole/7", "display": "A"}}, "user:PractitionerRole/7"),
        ({"who": {"identifier": {"system": "https://sts.example", "value": "u1"}}}, "user:https://sts.example|u1"),
        ({"who": {"identifier": {"value": "u1"}, "display": "A"}}, "user:u1"),
        ({"who": {"display": "A nurse"}}, "user:A nurse"),
        ({"altId": "u1", "name": "A nurse"}, "user:u1"),
        ({"name": "A nurse"}, "user:A nurse"),
        ({"who": {"reference": "Device/scheduler"}}, "device:Device/scheduler"),
        ({"who": {"reference": "Patient/p1"}}, "patient:Patient/p1"),
        ({"who": {"reference": "https://ehr.example/fhir/Patient/p1/_history/2"}}, "patient:Patient/p1"),
        ({"who": {"reference": "Patient?identifier=urn:oid:1.2%7Cmrn-1"}}, "patient:urn:oid:1.2|mrn-1"),
        ({"who": {"type": "Patient", "identifier": {"value": "mrn-1"}}}, "patient:mrn-1"),
        ({"who": {"reference": "urn:uuid:0b9a", "type": "Patient"}}, "patient:urn:uuid:0b9a"),
        ({"who": {"type": "http://hl7.org/fhir/StructureDefinition/Patient", "display": "A"}}, "patient:A"),
        ({"who": {"reference": "PatientPortal/7"}}, "user:PatientPortal/7"),
        ({"who": {"type": "Device", "identifier": {"value": "serial-1"}}}, "device:serial-1"),
        ({"who": {"reference": "#elsewhere", "display": "A nurse"}}, "user:A nurse"),
        ({"policy": ["opaque-token"]}, "user:unnamed of synthetic-ehr.hospital.example"),
    ],
)
def test_actor(agent: dict[str, Any], actor: str) -> None:
    assert _by(agent).actor == actor


def test_an_unnamed_oauth_user_acts_as_its_client() -> None:
    record = _event()
    record["agent"][1] = {"type": {"coding": [{"code": "UserOauthAgent"}]}, "requestor": True, "policy": ["t"]}
    client = {"type": {"coding": [{"system": _DCM, "code": "110152"}]}, "who": {"display": "app.example"}}
    record["agent"].append(client | {"requestor": False, "network": {"address": "192.0.2.9", "type": "2"}})
    draft = FHIR.normalise(record)
    assert (draft.actor, draft.address) == ("user:app.example", "address:192.0.2.9")


@pytest.mark.parametrize(("interaction", "client"), [("create", 0), ("update", 0), ("read", 1)])
def test_without_a_requestor_the_client_acted(interaction: str, client: int) -> None:
    record = _event(interaction=interaction)
    names = ["source.example", "destination.example"]
    record["agent"] = [
        {"type": {"coding": [{"code": code}]}, "who": {"display": name}, "requestor": False}
        for code, name in zip(("110153", "110152"), names, strict=True)
    ]
    assert FHIR.normalise(record).actor == f"user:{names[client]}"


def test_a_human_acted_where_nobody_requested() -> None:
    record = _event()
    record["agent"][1] = {
        "type": {"coding": [{"code": "humanuser"}]},
        "who": {"identifier": {"value": "operator"}},
        "requestor": False,
    }
    assert FHIR.normalise(record).actor == "user:operator"


@pytest.mark.parametrize(
    ("network", "address", "field"),
    [
        ({"address": "2001:0DB8:0:0::7", "type": "2"}, "address:2001:db8::7", "source.ip"),
        ({"address": "Workstation1.Example", "type": "1"}, "address:workstation1.example", "source.domain"),
        ({"address": "https://app.example:8443/fhir", "type": "5"}, "address:app.example", "source.domain"),
        ({"address": "https://[2001:db8::9]/fhir", "type": "5"}, "address:2001:db8::9", "source.ip"),
        ({"address": "+1 555 0100", "type": "3"}, "", None),
        ({"address": "nobody@example.org", "type": "4"}, "", None),
        ({"address": "http://[broken", "type": "5"}, "", None),
    ],
)
def test_address(network: dict[str, str], address: str, field: str | None) -> None:
    draft = _by({"who": {"reference": "Practitioner/7"}, "network": network})
    assert draft.address == address
    assert {name for name in draft.fields if name.startswith("source.")} == ({field} if field else set())


def test_the_same_address_of_another_type_is_read_anew() -> None:
    staff = {"who": {"reference": "Practitioner/7"}}
    assert _by(staff | {"network": {"address": "desk-9", "type": "3"}}).address == ""
    assert _by(staff | {"network": {"address": "desk-9", "type": "1"}}).address == "address:desk-9"


def test_an_event_about_the_system_is_about_its_observer() -> None:
    assert FHIR.normalise(_dicom("110113", "110133")).device == "device:synthetic-ehr.hospital.example"
    assert FHIR.normalise(_event()).device == ""


def test_organisation_roles_and_purposes() -> None:
    record = _event()
    record["agent"].append(
        {"type": {"coding": [{"code": "PROV"}]}, "who": {"reference": "Organization/1", "display": "Clinic"}}
        | {"requestor": False}
    )
    human = record["agent"][1]
    human["role"] = [{"coding": [{"code": "nurse"}]}, {"text": "no code"}]
    human["purposeOfUse"] = [{"coding": [{"code": "ETREAT"}, {"code": "not a published one"}]}]
    fields = FHIR.normalise(record).fields
    assert (fields["organization.id"], fields["organization.name"]) == ("Organization/1", "Clinic")
    assert fields["user.roles"] == ["nurse"]
    assert fields["wardwatch.purpose"] == ["TREAT", "ETREAT"]


# -- patients ---------------------------------------------------------------------------------------------------------


def _about(what: dict[str, Any], **entity: Any) -> Draft:
    """The draft of a record whose patient entity has ``what``."""
    record = _event()
    record["entity"][1] = {"what": what, "type": {"code": "1"}, "role": {"code": "1"}} | entity
    record["entity"] = record["entity"][:2]
    return FHIR.normalise(record)


@pytest.mark.parametrize(
    ("what", "patient"),
    [
        ({"reference": "https://ehr.example/fhir/Patient/s1/_history/3"}, "Patient/s1"),
        ({"reference": "Patient/s1", "identifier": {"value": "mrn-1"}}, "Patient/s1"),
        ({"identifier": {"system": "urn:oid:1.2", "value": "mrn-1"}}, "urn:oid:1.2|mrn-1"),
        ({"identifier": {"value": "mrn-1^^^&1.2&ISO"}}, "mrn-1^^^&1.2&ISO"),
        ({"reference": "Patient?identifier=urn:oid:1.2%7Cmrn-1"}, "urn:oid:1.2|mrn-1"),
        (
            {"reference": "urn:uuid:0b9a6a1c-0000-4000-8000-000000000001"},
            "urn:uuid:0b9a6a1c-0000-4000-8000-000000000001",
        ),
        ({"display": "Synthetic Person"}, "Synthetic Person"),
    ],
)
def test_patient(what: dict[str, Any], patient: str) -> None:
    draft = _about(what)
    assert draft.patients == [patient]
    assert draft.identifiers


def test_a_data_entity_that_is_a_patient_is_one() -> None:
    record = _event()
    record["entity"] = [{"what": {"reference": "Patient/s1/_history/1"}, "type": {"code": "2"}}]
    draft = FHIR.normalise(record)
    assert (draft.patients, draft.fields["wardwatch.resource"]) == (["Patient/s1"], ["Patient"])


def test_everything_that_identifies_the_patient_is_listed() -> None:
    draft = _about(
        {"reference": "Patient/s1", "display": "Synthetic Display", "identifier": {"value": "mrn-1"}},
        name="Synthetic Name",
        description="Synthetic Description",
        detail=[{"type": "room", "valueString": "Synthetic Detail"}],
    )
    assert draft.identifiers == {
        *("Patient/s1", "s1", "mrn-1"),
        *("Synthetic Display", "Synthetic Name", "Synthetic Description", "Synthetic Detail"),
    }


def test_a_patient_who_acts_is_listed_with_name_numbers_and_address() -> None:
    draft = _by(
        {
            "who": {"reference": "Patient/s1", "display": "Synthetic Display", "identifier": {"value": "mrn-1"}},
            "altId": "login-1",
            "name": "Synthetic Name",
            "network": {"address": "198.51.100.7", "type": "2"},
            "extension": [{"url": "x", "valueIdentifier": {"value": "other-1"}}],
        }
    )
    assert draft.actor == "patient:Patient/s1"
    assert draft.patients[-1] == "Patient/s1"
    assert "user.name" not in draft.fields
    assert draft.identifiers >= {
        *("Patient/s1", "s1", "Synthetic Display", "mrn-1", "login-1"),
        *("Synthetic Name", "198.51.100.7", "other-1"),
    }


def test_a_patient_by_role_is_a_patient() -> None:
    role = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "PAT"}]}
    draft = _by({"type": role, "who": {"identifier": {"value": "mrn-1"}}, "name": "Synthetic Name"})
    assert draft.actor == "patient:mrn-1"
    assert {"mrn-1", "Synthetic Name"} <= draft.identifiers


def _carrying(resource: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return _event() | {"contained": [{"id": "c1", **resource}], **parts}


@pytest.mark.parametrize(
    ("resource", "actor"),
    [
        (
            {"resourceType": "Practitioner", "identifier": [{"system": "npi", "value": "1"}], "name": [{"text": "A"}]},
            "user:npi|1",
        ),
        ({"resourceType": "Practitioner", "name": [{"given": ["Ada"], "family": "Synthetic"}]}, "user:Ada Synthetic"),
        ({"resourceType": "Device", "deviceName": [{"name": "scheduler", "type": "other"}]}, "device:scheduler"),
        ({"resourceType": "Organization", "name": "A clinic"}, "user:A clinic"),
        ({"resourceType": "Patient", "identifier": [{"value": "mrn-1"}]}, "patient:mrn-1"),
        ({"resourceType": "Patient", "name": [{"text": "Ada Synthetic"}]}, "patient:Ada Synthetic"),
    ],
)
def test_an_agent_inside_the_record_has_its_own_name_and_not_its_place(resource: dict[str, Any], actor: str) -> None:
    """``#c1`` is somebody else in the next record."""
    record = _carrying(resource)
    record["agent"][1]["who"] = {"reference": "#c1"}
    draft = FHIR.normalise(record)
    assert draft.actor == actor
    assert actor.partition(":")[2] in draft.identifiers or not actor.startswith("patient:")


def test_an_entity_and_an_observer_inside_the_record_are_named() -> None:
    record = _carrying({"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2", "value": "mrn-1"}]})
    record["entity"][1] = {"what": {"reference": "#c1"}, "type": {"code": "1"}, "role": {"code": "1"}}
    record["contained"].append({"resourceType": "Device", "id": "d1", "identifier": [{"value": "serial-1"}]})
    record["source"] = {"observer": {"reference": "#d1"}}
    draft = FHIR.normalise(record)
    assert draft.patients == ["urn:oid:1.2|mrn-1"]
    assert draft.fields["observer.name"] == "serial-1"


@pytest.mark.parametrize(
    "entity",
    [
        {"what": {"type": "Patient", "identifier": {"value": "mrn-1"}}, "type": {"code": "2"}},
        {"what": {"identifier": {"value": "mrn-1"}}, "type": {"code": "Patient"}},
        {"what": {"identifier": {"value": "mrn-1"}}, "role": {"code": "1"}},
    ],
)
def test_a_patient_without_reference_is_one(entity: dict[str, Any]) -> None:
    record = _event()
    record["entity"] = [entity]
    draft = FHIR.normalise(record)
    assert (draft.patients, draft.identifiers) == (["mrn-1"], {"mrn-1"})


def test_a_resource_without_reference_is_told_by_its_type() -> None:
    record = _event()
    record["entity"] = [
        {"what": {"identifier": {"value": "c-1"}}, "type": {"code": "Consent"}},
        {"what": {"type": "Observation", "identifier": {"value": "o-1"}}},
        {"what": {"type": "of my own", "identifier": {"value": "x-1"}}},
    ]
    assert FHIR.normalise(record).fields["wardwatch.resource"] == ["Consent", "Observation"]


@pytest.mark.parametrize(
    "observer", [{"reference": "Patient/s1"}, {"type": "Patient", "identifier": {"value": "s1"}, "display": "My app"}]
)
def test_a_patient_who_observes_is_a_patient(observer: dict[str, Any]) -> None:
    draft = FHIR.normalise(_event() | {"source": {"observer": observer}})
    assert "s1" in draft.identifiers
    assert len(draft.patients) == 2


def test_a_relative_is_an_identifier_of_the_patient() -> None:
    draft = _by({"who": {"reference": "RelatedPerson/r1", "display": "Synthetic Mother"}, "name": "Mother Synthetic"})
    assert draft.actor == "user:RelatedPerson/r1"
    assert {"RelatedPerson/r1", "Synthetic Mother", "Mother Synthetic"} <= draft.identifiers


@pytest.mark.parametrize(("type_code", "action"), [("110106", "R"), ("110107", "C"), ("110106", "E")])
def test_a_disclosure_comes_from_the_side_that_gives(type_code: str, action: str) -> None:
    record = _dicom(type_code, "disclose") | {"action": action}
    record["agent"] = [
        {"type": {"coding": [{"code": code}]}, "who": {"display": name}, "requestor": False}
        | {"network": {"address": name, "type": "1"}}
        for code, name in (("110152", "receiver.example"), ("110153", "giver.example"))
    ]
    draft = FHIR.normalise(record)
    assert (draft.actor, draft.address) == ("user:giver.example", "address:giver.example")


@pytest.mark.parametrize(
    ("value", "number"), [("7001^^^&1.2&ISO", "7001"), ("urn:uuid:0b9a6a1c", "0b9a6a1c"), ("urn:oid:1.2.3", "1.2.3")]
)
def test_the_number_alone_is_listed_too(value: str, number: str) -> None:
    assert _about({"identifier": {"value": value}}).identifiers == {value, number}


def test_contained_patients_are_listed() -> None:
    record = _event() | {
        "contained": [
            {
                "resourceType": "Patient",
                "id": "c1",
                "identifier": [{"system": "urn:oid:1.2", "value": "mrn-1"}],
                "name": [{"family": "Synthetic", "given": ["Ada", "B"]}],
                "telecom": [{"system": "phone", "value": "+1 555 0100"}],
                "birthDate": "1970-01-01",
                "address": [{"line": ["1 Synthetic Street"], "city": "Nowhere"}],
            },
            {"resourceType": "Organization", "id": "o1", "name": "A clinic"},
        ]
    }
    draft = FHIR.normalise(record)
    assert "urn:oid:1.2|mrn-1" in draft.patients
    assert draft.identifiers >= {
        *("mrn-1", "Synthetic", "Ada", "Ada B Synthetic", "Synthetic, Ada B", "+1 555 0100"),
        *("1970-01-01", "1 Synthetic Street"),
    }
    assert "A clinic" not in draft.identifiers


@pytest.mark.parametrize(
    ("query", "identifiers"),
    [
        ("GET https://ehr.example/r4/Observation?patient=s-0001&_count=9", {"s-0001"}),
        ("GET /r4/Observation?subject:Patient=Patient%2Fs-0001", {"Patient%2Fs-0001", "Patient/s-0001", "s-0001"}),
        ("GET /r4/Patient?identifier=urn:oid:1.2|mrn-1&family=Syn%20Thetic", {"mrn-1", "Syn Thetic"}),
        ("POST /r4/Patient/_search HTTP/1.1\nHost: x\n\nbirthdate=ge1970-01-01&phone=5550100", {"5550100"}),
        ("GET /r4/Observation?subject.name=Synthetic+Person", {"Synthetic Person"}),
        ("GET /r4/Observation?patient=s-0001,Patient/s-0002", {"s-0001", "s-0002"}),
        ("GET https://ehr.example/r4/Patient/s-0001/Observation", {"Patient/s-0001", "s-0001"}),
        ("GET /r4/Patient?birthdate=ge1970-01-01", {"1970-01-01"}),
    ],
)
def test_a_search_gives_away_whom_it_is_about(query: str, identifiers: set[str]) -> None:
    for sent in (b64encode(query.encode()).decode(), query):
        record = _event(interaction="search")
        record["entity"] = [{"type": {"code": "2"}, "role": {"code": "24"}, "query": sent}]
        draft = FHIR.normalise(record)
        assert draft.identifiers >= identifiers
        assert "9" not in draft.identifiers
        assert draft.fields["wardwatch.resource"] in (["Observation"], ["Patient"])


# -- ids --------------------------------------------------------------------------------------------------------------


def _without_id(**over: Any) -> dict[str, Any]:
    record = _event(**over)
    del record["id"]
    return record


def test_a_record_without_id_has_one_from_its_request() -> None:
    first = FHIR.normalise(_without_id()).id
    assert first
    assert first == FHIR.normalise(_without_id()).id


def test_records_of_one_request_have_ids_of_their_own() -> None:
    """The server's, the client's, and that of each patient found."""
    server, client = _without_id(), _without_id()
    client["source"] = {"observer": {"display": "app.example"}}
    drafts = [FHIR.normalise(record) for record in (server, client, _without_id(patient="synthetic-0002"))]
    assert len({draft.id for draft in drafts}) == 3


def test_without_id_and_request_there_is_none() -> None:
    record = _without_id()
    del record["entity"][0]
    assert FHIR.normalise(record).id == ""


# -- refusals ---------------------------------------------------------------------------------------------------------

_GONE = object()


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("resourceType",), _GONE, "resourceType: missing"),
        (("resourceType",), "Patient", "resourceType: not AuditEvent"),
        (("type",), _GONE, "type: missing"),
        (("type",), "rest", "type: is a string, R4 wants an object"),
        (("type", "code"), _GONE, "type.code: missing"),
        (("recorded",), _GONE, "recorded: missing"),
        (("recorded",), 17, "recorded: is a number"),
        (("recorded",), "2026-01-05T08:00:00", "recorded: has no offset"),
        (("recorded",), "2026-01-05", "recorded: not an instant"),
        (("recorded",), "2026-13-05T08:00:00Z", "recorded: no such day"),
        (("recorded",), "2026-W02-1T08:00:00Z", "recorded: not an instant"),
        (("action",), "X", "action: not one of"),
        (("action",), ["R"], "action: is a list"),
        (("outcome",), "1", "outcome: not one of"),
        (("agent",), _GONE, "agent: missing"),
        (("agent",), [], "agent: missing or empty"),
        (("agent",), {}, "agent: is an object"),
        (("agent", 1), "someone", r"agent\[1\]: is a string"),
        (("agent", 1, "requestor"), _GONE, r"agent\[1\].requestor: missing"),
        (("agent", 1, "requestor"), "true", r"agent\[1\].requestor: is a string"),
        (("agent", 1, "who"), "Practitioner/7", r"agent\[1\].who: is a string"),
        (("agent", 1, "who", "reference"), 7, r"agent\[1\].who.reference: is a number"),
        (("agent", 1, "network", "address"), 7, r"agent\[1\].network.address: is a number"),
        (("source",), _GONE, "source: missing"),
        (("source", "observer"), _GONE, "source.observer: missing"),
        (("source", "observer"), {}, "source.observer: missing or names nothing"),
        (("entity",), {}, "entity: is an object"),
        (("entity", 1, "what", "reference"), None, r"entity\[1\].what.reference: is null"),
        (("entity", 1, "name"), 7, r"entity\[1\].name: is a number"),
        (("purposeOfEvent", 0, "coding"), 7, r"purposeOfEvent\[0\].coding: is a number"),
        (("outcome",), {"code": {}}, "R5"),
    ],
)
def test_a_malformed_record_is_refused_with_field_and_reason(path: tuple[Any, ...], value: Any, reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        FHIR.normalise(_put(_event(), path, value))


def _put(record: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    node: Any = record
    for step in path[:-1]:
        node = node[step]
    if value is _GONE:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return record


def _nodes(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, inner in items:
        yield (*path, name)
        yield from _nodes(inner, (*path, name))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just(_GONE),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=3,
)


@settings(max_examples=600)
@given(st.lists(st.tuples(st.sampled_from(sorted(_nodes(_event()), key=str)), _JSON), min_size=1, max_size=3))
def test_nothing_but_a_draft_or_a_refusal_comes_out(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    record = _event()
    for path, value in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):
            _put(record, path, value)
    try:
        draft = FHIR.normalise(record)
    except BadRecord as refused:
        reason = str(refused)
    else:
        reason = ""
        assert draft.actor.partition(":")[2]
        assert {type(text) for text in draft.identifiers} <= {str}
        assert all(type(value) in (str, list) for value in draft.fields.values())
    assert "synthetic-0001" not in reason


@given(st.dictionaries(st.text(), _JSON) | st.just({"resourceType": "AuditEvent"}))
def test_recognising_never_raises(record: dict[str, Any]) -> None:
    assert FHIR.recognises(record) is (record.get("resourceType") == "AuditEvent")
