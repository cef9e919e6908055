"""Records of clouds and identity providers as they are documented by those who write them; all of it synthetic."""

from __future__ import annotations

import json
from typing import Any

from identity_records import AUTH0, DUO, ENTRA_AUDIT, ENTRA_SIGNIN, GOOGLE_WORKSPACE, OKTA, ONELOGIN, SLACK

from streams.sources.base import Draft
from streams.sources.catalog import by_name

__all__ = ["CLOUDS", "draft", "record"]

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
