"""Azure: what was done to subscriptions (the activity log), and to what lies in them (resource logs).

A resource log tells of reads and writes of data. The name of a blob, a key or a row is free text that may name a
patient: rules may read it, and of all of it only the resource's own id is released.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.azure import category, is_entra, outcome, principal, subscription
from streams.sources.azure_iot import AZURE_IOT
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import number, part, parts, put_address, said, text, when
from streams.sources.verbs import kind, paired

__all__ = ["AZURE_ACTIVITY", "AzureActivity"]

#: Where Azure Resource Manager's operation goes, to ECS category; the first that the operation begins with.
_PLACES: Final = (
    ("microsoft.authorization/policies", "configuration"),
    ("microsoft.authorization/policy", "configuration"),
    ("microsoft.authorization/locks", "configuration"),
    ("microsoft.authorization/", "iam"),
    ("microsoft.managedidentity/", "iam"),
    ("microsoft.aad/", "iam"),
    ("microsoft.compute/virtualmachines", "host"),
    ("microsoft.classiccompute/virtualmachines", "host"),
    ("microsoft.hybridcompute/machines", "host"),
    ("microsoft.sql/", "database"),
    ("microsoft.dbfor", "database"),
    ("microsoft.documentdb/", "database"),
)
#: Categories of the activity log that tell what Azure noticed, and not what somebody did.
_NOTICES: Final = {
    "security": "intrusion_detection",
    "servicehealth": "host",
    "resourcehealth": "host",
    "alert": "configuration",
    "recommendation": "configuration",
}
_BEGINS: Final = frozenset({"start", "poweron", "restart", "reimage", "redeploy"})
_ENDS: Final = frozenset({"deallocate", "poweroff", "delete", "stop", "hibernate"})
_POLICY: Final = "microsoft.authorization/polic"


class AzureActivity:
    """The source ``azure-activity``; see :class:`streams.sources.base.Source`."""

    name = "azure-activity"
    topic = "audit.cloud"
    logsource = LogSource(product="azure", service="activitylogs")
    lateness = 1_200_000
    subject = "actor"
    released = frozenset(
        {
            "cloud.account.id",
            "cloud.provider",
            "cloud.region",
            "cloud.service.name",
            "error.code",
            "event.action",
            "event.category",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "organization.id",
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
        if part(record, "operationName") is None:
            return False
        where = part(record, "resourceId", "_ResourceId", "callerIpAddress", "resourceProviderName", "subscriptionId")
        if where is None and part(record, "resultType", "eventTimestamp") is None:
            return False
        return not (category(record).startswith("kube-audit") or is_entra(record) or AZURE_IOT.recognises(record))

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        operation = part(record, "operationNameValue", "operationName")
        if isinstance(operation, dict):
            operation = part(operation, "value")
        if type(operation) is not str or not operation.strip():
            raise BadRecord("operationName is no text" if operation is not None else "operationName is missing")
        inside = parts(record, "properties")
        resource = text(record, "resourceId", "_ResourceId", "id")
        data = "/" not in operation and ("objectKey" in inside or "metricResponseType" in inside)
        category_, type_ = _meaning(operation, "storage" if data else category(record))
        id_, name, identity = principal(record)
        request = parts(record, "httpRequest")
        result = _outcome(record, inside, operation)
        code = text(record, "resultSignature", "statusCode", "statusText")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category_],
            "event.type": [type_],
            "event.action": operation,
            "event.provider": _provider(operation, resource, record),
            "event.outcome": result,
            "error.code": code if result == "failure" else "",
            "cloud.provider": "azure",
            "cloud.account.id": text(record, "subscriptionId") or subscription(resource),
            "cloud.region": text(record, "location", "resourceLocation"),
            "cloud.service.name": _provider(operation, resource, record).rpartition(".")[2],
            "organization.id": text(record, "tenantId", "AADTenantId"),
            "user.id": id_,
            "user.name": name,
            "user_agent.original": text(inside, "userAgentHeader", "userAgent") or text(record, "userAgent"),
            "wardwatch.identity": identity,
            "wardwatch.resource": resource.lower() or _account(inside),
        }
        came_from = part(record, "callerIpAddress", "callerIPAddress") or part(
            request, "clientIpAddress", "clientRequestIp"
        )
        address = put_address(fields, came_from)
        who = (name or id_).lower()
        return Draft(
            id=text(record, "eventDataId"),
            time=when(record, "time", "eventTimestamp", "TimeGenerated", "eventTime", "submissionTimestamp"),
            actor=f"user:{who}" if who else address or f"user:{fields['event.provider']}",
            fields=said(fields),
            address=address,
        )


def _meaning(operation: str, category_: str) -> tuple[str, str]:
    """ECS's category and type of one operation."""
    path = operation.lower()
    if category_ in _NOTICES:
        return _NOTICES[category_], "info"
    place = next((found for begin, found in _PLACES if path.startswith(begin)), "configuration")
    if category_.startswith("storage"):
        return "file", _of_blob(path)
    *_, thing, last = ["", "", *path.split("/")]
    if path.startswith(_POLICY) and last == "action":
        return place, "info"  # a policy looked at what somebody did, and said what it thinks of it
    if last in ("read", "write", "delete"):
        type_ = {"read": "access", "write": "change", "delete": "deletion"}[last]
    elif last == "action":
        type_ = _acts(thing, place)
    else:
        type_ = kind(operation)
    if place == "iam" and thing == "elevateaccess":
        return place, "admin"
    return place, paired(place, "change" if place == "host" and type_ == "creation" else type_)


def _of_blob(operation: str) -> str:
    """``GetBlob``, ``PutBlockList``, ``DeleteFile``: an operation on data in a storage account, in small letters."""
    if operation.startswith(("put", "create", "copy", "append")):
        return "creation"
    if operation.startswith(("delete", "undelete")):
        return "deletion" if operation.startswith("delete") else "change"
    return "access" if operation.startswith(("get", "list", "query", "read", "find", "peek")) else "change"


def _acts(thing: str, place: str) -> str:
    """What ``…/thing/action`` does: what reads or removes gives itself away by its verb."""
    if place == "host":
        return "start" if thing in _BEGINS else "end" if thing in _ENDS else "change"
    if thing.startswith(("get", "list", "read", "check", "view", "search", "query")):
        return "access"
    return "deletion" if thing.startswith(("delete", "purge", "remove")) else "change"


def _outcome(record: Mapping[str, Any], inside: Mapping[str, Any], operation: str) -> str:
    if operation.lower().endswith("policies/deny/action"):
        return "failure"
    http = number(inside, "httpStatusCode", "responseStatusCode")
    if http is not None and http >= 400:
        return "failure"  # a vault says Success of a request that it refused
    return outcome(
        part(record, "resultType"),
        part(record, "activityStatusValue", "status"),
        number(record, "statusCode"),
        number(inside, "statusCode") if http is None else http,
        part(inside, "metricResponseType", "status", "result"),
        part(record, "statusText", "resultSignature"),
    )


def _account(inside: Mapping[str, Any]) -> str:
    """The storage account, where a resource log does not name its resource."""
    account = text(inside, "accountName")
    return f"storageaccounts/{account.lower()}" if account else ""


def _provider(operation: str, resource: str, record: Mapping[str, Any]) -> str:
    """The resource provider, e.g. ``microsoft.compute``, in small letters: Azure writes it in any."""
    given = part(record, "resourceProviderName", "resourceProviderValue", "resourceProvider")
    if isinstance(given, dict):
        given = part(given, "value")
    if type(given) is str and given:
        return given.lower()
    first, slash, _ = operation.partition("/")
    if slash and "." in first:
        return first.lower()
    steps = resource.lower().split("/providers/")
    return steps[-1].partition("/")[0] if len(steps) > 1 else "azure"


AZURE_ACTIVITY: Final = AzureActivity()
