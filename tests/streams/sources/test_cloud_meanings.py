"""How it went, who did it and what kind of thing it was, as each vendor says it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloud_records import draft

from streams.sources.base import BadRecord
from streams.sources.catalog import recognise

NOON = 1_772_366_400_000  #: 2026-03-01T12:00:00Z

UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"


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
