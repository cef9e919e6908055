"""What the records of clouds and identity providers become: who did what to what, when, and how it went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cloud_records import CLOUDS, draft, record

from detectors.rules import load
from streams.pipeline import Reader
from streams.pseudonyms import Pseudonyms
from streams.sources.catalog import by_name, recognise
from streams.sources.parts import UNTIMED

NOON = 1_772_366_400_000  #: 2026-03-01T12:00:00Z


EVENTS = {
    # source, number: actor, outcome, category and type, what was acted on, whom, address
    ("azure-activity", 0): (
        "user:synthetic.admin@hospital.example",
        "success",
        "host end",
        "/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/synthetic-rg/providers/microsoft.compute"
        "/virtualmachines/synthetic-vm",
        "",
        "192.0.2.7",
    ),
    ("azure-activity", 1): (
        "user:synthetic.admin@hospital.example",
        "failure",
        "iam change",
        "/subscriptions/s-1/providers/microsoft.authorization/roleassignments/r-1",
        "",
        "2001:db8::7",
    ),
    ("azure-activity", 2): (
        "user:synthetic.doctor@hospital.example",
        "failure",
        "file access",
        "storageaccounts/syntheticstore",
        "",
        "192.0.2.7",
    ),
    ("entra-signin", 0): (
        "user:synthetic.doctor@hospital.example",
        "failure",
        "authentication start",
        "Microsoft Graph",
        "",
        "192.0.2.7",
    ),
    ("entra-signin", 1): (
        "user:synthetic.doctor@hospital.example",
        "success",
        "authentication start",
        "Synthetic App",
        "",
        "192.0.2.7",
    ),
    ("entra-signin", 2): ("user:p-1", "success", "authentication start", "", "", ""),
    ("entra-audit", 0): (
        "user:synthetic.admin@hospital.example",
        "success",
        "iam change",
        "Role/r-1",
        "synthetic.doctor@hospital.example",
        "192.0.2.7",
    ),
    ("entra-audit", 1): ("user:p-1", "failure", "configuration deletion", "Policy/c-1", "", ""),
    ("entra-audit", 2): (
        "user:synthetic.doctor@hospital.example",
        "unknown",
        "intrusion_detection info",
        "",
        "",
        "192.0.2.9",
    ),
    ("gcp-audit", 0): (
        "user:synthetic.doctor@hospital.example",
        "success",
        "file access",
        "projects/_/buckets/synthetic-scans",
        "",
        "192.0.2.7",
    ),
    ("gcp-audit", 1): (
        "user:robot@synthetic-project.iam.gserviceaccount.com",
        "failure",
        "iam creation",
        "projects/-/serviceAccounts/1",
        "",
        "",
    ),
    ("gcp-audit", 2): (
        "user:synthetic.doctor@hospital.example",
        "failure",
        "authentication start",
        "",
        "",
        "",
    ),
    ("okta", 0): (
        "user:synthetic.doctor@hospital.example",
        "failure",
        "authentication start",
        "",
        "",
        "192.0.2.7",
    ),
    ("okta", 1): (
        "user:synthetic.admin@hospital.example",
        "success",
        "iam change",
        "UserGroup/00g1",
        "synthetic.doctor@hospital.example",
        "192.0.2.9",
    ),
    ("github", 0): (
        "user:synthetic-admin",
        "success",
        "iam change",
        "synthetic-hospital",
        "synthetic-doctor",
        "192.0.2.7",
    ),
    ("github", 1): ("user:github", "success", "file access", "synthetic-hospital/viewer", "", ""),
    ("google-workspace", 0): (
        "user:synthetic.doctor@hospital.example",
        "success",
        "file access",
        "f-1",
        "",
        "2001:db8::7",
    ),
    ("google-workspace", 1): (
        "user:synthetic.doctor@hospital.example",
        "failure",
        "authentication start",
        "",
        "synthetic.doctor@hospital.example",
        "",
    ),
    ("m365", 0): (
        "user:synthetic.doctor@hospital.example",
        "success",
        "file access",
        "https://synthetic.sharepoint.com/sites/radiology",
        "",
        "192.0.2.7",
    ),
    ("m365", 1): (
        "user:synthetic.doctor@hospital.example",
        "failure",
        "authentication start",
        "",
        "",
        "2001:db8::7",
    ),
    ("m365", 2): (
        "user:synthetic.admin@hospital.example",
        "success",
        "iam change",
        "",
        "synthetic.doctor@hospital.example",
        "",
    ),
    ("kubernetes", 0): ("user:synthetic-admin", "success", "process start", "pacs/pods/viewer/exec", "", "192.0.2.7"),
    ("kubernetes", 1): ("user:system:anonymous", "failure", "iam info", "clusterroles", "", ""),
    ("vpc-flow", 0): ("address:192.0.2.7", "failure", "network connection", "eni-1", "", "192.0.2.7"),
    ("vpc-flow", 1): ("device:eni-1", "unknown", "network info", "eni-1", "", ""),
    ("slack", 0): (
        "user:synthetic.admin@h.example",
        "success",
        "iam change",
        "",
        "synthetic.d@h.example",
        "192.0.2.7",
    ),
    ("slack", 1): ("user:W1", "success", "file access", "file/F1", "", ""),
    ("auth0", 0): (
        "user:synthetic.admin@hospital.example",
        "failure",
        "iam change",
        "api/v2/users",
        "",
        "192.0.2.7",
    ),
    ("auth0", 1): ("user:auth0|1", "failure", "authentication start", "Portal", "", ""),
    ("duo", 0): (
        "user:synthetic.doctor@hospital.example",
        "failure",
        "authentication start",
        "VPN",
        "",
        "192.0.2.7",
    ),
    ("duo", 1): (
        "user:synthetic admin",
        "success",
        "iam deletion",
        "user",
        "synthetic.doctor@hospital.example",
        "192.0.2.9",
    ),
    ("onelogin", 0): ("user:7", "failure", "authentication start", "", "", "192.0.2.7"),
    ("onelogin", 1): ("user:8", "success", "iam change", "r", "", ""),
}


@pytest.mark.parametrize(("source", "number"), EVENTS)
def test_a_record_says_who_did_what_to_what_and_how_it_went(source: str, number: int) -> None:
    actor, outcome, kinds, thing, whom, address = EVENTS[source, number]
    made = draft(source, number)
    fields = made.fields
    assert (made.actor, fields["event.outcome"]) == (actor, outcome)
    assert f"{fields['event.category'][0]} {fields['event.type'][0]}" == kinds
    assert fields.get("wardwatch.resource", "") == thing
    assert fields.get("user.target.name", "") == whom
    assert fields.get("source.ip", "") == address
    assert made.address == (f"address:{address}" if address else "")
    assert made.time // 1000 in (1_772_359_200, 1_772_359_201)


def test_each_synthetic_record_has_its_line_in_the_table() -> None:
    assert list(EVENTS) == [(source, number) for source, records in CLOUDS.items() for number in range(len(records))]


@pytest.mark.parametrize(("source", "number"), EVENTS)
def test_no_free_text_leaves(source: str, number: int) -> None:
    """Names of files, titles, people's display names, parameters and messages stay inside."""
    reader = Reader(load([]), Pseudonyms(bytes(32), "k"))
    released = reader.read(record(source, number), by_name(source), fallback_id=lambda: "x", received=NOON)
    said = json.dumps([released.event.fields, released.event.actor, released.event.id])
    for text in (
        "synthetic-0001",
        "Synthetic Doctor",
        "Synthetic title",
        "Synthetic Group",
        "Global Administrator",
        "denial",
    ):
        assert text not in said


@pytest.mark.parametrize("source", [name for name in CLOUDS if name != "vpc-flow"])
def test_a_record_is_read_as_well_from_a_warehouse_that_knows_small_letters_only(source: str) -> None:
    for number, one in enumerate(CLOUDS[source]):
        if source in ("entra-signin", "kubernetes") and number == 1:
            continue  # shapes that no warehouse makes
        small = {name.lower(): value for name, value in one.items()}
        was, now = draft(source, number), recognise(small).normalise(small)
        assert (now.actor, now.time, now.address) == (was.actor, was.time, was.address)
        assert now.fields == was.fields


def test_an_event_without_a_time_is_untimely_and_still_seen() -> None:
    made = draft("kubernetes", 0, requestReceivedTimestamp=None, stageTimestamp=None)
    assert made.time == UNTIMED
    reader = Reader(load([]), Pseudonyms(bytes(32), "k"))
    bare = record("kubernetes", 0, requestReceivedTimestamp=None, stageTimestamp=None)
    assert not reader.read(bare, by_name("kubernetes"), fallback_id=lambda: "x", received=NOON).event.timely


RULES: list[tuple[str, int, dict[str, Any], str, str, dict[str, Any]]] = [
    # record; product and service of a rule, and what it asks for
    ("gcp-audit", 0, {}, "gcp", "gcp.audit", {"gcp.audit.method_name": "storage.objects.get"}),
    ("gcp-audit", 0, {}, "gcp", "gcp.audit", {"data.protoPayload.authorizationInfo.granted": "true"}),
    ("gcp-audit", 2, {}, "gcp", "google_workspace.login", {"eventName": "login_failure"}),
    ("google-workspace", 1, {}, "gcp", "google_workspace.login", {"eventService": "login.googleapis.com"}),
    ("google-workspace", 0, {}, "gcp", "google_workspace.admin", {"eventName": "download", "new_value": "x"}),
    ("entra-audit", 2, {}, "azure", "riskdetection", {"riskEventType": "anonymizedIPAddress"}),
    (
        "m365",
        0,
        {"Workload": "SecurityComplianceCenter", "Operation": "AlertTriggered", "Name": "Ransomware activity"},
        "m365",
        "threat_management",
        {"eventSource": "SecurityComplianceCenter", "eventName": "Ransomware activity", "status": "success"},
    ),
    ("m365", 2, {}, "m365", "audit", {"Operation": "Add-MailboxPermission", "Parameters|contains": "User"}),
    ("kubernetes", 0, {}, "kubernetes", "audit", {"objectRef.subresource": "exec"}),
]


@pytest.mark.parametrize(("source", "number", "changes", "product", "service", "asks"), RULES)
def test_a_rule_of_a_service_finds_that_service_s_records(
    source: str, number: int, changes: dict[str, Any], product: str, service: str, asks: dict[str, Any], tmp_path: Path
) -> None:
    rule = {
        "title": "Synthetic",
        "id": "00000000-0000-4000-8000-000000000001",
        "status": "test",
        "level": "low",
        "logsource": {"product": product, "service": service},
        "detection": {"selection": asks, "condition": "selection"},
    }
    (tmp_path / "rule.yml").write_text(json.dumps(rule))
    rules = load([tmp_path])
    assert not rules.problems
    reader = Reader(rules, Pseudonyms(bytes(32), "k"))
    released = reader.read(record(source, number, **changes), by_name(source), fallback_id=lambda: "x", received=NOON)
    (finding,) = released.findings
    assert finding.evidence.keys() <= by_name(source).released


@pytest.mark.parametrize(
    ("source", "number", "changes", "name"),
    [
        ("m365", 2, {"ObjectId": "somebody_home.example#EXT#@h.onmicrosoft.com"}, "user.target.name"),
        ("m365", 0, {"TargetUserOrGroupName": "somebody@home.example"}, "user.target.name"),
        (
            "entra-audit",
            0,
            {"properties__targetResources": [{"type": "User", "userPrincipalName": "a_b.example#EXT#@h.example"}]},
            "user.target.name",
        ),
        ("auth0", 1, {"user_name": "somebody@home.example"}, "user.name"),
    ],
)
def test_people_from_outside_are_not_named(source: str, number: int, changes: dict[str, Any], name: str) -> None:
    assert name not in draft(source, number, **changes).fields


def test_a_path_of_auth0_ends_before_what_may_be_an_id() -> None:
    made = draft("auth0", 0, data__details__request__path="/api/v2/users/somebody")
    assert made.fields["wardwatch.resource"] == "api/v2/users"


def test_whoever_sends_packets_from_outside_is_no_entity_to_be_remembered() -> None:
    made = draft("vpc-flow", 0, srcaddr="8.8.8.8")
    assert (made.actor, made.address, made.fields["source.ip"]) == ("device:eni-1", "", "8.8.8.8")


def test_each_stage_of_a_request_is_an_event_of_its_own() -> None:
    stages = ("RequestReceived", "ResponseStarted", "ResponseComplete")
    assert len({draft("kubernetes", 0, stage=stage).id for stage in stages}) == 3
