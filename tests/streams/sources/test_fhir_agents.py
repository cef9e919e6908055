"""Who acted, from where and in which role, as an AuditEvent's agents have it."""

from __future__ import annotations

from typing import Any

import pytest
from fhir_records import DCM, by, dicom, event

from streams.sources.fhir import FHIR


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
    assert by(agent).actor == actor


def test_an_unnamed_oauth_user_acts_as_its_client() -> None:
    record = event()
    record["agent"][1] = {"type": {"coding": [{"code": "UserOauthAgent"}]}, "requestor": True, "policy": ["t"]}
    client = {"type": {"coding": [{"system": DCM, "code": "110152"}]}, "who": {"display": "app.example"}}
    record["agent"].append(client | {"requestor": False, "network": {"address": "192.0.2.9", "type": "2"}})
    draft = FHIR.normalise(record)
    assert (draft.actor, draft.address) == ("user:app.example", "address:192.0.2.9")


@pytest.mark.parametrize(("interaction", "client"), [("create", 0), ("update", 0), ("read", 1)])
def test_without_a_requestor_the_client_acted(interaction: str, client: int) -> None:
    record = event(interaction=interaction)
    names = ["source.example", "destination.example"]
    record["agent"] = [
        {"type": {"coding": [{"code": code}]}, "who": {"display": name}, "requestor": False}
        for code, name in zip(("110153", "110152"), names, strict=True)
    ]
    assert FHIR.normalise(record).actor == f"user:{names[client]}"


def test_a_human_acted_where_nobody_requested() -> None:
    record = event()
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
    draft = by({"who": {"reference": "Practitioner/7"}, "network": network})
    assert draft.address == address
    assert {name for name in draft.fields if name.startswith("source.")} == ({field} if field else set())


def test_the_same_address_of_another_type_is_read_anew() -> None:
    staff = {"who": {"reference": "Practitioner/7"}}
    assert by(staff | {"network": {"address": "desk-9", "type": "3"}}).address == ""
    assert by(staff | {"network": {"address": "desk-9", "type": "1"}}).address == "address:desk-9"


def test_an_event_about_the_system_is_about_its_observer() -> None:
    assert FHIR.normalise(dicom("110113", "110133")).device == "device:synthetic-ehr.hospital.example"
    assert FHIR.normalise(event()).device == ""


def test_organisation_roles_and_purposes() -> None:
    record = event()
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


@pytest.mark.parametrize(("type_code", "action"), [("110106", "R"), ("110107", "C"), ("110106", "E")])
def test_a_disclosure_comes_from_the_side_that_gives(type_code: str, action: str) -> None:
    record = dicom(type_code, "disclose") | {"action": action}
    record["agent"] = [
        {"type": {"coding": [{"code": code}]}, "who": {"display": name}, "requestor": False}
        | {"network": {"address": name, "type": "1"}}
        for code, name in (("110152", "receiver.example"), ("110153", "giver.example"))
    ]
    draft = FHIR.normalise(record)
    assert (draft.actor, draft.address) == ("user:giver.example", "address:giver.example")
