"""Whose data an AuditEvent is about, and everything in it that tells who that is."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from fhir_records import by, event

from streams.sources.base import Draft
from streams.sources.fhir import FHIR


def _about(what: dict[str, Any], **entity: Any) -> Draft:
    """The draft of a record whose patient entity has ``what``."""
    record = event()
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
    record = event()
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
    draft = by(
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
    draft = by({"type": role, "who": {"identifier": {"value": "mrn-1"}}, "name": "Synthetic Name"})
    assert draft.actor == "patient:mrn-1"
    assert {"mrn-1", "Synthetic Name"} <= draft.identifiers


def _carrying(resource: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return event() | {"contained": [{"id": "c1", **resource}], **parts}


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
    record = event()
    record["entity"] = [entity]
    draft = FHIR.normalise(record)
    assert (draft.patients, draft.identifiers) == (["mrn-1"], {"mrn-1"})


def test_a_resource_without_reference_is_told_by_its_type() -> None:
    record = event()
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
    draft = FHIR.normalise(event() | {"source": {"observer": observer}})
    assert "s1" in draft.identifiers
    assert len(draft.patients) == 2


def test_a_relative_is_an_identifier_of_the_patient() -> None:
    draft = by({"who": {"reference": "RelatedPerson/r1", "display": "Synthetic Mother"}, "name": "Mother Synthetic"})
    assert draft.actor == "user:RelatedPerson/r1"
    assert {"RelatedPerson/r1", "Synthetic Mother", "Mother Synthetic"} <= draft.identifiers


@pytest.mark.parametrize(
    ("value", "number"), [("7001^^^&1.2&ISO", "7001"), ("urn:uuid:0b9a6a1c", "0b9a6a1c"), ("urn:oid:1.2.3", "1.2.3")]
)
def test_the_number_alone_is_listed_too(value: str, number: str) -> None:
    assert _about({"identifier": {"value": value}}).identifiers == {value, number}


def test_contained_patients_are_listed() -> None:
    record = event() | {
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
        record = event(interaction="search")
        record["entity"] = [{"type": {"code": "2"}, "role": {"code": "24"}, "query": sent}]
        draft = FHIR.normalise(record)
        assert draft.identifiers >= identifiers
        assert "9" not in draft.identifiers
        assert draft.fields["wardwatch.resource"] in (["Observation"], ["Patient"])


def test_a_query_that_is_no_url_gives_away_whom_it_is_about() -> None:
    """IHE's: PIX by HL7 v2 and v3."""
    for query, listed in (
        ("MSH|^~\\&|A|B|C|D|20260105||QBP^Q23|1|P|2.5\rQPD|IHE PIX Query|tag|syn-0001^^^&1.2.3&ISO^PI", "syn-0001"),
        ('<q><patientIdentifier><value root="1.2.3" extension="syn-0001"/></patientIdentifier></q>', "syn-0001"),
    ):
        record = event(interaction="search")
        record["entity"] = [{"type": {"code": "2"}, "query": b64encode(query.encode()).decode()}]
        assert listed in FHIR.normalise(record).identifiers
