"""Records of identity providers as they document them; all of it synthetic."""

from __future__ import annotations

from typing import Any

__all__ = ["AUTH0", "DUO", "ENTRA_AUDIT", "ENTRA_SIGNIN", "GOOGLE_WORKSPACE", "OKTA", "ONELOGIN", "SLACK"]

ENTRA_SIGNIN: list[dict[str, Any]] = [
    {
        "time": "2026-03-01T10:00:05Z",
        "resourceId": "/tenants/t-1/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity",
        "category": "SignInLogs",
        "tenantId": "t-1",
        "resultType": "50126",
        "resultSignature": "None",
        "callerIpAddress": "192.0.2.7",
        "location": "DE",
        "properties": {
            "id": "s-1",
            "createdDateTime": "2026-03-01T10:00:00Z",
            "userId": "u-1",
            "userPrincipalName": "Synthetic.Doctor@hospital.example",
            "userDisplayName": "Synthetic Doctor",
            "appId": "a-1",
            "resourceDisplayName": "Microsoft Graph",
            "ipAddress": "192.0.2.7",
            "userAgent": "synthetic/1.0",
            "status": {"errorCode": 50126, "failureReason": "Invalid username or password"},
            "location": {"countryOrRegion": "DE", "city": "Synthetic"},
        },
    },
    {  # Microsoft Graph's shape
        "id": "s-2",
        "createdDateTime": "2026-03-01T10:00:00Z",
        "userPrincipalName": "synthetic.doctor@hospital.example",
        "userId": "u-1",
        "appId": "a-1",
        "appDisplayName": "Synthetic App",
        "ipAddress": "192.0.2.7",
        "conditionalAccessStatus": "notApplied",
        "status": {"errorCode": 0},
    },
    {
        "time": "2026-03-01T10:00:00Z",
        "category": "ServicePrincipalSignInLogs",
        "operationName": "Sign-in activity",
        "resultType": "0",
        "properties": {
            "id": "s-3",
            "servicePrincipalId": "p-1",
            "servicePrincipalName": "synthetic-app",
            "ipAddress": "",
        },
    },
]


ENTRA_AUDIT: list[dict[str, Any]] = [
    {
        "time": "2026-03-01T10:00:05Z",
        "resourceId": "/tenants/t-1/providers/Microsoft.aadiam",
        "operationName": "Add member to role",
        "category": "AuditLogs",
        "tenantId": "t-1",
        "resultSignature": "None",
        "properties": {
            "id": "Directory_1",
            "category": "RoleManagement",
            "result": "success",
            "activityDisplayName": "Add member to role",
            "activityDateTime": "2026-03-01T10:00:00.5+00:00",
            "loggedByService": "Core Directory",
            "operationType": "Assign",
            "initiatedBy": {
                "user": {"id": "u-1", "userPrincipalName": "Synthetic.Admin@hospital.example", "ipAddress": "192.0.2.7"}
            },
            "targetResources": [
                {"id": "r-1", "displayName": "Global Administrator", "type": "Role"},
                {"id": "u-2", "userPrincipalName": "synthetic.doctor@hospital.example", "type": "User"},
            ],
        },
    },
    {  # Microsoft Graph's shape
        "id": "Directory_2",
        "category": "Policy",
        "result": "failure",
        "activityDisplayName": "Delete conditional access policy",
        "activityDateTime": "2026-03-01T10:00:00Z",
        "loggedByService": "Conditional Access",
        "operationType": "Delete",
        "initiatedBy": {"app": {"servicePrincipalId": "p-1", "displayName": "Synthetic App"}, "user": None},
        "targetResources": [{"id": "c-1", "type": "Policy"}],
    },
    {
        "time": "2026-03-01T10:00:05Z",
        "category": "UserRiskEvents",
        "operationName": "User Risk Detection",
        "properties": {
            "id": "k-1",
            "riskEventType": "anonymizedIPAddress",
            "riskState": "atRisk",
            "userId": "u-1",
            "userPrincipalName": "synthetic.doctor@hospital.example",
            "ipAddress": "192.0.2.9",
            "activityDateTime": "2026-03-01T10:00:00Z",
        },
    },
]


OKTA: list[dict[str, Any]] = [
    {
        "uuid": "o-1",
        "published": "2026-03-01T10:00:00.000Z",
        "eventType": "user.session.start",
        "version": "0",
        "severity": "INFO",
        "displayMessage": "User login to Okta",
        "actor": {
            "id": "00u1",
            "type": "User",
            "alternateId": "Synthetic.Doctor@hospital.example",
            "displayName": "Synthetic Doctor",
        },
        "client": {
            "ipAddress": "192.0.2.7",
            "userAgent": {"rawUserAgent": "synthetic/1.0"},
            "geographicalContext": {"country": "Germany"},
        },
        "outcome": {"result": "FAILURE", "reason": "INVALID_CREDENTIALS"},
        "target": None,
    },
    {
        "uuid": "o-2",
        "published": "2026-03-01T10:00:00.000Z",
        "eventType": "group.user_membership.add",
        "actor": {"id": "00u1", "type": "User", "alternateId": "synthetic.admin@hospital.example"},
        "outcome": {"result": "SUCCESS"},
        "target": [
            {"id": "00u2", "type": "User", "alternateId": "synthetic.doctor@hospital.example", "displayName": "S D"},
            {"id": "00g1", "type": "UserGroup", "alternateId": "unknown", "displayName": "Synthetic Group"},
        ],
        "request": {"ipChain": [{"ip": "192.0.2.9", "version": "V4"}]},
    },
]


GOOGLE_WORKSPACE: list[dict[str, Any]] = [
    {
        "kind": "admin#reports#activity",
        "id": {
            "time": "2026-03-01T10:00:00.000Z",
            "uniqueQualifier": "-1",
            "applicationName": "drive",
            "customerId": "C1",
        },
        "actor": {"callerType": "USER", "email": "Synthetic.Doctor@hospital.example", "profileId": "1"},
        "ipAddress": "2001:db8::7",
        "type": "access",
        "name": "download",
        "parameters": [
            {"name": "doc_id", "value": "f-1"},
            {"name": "doc_title", "value": "Synthetic title"},
            {"name": "billable", "boolValue": True},
            {"name": "new_value", "multiValue": ["x"]},
        ],
    },
    {
        "id": {"time": "2026-03-01T10:00:00.000Z", "applicationName": "login"},
        "actor": {"profileId": ""},
        "type": "login",
        "name": "login_failure",
        "parameters": {
            "affected_email_address": "synthetic.doctor@hospital.example",
            "login_failure_type": "bad_password",
        },
    },
]


SLACK: list[dict[str, Any]] = [
    {
        "id": "l-1",
        "date_create": 1_772_359_200,
        "action": "role_change_to_admin",
        "actor": {
            "type": "user",
            "user": {"id": "W1", "name": "Synthetic Admin", "email": "synthetic.admin@h.example"},
        },
        "entity": {"type": "user", "user": {"id": "U2", "name": "Synthetic Doctor", "email": "synthetic.d@h.example"}},
        "context": {"ip_address": "192.0.2.7", "ua": "synthetic/1.0", "location": {"id": "T1", "name": "synthetic"}},
    },
    {
        "date_create": "2026-03-01 10:00:00",
        "action": "file_downloaded",
        "actor": {"type": "user", "user": {"id": "W1"}},
        "entity": {"type": "file", "file": {"id": "F1", "name": "synthetic-0001.pdf", "title": "Synthetic title"}},
        "context": {"ip_address": ""},
    },
]


AUTH0: list[dict[str, Any]] = [
    {
        "log_id": "a-1",
        "data": {
            "date": "2026-03-01T10:00:00.000Z",
            "type": "sapi",
            "description": "Update a user",
            "client_id": "c-1",
            "ip": "192.0.2.7",
            "user_id": "auth0|admin",
            "user_agent": "synthetic/1.0",
            "details": {
                "request": {
                    "method": "patch",
                    "path": "/api/v2/users/auth0%7Csynthetic-0001",
                    "auth": {"user": {"email": "Synthetic.Admin@hospital.example", "name": "Synthetic Admin"}},
                },
                "response": {"statusCode": 403},
            },
        },
    },
    {
        "log_id": "a-2",
        "date": "2026-03-01T10:00:00.000Z",
        "type": "fp",
        "connection": "Portal",
        "user_id": "auth0|1",
        "user_name": "synthetic-0001@home.example",
    },
]


DUO: list[dict[str, Any]] = [
    {
        "txid": "d-1",
        "event_type": "authentication",
        "isotimestamp": "2026-03-01T10:00:00.000000+00:00",
        "timestamp": 1_772_359_200,
        "result": "fraud",
        "reason": "user_marked_fraud",
        "factor": "duo_push",
        "user": {"key": "DU1", "name": "Synthetic.Doctor@hospital.example"},
        "application": {"key": "DI1", "name": "VPN"},
        "access_device": {"ip": "192.0.2.7"},
        "auth_device": {"ip": "192.0.2.9", "name": "555-0100"},
    },
    {
        "action": "user_delete",
        "timestamp": 1_772_359_200,
        "username": "Synthetic Admin",
        "object": "synthetic.doctor@hospital.example",
        "description": '{"ip_address": "192.0.2.9", "phone": "555-0100"}',
    },
]


ONELOGIN: list[dict[str, Any]] = [
    {
        "uuid": "n-1",
        "event_timestamp": "2026-03-01 10:00:00 UTC",
        "event_type_id": "6",
        "account_id": 1,
        "user_id": 7,
        "user_name": "Synthetic Doctor",
        "actor_user_id": None,
        "ipaddr": "192.0.2.7",
    },
    {
        "id": 2,
        "created_at": "2026-03-01T10:00:00Z",
        "event_type_id": 4,
        "actor_user_id": 8,
        "user_id": 7,
        "role_name": "r",
    },
]
