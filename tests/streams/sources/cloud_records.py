"""Records of clouds and identity providers as they are documented by those who write them; all of it synthetic."""

from __future__ import annotations

from typing import Any

__all__ = ["CLOUDS"]

_UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
_OID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_VM = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/synthetic-rg/providers/Microsoft.Compute"

AZURE_ACTIVITY: list[dict[str, Any]] = [
    {
        "time": "2026-03-01T10:00:00.1234567Z",
        "resourceId": f"{_VM}/virtualMachines/synthetic-vm",
        "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/DEALLOCATE/ACTION",
        "category": "Administrative",
        "resultType": "Success",
        "resultSignature": "Succeeded.",
        "callerIpAddress": "192.0.2.7",
        "location": "global",
        "tenantId": "00000000-0000-0000-0000-00000000000a",
        "identity": {
            "authorization": {"evidence": {"role": "Owner", "principalId": "o-1", "principalType": "User"}},
            "claims": {_UPN: "Synthetic.Admin@hospital.example", _OID: "o-1", "appid": "a-1"},
        },
        "properties": {"statusCode": "OK", "serviceRequestId": "s-1"},
    },
    {  # the REST API's shape
        "eventDataId": "e-1",
        "eventTimestamp": "2026-03-01T10:00:00Z",
        "operationName": {"value": "Microsoft.Authorization/roleAssignments/write", "localizedValue": "Create"},
        "category": {"value": "Administrative"},
        "status": {"value": "Failed"},
        "caller": "synthetic.admin@hospital.example",
        "resourceId": "/subscriptions/s-1/providers/Microsoft.Authorization/roleAssignments/r-1",
        "resourceProviderName": {"value": "Microsoft.Authorization"},
        "httpRequest": {"clientIpAddress": "2001:db8::7", "method": "PUT"},
        "claims": {"appid": "a-1"},
        "subscriptionId": "s-1",
    },
    {  # a resource log
        "time": "2026-03-01T10:00:00Z",
        "category": "StorageRead",
        "operationName": "GetBlob",
        "statusCode": 403,
        "statusText": "AuthorizationFailure",
        "callerIpAddress": "192.0.2.7:44321",
        "identity": {"type": "OAuth", "requester": {"objectId": "o-2", "upn": "synthetic.doctor@hospital.example"}},
        "properties": {"accountName": "syntheticstore", "objectKey": "/syntheticstore/scans/synthetic-0001.dcm"},
        "uri": "https://syntheticstore.blob.core.windows.net/scans/synthetic-0001.dcm",
        "resourceId": "",
    },
]

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

GCP_AUDIT: list[dict[str, Any]] = [
    {
        "insertId": "i-1",
        "logName": "projects/synthetic-project/logs/cloudaudit.googleapis.com%2Fdata_access",
        "timestamp": "2026-03-01T10:00:00.123456789Z",
        "resource": {"type": "gcs_bucket", "labels": {"project_id": "synthetic-project", "location": "europe-west3"}},
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "serviceName": "storage.googleapis.com",
            "methodName": "storage.objects.get",
            "resourceName": "projects/_/buckets/synthetic-scans/objects/synthetic-0001.dcm",
            "status": {},
            "authenticationInfo": {
                "principalEmail": "Synthetic.Doctor@hospital.example",
                "principalSubject": "user:Synthetic.Doctor@hospital.example",
            },
            "authorizationInfo": [{"granted": True, "permission": "storage.objects.get", "resource": "x"}],
            "requestMetadata": {"callerIp": "192.0.2.7", "callerSuppliedUserAgent": "synthetic/1.0"},
        },
    },
    {
        "insertId": "i-2",
        "timestamp": "2026-03-01T10:00:00Z",
        "protoPayload": {
            "serviceName": "iam.googleapis.com",
            "methodName": "google.iam.admin.v1.CreateServiceAccountKey",
            "resourceName": "projects/-/serviceAccounts/1",
            "status": {"code": 7, "message": "synthetic denial"},
            "authenticationInfo": {
                "serviceAccountDelegationInfo": [
                    {"firstPartyPrincipal": {"principalEmail": "robot@synthetic-project.iam.gserviceaccount.com"}}
                ]
            },
        },
    },
    {
        "timestamp": "2026-03-01T10:00:00Z",
        "protoPayload": {
            "serviceName": "login.googleapis.com",
            "methodName": "google.login.LoginService.loginFailure",
            "authenticationInfo": {"principalEmail": "synthetic.doctor@hospital.example"},
            "metadata": {"event": [{"eventName": "login_failure", "parameter": [{"name": "x", "value": "y"}]}]},
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

GITHUB: list[dict[str, Any]] = [
    {
        "@timestamp": 1_772_359_200_123,
        "_document_id": "d-1",
        "action": "org.add_member",
        "actor": "synthetic-admin",
        "actor_id": 7,
        "actor_ip": "192.0.2.7",
        "actor_is_bot": False,
        "actor_location": {"country_code": "DE"},
        "org": "synthetic-hospital",
        "org_id": 1,
        "user": "synthetic-doctor",
        "user_id": 8,
        "operation_type": "create",
        "user_agent": "synthetic/1.0",
    },
    {"created_at": "1772359200", "action": "git.clone", "actor": None, "repo": "synthetic-hospital/viewer"},
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

M365: list[dict[str, Any]] = [
    {
        "CreationTime": "2026-03-01T10:00:00",
        "Id": "m-1",
        "Operation": "FileDownloaded",
        "OrganizationId": "t-1",
        "RecordType": 6,
        "UserType": 0,
        "UserKey": "i:0h.f|membership|1@live.com",
        "UserId": "Synthetic.Doctor@hospital.example",
        "Workload": "SharePoint",
        "ClientIP": "192.0.2.7",
        "SiteUrl": "https://synthetic.sharepoint.com/sites/radiology/",
        "ObjectId": "https://synthetic.sharepoint.com/sites/radiology/Shared Documents/synthetic-0001.pdf",
        "UserAgent": "synthetic/1.0",
    },
    {
        "CreationTime": "2026-03-01T10:00:00",
        "Id": "m-2",
        "Operation": "UserLoginFailed",
        "RecordType": 15,
        "UserType": 0,
        "UserId": "Not Available",
        "UserKey": "Not Available",
        "Workload": "AzureActiveDirectory",
        "ActorIpAddress": "[2001:db8::7]:50000",
        "Actor": [{"ID": "u-1", "Type": 0}, {"ID": "synthetic.doctor@hospital.example", "Type": 5}],
        "LogonError": "InvalidUserNameOrPassword",
        "ErrorNumber": "50126",
        "ResultStatus": "Success",
        "ExtendedProperties": [{"Name": "UserAgent", "Value": "synthetic/1.0"}],
    },
    {
        "CreationTime": "2026-03-01T10:00:00",
        "Id": "m-3",
        "Operation": "Add-MailboxPermission",
        "RecordType": 1,
        "UserType": 2,
        "UserId": "synthetic.admin@hospital.example",
        "Workload": "Exchange",
        "ResultStatus": "True",
        "ObjectId": "synthetic.doctor@hospital.example",
        "Parameters": [{"Name": "User", "Value": "x"}],
    },
]

KUBERNETES: list[dict[str, Any]] = [
    {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": "k-1",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/pacs/pods/viewer/exec?command=sh",
        "verb": "create",
        "user": {"username": "synthetic-admin", "uid": "1", "groups": ["system:authenticated"]},
        "impersonatedUser": {"username": "system:serviceaccount:pacs:viewer"},
        "sourceIPs": ["192.0.2.7", "198.51.100.1"],
        "userAgent": "kubectl/1",
        "objectRef": {
            "resource": "pods",
            "namespace": "pacs",
            "name": "viewer",
            "apiGroup": "apps",
            "apiVersion": "v1",
            "subresource": "exec",
        },
        "responseStatus": {"metadata": {}, "code": 101},
        "requestReceivedTimestamp": "2026-03-01T10:00:00.123456Z",
        "stageTimestamp": "2026-03-01T10:00:01Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
    },
    {
        "kind": "Event",
        "verb": "list",
        "user": {"username": "system:anonymous"},
        "objectRef": {"resource": "clusterroles"},
        "responseStatus": {"status": "Failure"},
        "stageTimestamp": "2026-03-01T10:00:01Z",
    },
]

VPC_FLOW: list[dict[str, Any]] = [
    {
        "version": 5,
        "account-id": "000000000001",
        "interface-id": "eni-1",
        "srcaddr": "192.0.2.7",
        "dstaddr": "198.51.100.1",
        "srcport": 50000,
        "dstport": 443,
        "protocol": 6,
        "packets": 10,
        "bytes": 840,
        "start": 1_772_359_200,
        "end": 1_772_359_260,
        "action": "REJECT",
        "log-status": "OK",
        "flow-direction": "ingress",
        "region": "eu-central-1",
    },
    {
        "version": "2",
        "account_id": "000000000001",
        "interface_id": "eni-1",
        "srcaddr": "-",
        "dstaddr": "-",
        "start": "1772359200",
        "end": "1772359260",
        "action": "-",
        "log_status": "NODATA",
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

CLOUDS: dict[str, list[dict[str, Any]]] = {
    "azure-activity": AZURE_ACTIVITY,
    "entra-signin": ENTRA_SIGNIN,
    "entra-audit": ENTRA_AUDIT,
    "gcp-audit": GCP_AUDIT,
    "okta": OKTA,
    "github": GITHUB,
    "google-workspace": GOOGLE_WORKSPACE,
    "m365": M365,
    "kubernetes": KUBERNETES,
    "vpc-flow": VPC_FLOW,
    "slack": SLACK,
    "auth0": AUTH0,
    "duo": DUO,
    "onelogin": ONELOGIN,
}
