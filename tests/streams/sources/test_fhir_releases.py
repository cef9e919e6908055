"""AuditEvents of R5, STU3 and DSTU2, and Provenance: known by their elements, and read as R4's are."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fhir_other_records import DSTU2, PROVENANCE, R5, STU3
from fhir_records import event
from outside_fhir import Expected
from outside_fhir_other import EXPECTED, WORKFLOW

from detectors.rules import starter_rules
from streams.sources.base import BadRecord, Draft
from streams.sources.catalog import by_name, recognise

NAMES = {"fhir": event(), "fhir-r5": R5, "fhir-stu3": STU3, "fhir-dstu2": DSTU2, "fhir-provenance": PROVENANCE}


def said(draft: Draft, *others: str) -> Expected:
    fields = draft.fields
    return Expected(
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
        {name: fields.get(name) for name in others},
    )


def read(record: dict[str, Any], **changed: Any) -> Draft:
    record = deepcopy(record) | changed
    return recognise(record, "audit.ehr").normalise(record)


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


# -- outside records --------------------------------------------------------------------------------------------------


def test_published_examples_of_older_releases(outside_data: Path) -> None:
    """Each as the table says that was made from the record, not from the code."""
    seen = set()
    for text in (outside_data / "fhir" / "auditevent_examples.jsonl").read_text("utf-8").splitlines():
        line = json.loads(text)
        record, release = line["resource"], line["fhir_version"]
        if release == "R4":
            assert recognise(record).name == "fhir"
            continue
        seen.add((release, record["id"]))
        source = recognise(record, "audit.ehr")
        assert source.name == f"fhir-{release.lower()}"
        draft, expected = source.normalise(record), EXPECTED[release, record["id"]]
        when = record.get("recorded") or record["event"]["dateTime"]
        assert draft.time == datetime.fromisoformat(when).timestamp() * 1000
        assert said(draft, *expected.others) == expected, (release, record["id"])
    assert seen == EXPECTED.keys()


def test_workflow_events_in_the_shape_of_r5(outside_data: Path) -> None:
    codes = set()
    for text in (outside_data / "fhir" / "auditevent_xes_r5draft.jsonl").read_text("utf-8").splitlines():
        record = json.loads(text)
        (coding,), (agent,) = record["code"]["coding"], record["agent"]
        codes.add(coding["code"])
        draft = recognise(record, "audit.ehr").normalise(record)
        assert draft.id == record["id"]
        assert draft.time == datetime.fromisoformat(record["occurredDateTime"]).timestamp() * 1000
        assert said(draft) == Expected(
            f"user:{agent['who']['reference']}",
            coding["code"],
            "info",
            outcome="unknown",
            patients=(),
            resource=("Encounter", "CarePlan"),
        )
        assert "observer.name" not in draft.fields
        assert WORKFLOW[coding["code"]] == coding["display"]
    assert codes == WORKFLOW.keys()


# -- recognising ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_each_is_known_by_its_elements_and_refuses_the_others_by_name(name: str) -> None:
    assert recognise(NAMES[name], "audit.ehr").name == name
    for other in NAMES.keys() - {name}:
        assert not by_name(other).recognises(NAMES[name])
        with pytest.raises(BadRecord, match=r"send it as source |resourceType: not ") as refused:
            by_name(other).normalise(NAMES[name])
        if "Provenance" not in (NAMES[name]["resourceType"], NAMES[other]["resourceType"]):
            assert str(refused.value).endswith(f"send it as source {name}")


# -- R5 ---------------------------------------------------------------------------------------------------------------


def test_r5_with_all_that_it_may_carry() -> None:
    draft = read(R5)
    assert draft.time == 1_767_600_000_000
    assert said(draft, "user.name", "user.roles", "observer.name", "event.code") == Expected(
        "user:Practitioner/p-1",
        "read",
        "access",
        address="address:desk.hospital.example",
        patients=("urn:oid:1.2.3|syn-0003", "Patient/synthetic-0001", "Patient/synthetic-0002"),
        resource=("Observation", "Encounter", "CarePlan"),
        purpose=("ETREAT", "TREAT"),
        others={
            "user.name": "A nurse",
            "user.roles": ["nurse"],
            "observer.name": "Device/ehr-1",
            "event.code": "read",
        },
    )
    assert draft.identifiers >= {
        *("Patient/synthetic-0001", "synthetic-0001", "Ada Synthetic", "syn-0003", "Ada the Third"),
        *("Patient/synthetic-0002", "synthetic-0004", R5["entity"][1]["query"]),
    }


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        *(("0", "success"), ("4", "failure"), ("8", "failure"), ("12", "failure")),
        *(("success", "success"), ("information", "success"), ("warning", "success")),
        *(("error", "failure"), ("fatal", "failure"), ("of-my-own", "unknown")),
    ],
)
def test_r5_outcome(code: str, outcome: str) -> None:
    assert read(R5, outcome={"code": {"code": code}}).fields["event.outcome"] == outcome


@pytest.mark.parametrize(
    ("times", "time"),
    [
        ({"occurredDateTime": "2026-01-05T09:00:00+01:00"}, 1_767_600_000_000),
        ({"occurredPeriod": {"end": "2026-01-05T08:00:00Z"}}, 1_767_600_000_000),
        ({"recorded": "2026-01-05T08:00:00Z"}, 1_767_600_000_000),
        ({"recorded": "2026-01-05T08:00:00Z", "occurredDateTime": "2026-01-05"}, 1_767_600_000_000),
        ({"recorded": "2026-01-06T08:00:00Z", "occurredDateTime": "2026-01-05T08:00:00Z"}, 1_767_600_000_000),
    ],
)
def test_r5_happened_when_it_occurred(times: dict[str, Any], time: int) -> None:
    assert read(without(R5, "occurredPeriod", "recorded") | times).time == time


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ({"networkString": "192.0.2.7"}, "address:192.0.2.7"),
        ({"networkString": "Desk-7.example"}, "address:desk-7.example"),
        ({"networkUri": "https://App.example/x"}, "address:app.example"),
        ({"networkUri": "tel:+1-555-0100"}, ""),
        ({"networkUri": "mailto:ada@synthetic.example"}, ""),
        ({"networkReference": {"reference": "Endpoint/elsewhere"}}, ""),
    ],
)
def test_r5_network(network: dict[str, Any], address: str) -> None:
    agent = {"who": {"reference": "Practitioner/p-1"}, "requestor": True} | network
    assert read(R5, agent=[agent]).address == address


@pytest.mark.parametrize(
    ("category", "code", "action"),
    [
        ([], "110122", "login"),
        (["110114"], "110123", "logout"),
        (["110113"], "110127", "emergency-override-start"),
        (["110110"], "of-my-own", "patient-record"),
        (["own-category"], "of-my-own", "of-my-own"),
        (["rest"], "search", "search"),
    ],
)
def test_r5_category_is_the_type_and_code_the_subtype(category: list[str], code: str, action: str) -> None:
    concepts = [{"coding": [{"code": one}]} for one in category]
    changed = read(R5, category=concepts, code={"coding": [{"code": code}]})
    assert changed.fields["event.action"] == action


def test_drafts_of_r5_that_say_type_and_subtype() -> None:
    draft = read(
        without(R5, "code", "category"),
        type={"coding": [{"code": "110113"}]},
        subtype=[{"coding": [{"code": "110127"}]}],
        outcome={"coding": [{"code": "0"}]},
    )
    assert (draft.fields["event.action"], draft.fields["event.outcome"]) == ("emergency-override-start", "success")
    assert (
        recognise({"resourceType": "AuditEvent", "type": {"coding": []}, "source": {"observer": {}}}).name == "fhir-r5"
    )


# -- STU3 and DSTU2 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [STU3, DSTU2], ids=["STU3", "DSTU2"])
def test_older_releases_with_all_that_they_may_carry(record: dict[str, Any]) -> None:
    draft = read(record)
    purpose = ("TREAT",) if record is STU3 else ("TREAT", "ETREAT")
    assert said(draft, "user.name", "user.roles", "observer.name") == Expected(
        "user:Practitioner/p-1",
        "patient-record",
        "change",
        "database",
        "failure",
        "address:192.0.2.7",
        ("Patient/synthetic-0001",),
        ("Observation",),
        purpose,
        "",
        {"user.name": "A nurse", "user.roles": ["nurse"], "observer.name": "synthetic-ehr"},
    )
    assert draft.identifiers == {
        *("Patient/synthetic-0001", "synthetic-0001", "syn-0001^^^&1.2.3&ISO", "syn-0001", "Ada Synthetic"),
        *("Ada the Third", "QWRhIHRoZSBUaGlyZA=="),
    }


def test_names_of_dstu2_do_not_hide_those_of_ecs_from_rules() -> None:
    """Its ``event.action`` is a letter; ECS's says what happened."""
    override = deepcopy(DSTU2)
    override["event"] |= {"type": {"code": "110113"}, "subtype": [{"code": "110127"}]}
    draft = read(override)
    assert draft.shown is not None
    matches = starter_rules().match(draft.shown, draft.fields, by_name("fhir-dstu2").logsource)
    assert "Emergency access to a record" in [match.rule.title for match in matches]


# -- Provenance -------------------------------------------------------------------------------------------------------


def test_provenance_tells_who_changed_what() -> None:
    draft = read(PROVENANCE)
    assert draft.time == 1_767_600_000_000
    assert said(draft, "observer.name", "organization.id", "user.name") == Expected(
        "user:Practitioner/p-1",
        "update",
        "change",
        patients=("Patient/synthetic-0001",),
        resource=("Observation", "Patient", "DocumentReference"),
        purpose=("TREAT",),
        others={
            "observer.name": "Device/ehr-1",
            "organization.id": "Organization/org-1",
            "user.name": "A nurse",
        },
    )
    assert draft.identifiers >= {
        *("synthetic-0001", "Ada Synthetic", "Patient/synthetic-0002", "Bert Synthetic"),
    }


@pytest.mark.parametrize(
    ("code", "action", "type_"),
    [
        ("CREATE", "create", "creation"),
        ("UPDATE", "update", "change"),
        ("DELETE", "delete", "deletion"),
        ("NULLIFY", "delete", "deletion"),
        ("amend", "update", "change"),
        ("LA", "LA", "change"),
        (None, "provenance", "change"),
    ],
)
def test_provenance_activity(code: str | None, action: str, type_: str) -> None:
    record = without(PROVENANCE, "activity") | ({"activity": {"coding": [{"code": code}]}} if code else {})
    fields = read(record).fields
    assert (fields["event.action"], fields["event.type"]) == (action, [type_])


def test_provenance_of_r5_names_its_patient_and_purpose_apart() -> None:
    record = without(PROVENANCE, "reason", "target", "signature") | {
        "target": [{"reference": "Observation/o-1"}],
        "patient": {"reference": "Patient/synthetic-0009"},
        "authorization": [{"concept": {"coding": [{"code": "ETREAT"}]}}],
        "agent": [{"who": {"reference": "Practitioner/p-2"}}],
    }
    draft = read(record)
    assert (draft.actor, draft.patients) == ("user:Practitioner/p-2", ["Patient/synthetic-0009"])
    assert draft.fields["wardwatch.purpose"] == ["ETREAT"]
    for who in ({"whoReference": {"reference": "Practitioner/p-2"}}, {"whoUri": "Practitioner/p-2"}):  # STU3
        assert read(record | {"agent": [who]}).actor == "user:Practitioner/p-2"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (without(R5, "agent"), "agent: missing"),
        (without(R5, "code", "category"), "code: missing"),
        (without(R5, "occurredPeriod", "recorded"), "recorded: missing"),
        (without(R5, "occurredPeriod") | {"recorded": 7}, "recorded: is a number, R5 wants a string"),
        (R5 | {"agent": [{"who": "someone"}]}, r"agent\[0\].who: is a string, R5 wants an object"),
        (R5 | {"action": "X"}, "action: not one of"),
        (STU3 | {"outcome": "3"}, "outcome: not one of"),
        (STU3 | {"type": {"display": "a text"}}, "type.code: missing"),
        (without(DSTU2, "object") | {"event": without(DSTU2["event"], "dateTime")}, "event.dateTime: missing"),
        (DSTU2 | {"event": DSTU2["event"] | {"dateTime": "2026-01-05T08:00:00"}}, "event.dateTime: has no offset"),
        (DSTU2 | {"participant": []}, "participant: missing or empty"),
        (without(PROVENANCE, "target"), "target: missing"),
        (PROVENANCE | {"agent": {}}, "agent: is an object"),
    ],
)
def test_a_malformed_record_is_refused_in_the_words_of_its_release(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecord, match=reason):
        read(record)
