"""Entra ID: what was changed in the directory (users, groups, roles, applications, policies), and the risks it saw.

Values before and after a change, and display names, are free text: rules may read them, and none is released.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.azure import RISKS, category, outcome
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import account, items, part, parts, put_address, said, text, when
from streams.sources.verbs import kind, paired

__all__ = ["ENTRA_AUDIT", "EntraAudit"]

_RISK: Final = LogSource(product="azure", service="riskdetection")
#: Where the directory files a change, to ECS category; anything else is of people and what they may do.
_PLACES: Final = {
    "policy": "configuration",
    "device": "configuration",
    "deviceconfiguration": "configuration",
    "deviceregistrationservice": "configuration",
    "directorymanagement": "configuration",
    "tenantmanagement": "configuration",
    "crosstenantaccesssettings": "configuration",
    "agreement": "configuration",
    "provisioningmanagement": "configuration",
    "contact": "configuration",
    "resourcemanagement": "configuration",
    "label": "configuration",
    "authentication": "authentication",
}
_TYPES: Final = {
    "add": "creation",
    "create": "creation",
    "delete": "deletion",
    "update": "change",
    "assign": "change",
    "unassign": "change",
    "remove": "deletion",
    "harddelete": "deletion",
}


class EntraAudit:
    """The source ``entra-audit``; see :class:`streams.sources.base.Source`."""

    name = "entra-audit"
    topic = "audit.cloud"
    logsource = LogSource(product="azure", service="auditlogs")
    lateness = 900_000
    subject = "actor"
    released = frozenset(
        {
            "cloud.provider",
            "event.action",
            "event.category",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.reason",
            "event.type",
            "organization.id",
            "source.domain",
            "source.ip",
            "source.port",
            "user.id",
            "user.name",
            "user.target.id",
            "user.target.name",
            "wardwatch.identity",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        given = category(record)
        if given == "auditlogs" or given in RISKS:
            return part(record, "Operation") is None
        inside = part(record, "properties")
        body = inside if isinstance(inside, dict) else record
        return (
            part(body, "loggedByService") is not None and part(body, "activityDisplayName", "initiatedBy") is not None
        )

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        body = parts(record, "properties") or record
        log = category(record)
        if log in RISKS or part(body, "riskEventType") is not None:
            return _risk(record, body)
        action = text(record, "operationName") or text(body, "activityDisplayName", "operationName")
        if not action:
            raise BadRecord("operationName and activityDisplayName are missing")
        by = parts(body, "initiatedBy")
        user, app = parts(by, "user"), parts(by, "app")
        name = text(user, "userPrincipalName")
        id_ = text(user, "id") or text(app, "servicePrincipalId", "appId", "servicePrincipalName")
        category_ = _PLACES.get(text(body, "category").lower() or log, "iam")
        type_ = _TYPES.get(text(body, "operationType").lower()) or kind(action)
        if "member" in action.lower() or " role" in action.lower():
            type_ = "change"  # the one who is added was there before
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category_],
            "event.type": [paired(category_, type_)],
            "event.action": action,
            "event.provider": text(body, "loggedByService") or "entra",
            "event.outcome": outcome(part(body, "result"), part(record, "resultType"), part(record, "resultSignature")),
            "cloud.provider": "azure",
            "organization.id": text(record, "tenantId") or text(body, "tenantId"),
            "user.id": id_ or name,
            "user.name": name,
            "wardwatch.identity": "user" if user else "application" if app else "",
        }
        _targets(body, fields)
        address = put_address(fields, text(user, "ipAddress") or text(record, "callerIpAddress", "ipAddress"))
        who = name.lower() or id_ or text(app, "displayName")
        return Draft(
            id=text(body, "id") or text(record, "id"),
            time=when(body, "activityDateTime") or when(record, "time", "TimeGenerated", "eventTime"),
            actor=f"user:{who}" if who else address or f"user:{fields['event.provider']}",
            fields=said(fields),
            address=address,
        )


def _targets(body: Mapping[str, Any], fields: dict[str, Any]) -> None:
    """The first user that was changed, and the first thing of another kind."""
    for target in items(body, "targetResources"):
        id_, type_ = text(target, "id"), text(target, "type")
        if type_.lower() == "user":
            if "user.target.id" not in fields:
                fields["user.target.id"] = id_
                fields["user.target.name"] = account(text(target, "userPrincipalName"))
        elif "wardwatch.resource" not in fields and id_:
            fields["wardwatch.resource"] = f"{type_ or 'Other'}/{id_}"


def _risk(record: Mapping[str, Any], body: Mapping[str, Any]) -> Draft:
    """Entra ID Protection saw something in a user or a service principal."""
    name = text(body, "userPrincipalName", "servicePrincipalDisplayName")
    id_ = text(body, "userId", "servicePrincipalId", "id")
    found = text(body, "riskEventType", "riskType", "riskDetail") or text(record, "operationName")
    if not found or not (name or id_):
        raise BadRecord("the risk names neither what was seen nor in whom")
    fields: dict[str, Any] = {
        "event.kind": "event",
        "event.category": ["intrusion_detection"],
        "event.type": ["info"],
        "event.action": found,
        "event.provider": "entra",
        "event.outcome": "unknown",
        "event.reason": text(body, "riskState"),
        "cloud.provider": "azure",
        "organization.id": text(record, "tenantId"),
        "user.id": id_,
        "user.name": name if "@" in name else "",
    }
    address = put_address(fields, part(body, "ipAddress") or part(record, "callerIpAddress"))
    return Draft(
        id=text(body, "id") if text(body, "userId", "servicePrincipalId") else "",
        time=when(body, "activityDateTime", "detectedDateTime", "riskLastUpdatedDateTime") or when(record, "time"),
        actor=f"user:{(name.lower() if '@' in name else '') or id_ or name}",
        fields=said(fields),
        address=address,
        logsource=_RISK,
        aliases={"riskEventType": found},
    )


ENTRA_AUDIT: Final = EntraAudit()
