"""Google Cloud Audit Logs: who called which API on what, also of clusters (GKE) and of Google Workspace.

The name of an object in a bucket is free text that may name a patient, so a resource is released up to its bucket.
Google's own rules and SigmaHQ's know the same field by three names; a rule may use any (:data:`Draft.aliases`).

Source: Cloud Logging, ``LogEntry`` and ``AuditLog``; ``google.rpc.Code``.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as regex
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import items, number, part, parts, put_address, said, text, truth, when
from streams.sources.verbs import kind, paired

__all__ = ["GCP_AUDIT", "GcpAudit"]

_WORKSPACE: Final = {
    "admin.googleapis.com": LogSource(product="gcp", service="google_workspace.admin"),
    "login.googleapis.com": LogSource(product="gcp", service="google_workspace.login"),
}
_SERVICES: Final = {
    "iam.googleapis.com": "iam",
    "admin.googleapis.com": "iam",
    "cloudidentity.googleapis.com": "iam",
    "iamcredentials.googleapis.com": "authentication",
    "sts.googleapis.com": "authentication",
    "login.googleapis.com": "authentication",
    "iap.googleapis.com": "authentication",
    "oslogin.googleapis.com": "authentication",
    "storage.googleapis.com": "file",
    "bigquery.googleapis.com": "database",
    "cloudsql.googleapis.com": "database",
    "sqladmin.googleapis.com": "database",
    "spanner.googleapis.com": "database",
    "firestore.googleapis.com": "database",
    "datastore.googleapis.com": "database",
    "healthcare.googleapis.com": "database",
}
#: google.rpc.Code that is no failure of the call: cancelled by the caller, and the answer not known.
_UNKNOWN_CODES: Final = frozenset({1, 2})
#: ``service.resources.verb``, as permissions are called, and the methods of older services.
_PERMISSION: Final = regex(r"(?!v\d)[a-z]+\.[A-Za-z.]+\.[A-Za-z]+")
_ACCOUNT: Final = ".gserviceaccount.com"


class GcpAudit:
    """The source ``gcp-audit``; see :class:`streams.sources.base.Source`."""

    name = "gcp-audit"
    topic = "audit.cloud"
    logsource = LogSource(product="gcp", service="gcp.audit")
    lateness = 600_000
    subject = "actor"
    released = frozenset(
        {
            "cloud.account.id",
            "cloud.project.id",
            "cloud.provider",
            "cloud.region",
            "cloud.service.name",
            "error.code",
            "event.action",
            "event.category",
            "event.dataset",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "source.domain",
            "source.ip",
            "source.port",
            "user.id",
            "user.name",
            "user_agent.original",
            "wardwatch.identity",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return isinstance(part(record, "protoPayload"), dict)

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        payload = parts(record, "protoPayload")
        inside = parts(payload, "metadata")
        if not text(payload, "methodName") and text(inside, "methodName"):
            payload = {**inside, **payload}  # BigQuery's, as some shippers nest it
        asked = list(items(payload, "authorizationInfo")) or list(items(record, "authorizationInfo"))
        permissions = [found for info in asked if (found := text(info, "permission"))]
        method = text(payload, "methodName") or next(iter(permissions), "")
        if not method:
            raise BadRecord("protoPayload.methodName is missing")
        resource = parts(record, "resource") or parts(payload, "resource")
        labels = parts(resource, "labels")
        log = text(record, "logName")
        service = text(payload, "serviceName") or text(record, "serviceName") or _guessed(method, permissions)
        id_, name, identity = _who(parts(payload, "authenticationInfo"))
        result, code = _outcome(payload, record, asked)
        category, type_ = _meaning(service, method, text(payload, "resourceName"))
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": method,
            "event.provider": service,
            "event.dataset": "gcp." + log.rpartition("%2F")[2] if "%2F" in log else "",
            "event.outcome": result,
            "error.code": code,
            "cloud.provider": "gcp",
            "cloud.service.name": service.partition(".")[0],
            "cloud.project.id": text(labels, "project_id") or _after(log, "projects/"),
            "cloud.account.id": _after(log, "organizations/"),
            "cloud.region": text(labels, "location", "zone", "region"),
            "user.id": id_,
            "user.name": name,
            "wardwatch.identity": identity,
            "wardwatch.resource": _resource(text(payload, "resourceName")),
        }
        seen = parts(payload, "requestMetadata")
        fields["user_agent.original"] = text(seen, "callerSuppliedUserAgent")
        address = put_address(fields, part(seen, "callerIp", "callerIP"))
        who = (name or id_).lower()
        stamp = when(record, "timestamp", "receiveTimestamp", "time") or when(payload, "timestamp", "receiveTimestamp")
        entry = text(record, "insertId")
        return Draft(
            id=f"{entry}/{text(record, 'timestamp')}" if entry else "",
            time=stamp,
            actor=f"user:{who}" if who else address or f"user:{service or 'gcp'}",
            fields=said(fields),
            address=address,
            logsource=_WORKSPACE.get(service),
            aliases=_aliases(record, payload, resource, asked, permissions, method, service),
        )


def _aliases(
    record: Mapping[str, Any],
    payload: Mapping[str, Any],
    resource: Mapping[str, Any],
    asked: list[Mapping[str, Any]],
    permissions: list[str],
    method: str,
    service: str,
) -> dict[str, Any]:
    """The names that SigmaHQ's rules have for the fields of an entry; Pub/Sub wraps it in ``data``."""
    names: dict[str, Any] = {
        "gcp.audit.method_name": method,
        "data.protoPayload.methodName": method,
        "data.protoPayload.serviceName": service,
        "data.protoPayload.logName": text(record, "logName"),
        "data.protoPayload.resource.type": text(resource, "type"),
        "data.protoPayload.authorizationInfo.permission": permissions,
        "data.protoPayload.authorizationInfo.granted": [info["granted"] for info in asked if "granted" in info],
    }
    if service in _WORKSPACE:
        events = list(items(parts(payload, "metadata"), "event"))
        names["eventService"] = service
        names["eventName"] = [found for event in events if (found := text(event, "eventName"))]
        for event in events:
            for parameter in items(event, "parameter"):
                if (name := text(parameter, "name").lower()) not in record:
                    names.setdefault(name, text(parameter, "value"))
    return said(names)


def _who(seen: Mapping[str, Any]) -> tuple[str, str, str]:
    """(id, name, type) of the caller; a service account's key or delegate is not who it is."""
    subject = text(seen, "principalSubject")
    type_, colon, rest = subject.partition(":")
    email = text(seen, "principalEmail") or (rest if colon and "@" in rest else "")
    other = subject or text(seen, "authoritySelector")
    if not email:
        for step in items(seen, "serviceAccountDelegationInfo"):
            email = text(parts(step, "firstPartyPrincipal"), "principalEmail")
            other = other or text(step, "principalSubject")
            if email:
                break
    if "anonymous" in (email or other).lower() or other == "allUsers":
        return email or other, "", "anonymous"
    if not colon or "/" in type_:
        type_ = "serviceAccount" if email.endswith(_ACCOUNT) else "user" if email else "principal" if other else ""
    return email or other, email, type_


def _outcome(payload: Mapping[str, Any], record: Mapping[str, Any], asked: list[Mapping[str, Any]]) -> tuple[str, str]:
    """An empty status is success; a permission that was not granted is failure, whatever else is said."""
    status = parts(payload, "status") or parts(record, "status")
    code = number(status, "code")
    if code:
        return ("unknown" if code in _UNKNOWN_CODES else "failure"), str(code)
    if any(truth(info, "granted") is False for info in asked):
        return "failure", ""
    for event in items(parts(payload, "metadata"), "event"):
        if text(event, "eventName") in ("login_failure", "account_disabled_password_leak"):
            return "failure", ""
    return "success", ""


def _meaning(service: str, method: str, resource: str) -> tuple[str, str]:
    last = method.rpartition(".")[2]
    lower = method.lower()
    if service == "k8s.io" or method.startswith("io.k8s."):
        if "exec" in lower or "attach" in lower:
            return "process", "start"
        category = "iam" if ".rbac." in lower or "serviceaccounts" in lower else "configuration"
        return category, paired(category, kind(last))
    if "iampolicy" in lower or "iampermissions" in lower or "ownershipinvite" in lower:
        return "iam", paired("iam", kind(last))
    if service.endswith("ssh-serialport.googleapis.com"):
        return "session", "start"
    category = _SERVICES.get(service, "")
    if category == "authentication":
        return category, "start" if last.lower().startswith(("authorize", "login")) else "info"
    if service == "compute.googleapis.com" and ".instances." in lower:
        return "host", _of_host(last)
    if category == "file" and "/objects/" not in resource and ".objects." not in lower:
        category = "configuration"  # of a bucket, not of what is in it
    category = category or "configuration"
    return category, paired(category, kind(last))


def _of_host(verb: str) -> str:
    if verb in ("insert", "start", "resume", "reset", "bulkInsert"):
        return "start"
    if verb in ("delete", "stop", "suspend"):
        return "end"
    return "access" if kind(verb) == "access" else "change"


def _guessed(method: str, permissions: list[str]) -> str:
    if method.startswith("io.k8s."):
        return "k8s.io"
    named = next(iter(permissions), method)
    name = named.partition(".")[0] if _PERMISSION.fullmatch(named) else ""
    return f"{name}.googleapis.com" if name else ""


def _resource(name: str) -> str:
    """A resource's name up to the bucket: what comes after is the name of somebody's object."""
    return name.partition("/objects/")[0].removeprefix("//")


def _after(name: str, begin: str) -> str:
    return name[len(begin) :].partition("/")[0] if name.startswith(begin) else ""


GCP_AUDIT: Final = GcpAudit()
