"""What the records of clouds and identity providers become: who did what to what, when, and how it went."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import outside_clouds as outside
import pytest
from cloud_records import CLOUDS
from outside_cloudtrail import lines

from detectors.rules import load
from streams.pipeline import Reader
from streams.pseudonyms import Pseudonyms
from streams.sources.base import BadRecord, Draft
from streams.sources.catalog import by_name, recognise
from streams.sources.checks import EXPECTED
from streams.sources.parts import UNTIMED, network, when
from streams.sources.verbs import kind, paired
from streams.wrappers import unwrap

NOON = 1_772_366_400_000  #: 2026-03-01T12:00:00Z
UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"


def record(source: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    """One of the synthetic records with parts of it replaced; a dotted name goes inside, with ``__`` for the dot."""
    made: dict[str, Any] = json.loads(json.dumps(CLOUDS[source][number]))
    for name, value in changes.items():
        *path, last = name.split("__")
        at = made
        for step in path:
            at = at.setdefault(step, {})
        at[last.replace("_dash_", "-")] = value
    return made


def draft(source: str, number: int = 0, **changes: Any) -> Draft:
    return by_name(source).normalise(record(source, number, **changes))


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


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T13:00:00+01:00", NOON),
        ("2026-03-01 12:00:00.000000000", NOON),
        ("2026-03-01 12:00:00.000 UTC", NOON),
        (NOON // 1000, NOON),
        (NOON / 1000 + 0.25, NOON + 250),
        (str(NOON // 1000), NOON),
        (f"{NOON // 1000}.5", NOON + 500),
        (NOON, NOON),
        (str(NOON), NOON),
        (NOON * 1000, NOON),
        (NOON * 1_000_000, NOON),
        (None, UNTIMED),
        ("", UNTIMED),
        ("-", UNTIMED),
    ],
)
def test_times_of_vendors(value: object, want: int) -> None:
    assert when({"at": value}, "at") == want


@pytest.mark.parametrize(
    "value", ["yesterday", "2026-03-01", 0, -1, 10**40, "9" * 30, "-5", True, [], {}, "٣٣٣٣٣٣٣٣٣٣"]
)
def test_a_time_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(BadRecord, match=r"^at "):
        when({"at": value}, "at")


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        ("192.0.2.7", ("192.0.2.7", 0)),
        ("192.0.2.7:44321", ("192.0.2.7", 44321)),
        ("[2001:DB8::7]:443", ("2001:db8::7", 443)),
        ("2001:db8:0::7", ("2001:db8::7", 0)),
        ("::ffff:192.0.2.7", ("192.0.2.7", 0)),
        ("192.0.2.7:99999", ("192.0.2.7", 0)),
        ("<null>", ("", 0)),
        ("ward 7", ("", 0)),
        (7, ("", 0)),
        (None, ("", 0)),
    ],
)
def test_addresses_as_they_are_written(raw: object, want: tuple[str, int]) -> None:
    assert network(raw) == want


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("CreateUser", "creation"),
        ("google.cloud.run.v1.Services.CreateService", "creation"),
        ("setIamPermissions", "change"),
        ("repo.destroy", "deletion"),
        ("REMOVE_PRIVILEGE", "deletion"),
        ("FileDownloaded", "access"),
        ("Add member to role.", "change"),
        ("addGroupMember", "change"),
        ("Add user", "creation"),
        ("Remove member from group", "change"),
        ("inboundSsoProfileDeleted", "deletion"),
        ("FileModified", "change"),
        ("SearchQueryPerformed", "access"),
        ("something", "change"),
    ],
)
def test_the_verb_of_an_action_tells_its_type(name: str, want: str) -> None:
    assert kind(name) == want


def test_every_type_is_one_that_ecs_expects_beside_its_category() -> None:
    for category in ("iam", "authentication", "session", "configuration", "file", "database", "email", "web"):
        for type_ in ("access", "creation", "deletion", "change", "start", "end"):
            assert paired(category, type_) in EXPECTED[category]


OUTCOMES: list[tuple[str, int, dict[str, Any], str]] = [
    *[
        ("azure-activity", 0, {"resultType": said}, want)
        for said, want in [
            ("Success", "success"),
            ("Succeeded", "success"),
            ("Failure", "failure"),
            ("Failed", "failure"),
            ("Start", "unknown"),
            ("Started", "unknown"),
            ("Accept", "unknown"),
            ("200", "success"),
            (403, "failure"),
        ]
    ],
    ("azure-activity", 0, {"operationName": "Microsoft.Authorization/policies/deny/action"}, "failure"),
    ("azure-activity", 2, {"statusCode": "206"}, "success"),
    (
        "azure-activity",
        2,
        {"statusCode": None, "statusText": None, "properties__metricResponseType": "SASSuccess"},
        "unknown",
    ),
    ("entra-signin", 0, {"properties__status__errorCode": 0}, "success"),
    ("entra-signin", 0, {"properties__status__errorCode": "50053"}, "failure"),
    ("entra-signin", 0, {"properties__status__errorCode": 53003}, "failure"),
    ("entra-signin", 0, {"properties__status__errorCode": 50074}, "unknown"),
    ("entra-signin", 0, {"properties__status": None, "resultType": 7000215}, "failure"),
    ("entra-signin", 0, {"properties__status": None, "resultType": "Success"}, "success"),
    ("entra-audit", 0, {"properties__result": "failure"}, "failure"),
    ("entra-audit", 0, {"properties__result": "timeout"}, "failure"),
    ("entra-audit", 0, {"properties__result": "", "resultType": ""}, "unknown"),
    ("gcp-audit", 0, {"protoPayload__status__code": 7}, "failure"),
    ("gcp-audit", 0, {"protoPayload__status__code": "5"}, "failure"),
    ("gcp-audit", 0, {"protoPayload__status__code": 2}, "unknown"),
    ("gcp-audit", 0, {"protoPayload__authorizationInfo": [{"granted": "false"}]}, "failure"),
    ("gcp-audit", 0, {"protoPayload__status": None}, "success"),
    *[
        ("okta", 0, {"outcome__result": said}, want)
        for said, want in [
            ("SUCCESS", "success"),
            ("ALLOW", "success"),
            ("DENY", "failure"),
            ("RATE_LIMIT", "failure"),
            ("CHALLENGE", "unknown"),
            ("SKIPPED", "unknown"),
            (None, "unknown"),
        ]
    ],
    ("github", 0, {"action": "user.failed_login"}, "failure"),
    ("github", 0, {"action": "workflows.completed_workflow_run", "conclusion": "failure"}, "failure"),
    ("google-workspace", 1, {"name": "login_success", "parameters": []}, "success"),
    ("google-workspace", 1, {"name": "login_challenge", "parameters": {}}, "unknown"),
    ("google-workspace", 0, {"name": "email_forwarding_out_of_domain_blocked"}, "failure"),
    *[
        ("m365", 2, {"ResultStatus": said}, want)
        for said, want in [
            ("True", "success"),
            ("Succeeded", "success"),
            ("PartiallySucceeded", "success"),
            ("Failed", "failure"),
            ("False", "failure"),
            (False, "failure"),
            (None, "success"),
        ]
    ],
    ("m365", 1, {"LogonError": None}, "failure"),
    ("m365", 0, {"Workload": "SecurityComplianceCenter", "Operation": "AlertTriggered"}, "unknown"),
    ("kubernetes", 0, {"responseStatus": {"code": 403}}, "failure"),
    ("kubernetes", 0, {"responseStatus": None, "stage": "RequestReceived"}, "unknown"),
    ("kubernetes", 0, {"responseStatus": None, "stage": "Panic"}, "failure"),
    ("kubernetes", 0, {"responseStatus": {}, "annotations": {"authorization.k8s.io/decision": "forbid"}}, "failure"),
    ("vpc-flow", 0, {"action": "ACCEPT"}, "success"),
    ("vpc-flow", 0, {"action": None}, "unknown"),
]


@pytest.mark.parametrize(("source", "number", "changes", "want"), OUTCOMES)
def test_outcomes(source: str, number: int, changes: dict[str, Any], want: str) -> None:
    assert draft(source, number, **changes).fields["event.outcome"] == want


ACTORS: list[tuple[str, int, dict[str, Any], str]] = [
    ("azure-activity", 0, {"identity__claims": {"appid": "A-1"}}, "user:o-1"),
    ("azure-activity", 0, {"identity": {"claims": {"appid": "A-1"}}}, "user:a-1"),
    ("azure-activity", 0, {"identity": json.dumps({"claims": {UPN: "x@hospital.example"}})}, "user:x@hospital.example"),
    ("azure-activity", 0, {"identity": None}, "address:192.0.2.7"),
    ("azure-activity", 0, {"identity": None, "callerIpAddress": None}, "user:microsoft.compute"),
    ("azure-activity", 0, {"identity": None, "callerIpAddress": "0.0.0.0"}, "user:microsoft.compute"),
    ("azure-activity", 2, {"identity": {"type": "Anonymous"}}, "address:192.0.2.7"),
    ("entra-signin", 0, {"properties__userPrincipalName": "u-1"}, "user:u-1"),
    ("entra-audit", 0, {"properties__initiatedBy": {"app": {"appId": "a-1"}}}, "user:a-1"),
    ("entra-audit", 0, {"properties__initiatedBy": None}, "user:Core Directory"),
    (
        "gcp-audit",
        0,
        {"protoPayload__authenticationInfo": {"principalSubject": "user:x@y.example"}},
        "user:x@y.example",
    ),
    (
        "gcp-audit",
        0,
        {"protoPayload__authenticationInfo": {"authoritySelector": "system:anonymous"}},
        "user:system:anonymous",
    ),
    ("gcp-audit", 0, {"protoPayload__authenticationInfo": {}}, "address:192.0.2.7"),
    ("gcp-audit", 2, {"protoPayload__authenticationInfo": None}, "user:login.googleapis.com"),
    ("okta", 0, {"actor": {"id": "0oa1", "type": "PublicClientApp", "alternateId": "app"}}, "user:0oa1"),
    ("okta", 0, {"actor": {"id": "unknown", "type": "User", "alternateId": "unknown"}}, "user:unknown"),
    ("okta", 0, {"actor": None}, "address:192.0.2.7"),
    ("okta", 0, {"actor": None, "target": [{"type": "User", "id": "00u9"}]}, "user:00u9"),
    ("github", 0, {"actor": "Robot[bot]"}, "user:robot[bot]"),
    ("github", 0, {"actor": ""}, "user:7"),
    ("google-workspace", 0, {"actor": {"callerType": "KEY", "key": "SYSTEM"}}, "user:SYSTEM"),
    ("google-workspace", 0, {"actor": {"profileId": 105}}, "user:105"),
    ("m365", 0, {"UserId": "NT AUTHORITY\\SYSTEM (synthetic)"}, "user:NT AUTHORITY\\SYSTEM (synthetic)"),
    ("m365", 0, {"UserId": "ServicePrincipal_1"}, "user:ServicePrincipal_1"),
    ("m365", 1, {"Actor": None}, "address:2001:db8::7"),
    (
        "kubernetes",
        0,
        {"user__username": "system:serviceaccount:pacs:viewer"},
        "user:system:serviceaccount:pacs:viewer",
    ),
    ("kubernetes", 0, {"user": None}, "address:192.0.2.7"),
    ("kubernetes", 1, {"user": None}, "user:system:unknown"),
]


@pytest.mark.parametrize(("source", "number", "changes", "want"), ACTORS)
def test_actors(source: str, number: int, changes: dict[str, Any], want: str) -> None:
    assert draft(source, number, **changes).actor == want


KINDS: list[tuple[str, int, dict[str, Any], str]] = [
    *[
        ("azure-activity", 0, {"operationName": operation}, want)
        for operation, want in [
            ("Microsoft.Compute/virtualMachines/start/action", "host start"),
            ("Microsoft.Compute/virtualMachines/write", "host change"),
            ("Microsoft.Compute/virtualMachines/delete", "host end"),
            ("Microsoft.Compute/virtualMachines/runCommand/action", "host change"),
            ("Microsoft.Sql/servers/databases/delete", "database change"),
            ("Microsoft.KeyVault/vaults/secrets/getSecret/action", "configuration access"),
            ("Microsoft.KeyVault/vaults/keys/purge/action", "configuration deletion"),
            ("Microsoft.Storage/storageAccounts/listKeys/action", "configuration access"),
            ("Microsoft.Authorization/roleAssignments/delete", "iam deletion"),
            ("Microsoft.Authorization/elevateAccess/action", "iam admin"),
            ("Microsoft.Authorization/policies/audit/action", "configuration info"),
            ("VaultGet", "configuration access"),
        ]
    ],
    ("azure-activity", 0, {"category": "Security"}, "intrusion_detection info"),
    ("azure-activity", 2, {"operationName": "PutBlob"}, "file creation"),
    ("azure-activity", 2, {"operationName": "DeleteFile", "category": "StorageDelete"}, "file deletion"),
    *[
        ("okta", 0, {"eventType": type_}, want)
        for type_, want in [
            ("user.session.end", "authentication end"),
            ("user.authentication.sso", "authentication start"),
            ("policy.lifecycle.update", "configuration change"),
            ("zone.delete", "configuration deletion"),
            ("user.lifecycle.create", "iam creation"),
            ("user.mfa.factor.deactivate", "iam change"),
            ("security.threat.detected", "intrusion_detection info"),
        ]
    ],
    *[
        ("github", 0, {"action": action, "operation_type": None}, want)
        for action, want in [
            ("repo.access", "configuration change"),
            ("repo.add_member", "iam change"),
            ("repo.destroy", "configuration deletion"),
            ("git.push", "file change"),
            ("public_key.create", "iam creation"),
            ("user.login", "authentication start"),
            ("workflows.completed_workflow_run", "process end"),
        ]
    ],
    *[
        ("m365", 0, {"Operation": operation}, want)
        for operation, want in [
            ("FileUploaded", "file creation"),
            ("FileDeleted", "file deletion"),
            ("FileAccessed", "file access"),
            ("SharingSet", "file change"),
            ("AnonymousLinkUsed", "file access"),
        ]
    ],
    ("m365", 0, {"Workload": "Exchange", "Operation": "MailItemsAccessed", "RecordType": 50}, "email info"),
    ("m365", 2, {"Operation": "New-InboxRule"}, "configuration creation"),
    ("m365", 0, {"Workload": "AzureActiveDirectory", "Operation": "Add member to role."}, "iam change"),
    ("m365", 0, {"Workload": "MicrosoftTeams", "Operation": "MemberAdded"}, "iam change"),
    ("m365", 0, {"Workload": "PowerBI", "Operation": "ViewReport"}, "api access"),
    *[
        ("gcp-audit", 0, {"protoPayload__methodName": method, "protoPayload__serviceName": service}, want)
        for method, service, want in [
            ("SetIamPolicy", "cloudresourcemanager.googleapis.com", "iam change"),
            ("v1.compute.instances.insert", "compute.googleapis.com", "host start"),
            ("v1.compute.firewalls.delete", "compute.googleapis.com", "configuration deletion"),
            ("io.k8s.core.v1.pods.exec.create", "k8s.io", "process start"),
            ("google.cloud.bigquery.v2.JobService.InsertJob", "bigquery.googleapis.com", "database change"),
        ]
    ],
    ("kubernetes", 1, {"verb": "patch"}, "iam change"),
    ("kubernetes", 1, {"verb": "deletecollection", "objectRef__resource": "secrets"}, "configuration deletion"),
]


@pytest.mark.parametrize(("source", "number", "changes", "want"), KINDS)
def test_kinds(source: str, number: int, changes: dict[str, Any], want: str) -> None:
    fields = draft(source, number, **changes).fields
    assert f"{fields['event.category'][0]} {fields['event.type'][0]}" == want


@pytest.mark.parametrize(
    ("source", "number", "changes", "reason"),
    [
        ("azure-activity", 0, {"operationName": 7}, "operationName is no text"),
        ("azure-activity", 0, {"time": "soon"}, "time is no RFC 3339"),
        ("entra-signin", 2, {"properties": {}}, "neither a user nor an application"),
        ("gcp-audit", 0, {"protoPayload": {}}, "protoPayload.methodName is missing"),
        ("okta", 0, {"eventType": None}, "eventType is missing"),
        ("github", 0, {"action": " "}, "action is no text"),
        ("google-workspace", 0, {"name": None, "type": 1.5}, "name is missing"),
        ("m365", 0, {"Operation": []}, "Operation is no text"),
        ("kubernetes", 0, {"verb": 7}, "verb is no text"),
        ("vpc-flow", 0, {"srcaddr": "here"}, "srcaddr or dstaddr is no IP address"),
    ],
)
def test_what_says_too_little_is_refused_with_its_reason(
    source: str, number: int, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadRecord, match=reason):
        draft(source, number, **changes)


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


SHAPES: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    # what comes in, and source, actor, action, outcome
    "a row of AzureActivity": (
        {
            "TimeGenerated": "2026-03-01T12:00:00Z",
            "OperationName": "Delete Network Security Group",
            "OperationNameValue": "MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/DELETE",
            "CategoryValue": "Administrative",
            "ActivityStatusValue": "Failure",
            "Caller": "x@hospital.example",
            "CallerIpAddress": "192.0.2.7",
        },
        "azure-activity",
        "user:x@hospital.example",
        "MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/DELETE",
        "failure",
    ),
    "a vault that refuses": (
        {
            "time": "2026-03-01T12:00:00Z",
            "category": "AuditEvent",
            "operationName": "SecretGet",
            "resourceId": "/SUBSCRIPTIONS/S/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/V",
            "resultType": "Success",
            "resultSignature": "Forbidden",
            "callerIPAddress": "192.0.2.7",
            "identity": {"claim": {"oid": "o-1", "appid": "a-1"}},
            "properties": {"httpStatusCode": 403, "id": "https://v.vault.azure.net/secrets/s"},
        },
        "azure-activity",
        "user:o-1",
        "SecretGet",
        "failure",
    ),
    "a row of AuditLogs": (
        {
            "TimeGenerated": "2026-03-01T12:00:00Z",
            "OperationName": "Add user",
            "Category": "UserManagement",
            "LoggedByService": "Core Directory",
            "ActivityDisplayName": "Add user",
            "Result": "success",
            "InitiatedBy": json.dumps({"user": {"userPrincipalName": "x@hospital.example", "id": "u-1"}}),
            "TargetResources": json.dumps([{"type": "User", "id": "u-2"}]),
        },
        "entra-audit",
        "user:x@hospital.example",
        "Add user",
        "success",
    ),
    "a row of SigninLogs": (
        {
            "TimeGenerated": "2026-03-01T12:00:00Z",
            "Category": "SignInLogs",
            "OperationName": "Sign-in activity",
            "ResultType": "50053",
            "UserPrincipalName": "x@hospital.example",
            "IPAddress": "192.0.2.7",
            "Status": json.dumps({"errorCode": 50053}),
        },
        "entra-signin",
        "user:x@hospital.example",
        "Sign-in activity",
        "failure",
    ),
    "flows as Panther names them": (
        {
            "version": 2,
            "account": "000000000001",
            "interfaceId": "eni-1",
            "srcAddr": "10.0.0.1",
            "dstAddr": "192.0.2.1",
            "dstPort": 22,
            "start": "2026-03-01 12:00:00.000",
            "action": "ACCEPT",
            "status": "OK",
        },
        "vpc-flow",
        "address:10.0.0.1",
        "ACCEPT",
        "success",
    ),
    "GitHub with both its times": (
        {"action": "repo.destroy", "actor": "x", "org": "o", "created_at": NOON, "@timestamp": NOON},
        "github",
        "user:x",
        "repo.destroy",
        "success",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_that_shippers_and_warehouses_give(shape: str) -> None:
    given, name, actor, action, outcome = SHAPES[shape]
    source = recognise(given, "audit.cloud")
    made = source.normalise(given)
    assert (source.name, made.actor, made.time) == (name, actor, NOON)
    assert (made.fields["event.action"], made.fields["event.outcome"]) == (action, outcome)
    assert made.address == ("address:192.0.2.7" if "192.0.2.7" in given.values() else made.address)


def test_whoever_sends_packets_from_outside_is_no_entity_to_be_remembered() -> None:
    made = draft("vpc-flow", 0, srcaddr="8.8.8.8")
    assert (made.actor, made.address, made.fields["source.ip"]) == ("device:eni-1", "", "8.8.8.8")


def test_each_stage_of_a_request_is_an_event_of_its_own() -> None:
    stages = ("RequestReceived", "ResponseStarted", "ResponseComplete")
    assert len({draft("kubernetes", 0, stage=stage).id for stage in stages}) == 3


def outside_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any], Mapping[str, Any]]]:
    """Line, the record as it lies there, and the one it holds or is."""
    for number, line in enumerate((path / "panther" / "rule_unit_tests.jsonl").read_text().splitlines(), 1):
        case = json.loads(line)
        if case["log_type"] != "AWS.CloudTrail":
            held = unwrap(case["event"]) if "log" in case["event"].get("properties", {}) else None
            yield number, case["event"], held[0] if held else case["event"]


def table(of: Mapping[str, str]) -> dict[int, str]:
    return {line: value for value, spans in of.items() for line in lines(spans)}


def test_public_rules_unit_tests_are_what_the_table_says(outside_data: Path) -> None:
    sources, actors, kinds = table(outside.SOURCES), table(outside.ACTORS), table(outside.KINDS)
    outcomes, targets, refused = table(outside.OUTCOMES), table(outside.TARGETS), table(outside.REFUSED)
    objects, untimed = table(outside.OBJECTS), lines(outside.UNTIMED)
    assert sources.keys() == actors.keys() == kinds.keys() == outcomes.keys()
    tried = 0
    for number, lay, one in outside_records(outside_data):
        tried += 1
        if number in refused:
            with pytest.raises(BadRecord) as said:
                recognise(lay).normalise(lay)
            assert str(said.value).startswith(refused[number]), number
            continue
        source = recognise(one)
        made = source.normalise(one)
        fields = made.fields
        assert source.name == sources[number], number
        assert made.actor == actors[number], number
        assert f"{fields['event.category'][0]} {fields['event.type'][0]}" == kinds[number], number
        assert fields["event.outcome"] == outcomes[number], number
        assert fields["event.action"] == vendors_action(source.name, one), number
        assert made.time == (UNTIMED if number in untimed else vendors_time(source.name, one)), number
        thing = objects.get(number, "") if source.name in JUDGED else vendors_object(source.name, one)
        assert fields.get("wardwatch.resource", "") == thing, number
        assert (fields.get("user.target.name") or fields.get("user.target.id", "")) == targets.get(number, ""), number
    assert tried == len(sources) + len(refused)


JUDGED = ("slack", "auth0", "duo", "onelogin", "okta", "entra-audit", "entra-signin", "gcp-audit", "google-workspace")


ONELOGIN = {
    5: "USER_LOGGED_INTO_ONELOGIN",
    6: "USER_FAILED_ONELOGIN_LOGIN",
    13: "CREATED_USER",
    **{number: f"event_type_{number}" for number in (8, 11, 90, 240, 531, 551, 553)},
}


def _any(one: Mapping[str, Any], *names: str) -> Any:
    return next((one[name] for name in names if one.get(name) is not None), None)


def vendors_action(source: str, one: Mapping[str, Any]) -> str:
    """The vendor's own word for what was done."""
    if source == "onelogin":
        return ONELOGIN[int(one["event_type_id"])]
    if source == "gcp-audit":
        payload = _any(one, "protoPayload", "protopayload")
        inside = payload.get("metadata", {})
        return str(
            payload.get("methodName") or inside.get("methodName") or payload["authorizationInfo"][0]["permission"]
        )
    found = {
        "kubernetes": one.get("verb", "request"),
        "azure-activity": one.get("operationName"),
        "entra-audit": one.get("operationName"),
        "entra-signin": _any(one, "operationName", "operationname"),
        "okta": _any(one, "eventType", "eventtype"),
        "github": one.get("action"),
        "google-workspace": _any(one, "name", "type"),
        "slack": one.get("action"),
        "auth0": one.get("data", {}).get("type"),
        "duo": _any(one, "action", "event_type"),
    }[source]
    return str(found["value"] if isinstance(found, dict) else found)


def vendors_time(source: str, one: Mapping[str, Any]) -> int:
    inside = one.get("properties", {})
    payload = _any(one, "protoPayload", "protopayload") or {}
    said = {
        "slack": one.get("date_create"),
        "auth0": one.get("data", {}).get("date"),
        "duo": one.get("isotimestamp"),
        "kubernetes": one.get("requestReceivedTimestamp"),
        "azure-activity": one.get("time"),
        "entra-audit": inside.get("activityDateTime"),
        "entra-signin": inside.get("createdDateTime") or one.get("time"),
        "gcp-audit": one.get("timestamp") or payload.get("timestamp"),
        "okta": one.get("published"),
        "github": _any(one, "@timestamp", "created_at"),
        "google-workspace": one["id"].get("time") if isinstance(one.get("id"), dict) else None,
    }[source]
    if isinstance(said, int | float):
        return int(said)
    at = datetime.fromisoformat(said)
    return round((at if at.tzinfo else datetime.fromisoformat(f"{said}+00:00")).timestamp() * 1000)


def vendors_object(source: str, one: Mapping[str, Any]) -> str:
    if source == "azure-activity":
        account = one.get("properties", {}).get("accountName", "")
        return str(one.get("resourceId", "")).lower() or (f"storageaccounts/{account}" if account else "")
    if source == "kubernetes":
        named = one.get("objectRef", {})
        return "/".join(filter(None, (named.get(n) for n in ("namespace", "resource", "name", "subresource"))))
    if one["action"].startswith("team."):
        return str(one["data"]["team"])
    return str(_any(one, "repo", "repository", "org") or "")


def test_other_public_records_are_recognised_and_read(outside_data: Path) -> None:
    want = {
        "aws_cloudtrail": ("cloudtrail", "ListBuckets", "success"),
        "azure_activitylogs": ("azure-activity", "Microsoft.Network/azureFirewalls/write", "unknown"),
        "azure_signinlogs": ("entra-signin", "Sign-in activity", "success"),
        "gcp_audit": ("gcp-audit", "storage.buckets.list", "success"),
        "k8s_audit": ("kubernetes", "list", "success"),
        "okta_system_log": ("okta", "user.lifecycle.activate.pre_auth", "success"),
    }
    tried = 0
    for line in map(json.loads, (outside_data / "source_detection" / "raw_event_kind.jsonl").read_text().splitlines()):
        if line["source"] not in want:  # of a desktop, which is no source here
            with pytest.raises(BadRecord, match="shape of no source"):
                recognise(line["event"])
            continue
        tried += 1
        source = recognise(line["event"])
        fields = source.normalise(line["event"]).fields
        assert (source.name, fields["event.action"], fields["event.outcome"]) == want[line["source"]]
    assert tried == len(want)
