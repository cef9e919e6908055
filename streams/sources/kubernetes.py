"""Kubernetes' audit log: who asked the API server for what, of any distribution (EKS, AKS, OpenShift and plain).

One request leaves an event at each of its stages; each is an event of its own here, with its stage in its id. What was
sent and answered may hold secrets: rules may read it, and none is released.

Source: Kubernetes, ``audit.k8s.io/v1``, ``Event``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import number, part, parts, put_address, said, text, when

__all__ = ["KUBERNETES", "Kubernetes"]

_GROUP: Final = "audit.k8s.io"
#: What an audit event has beside its verb, where its version was taken off.
_TELLING: Final = ("objectRef", "requestURI", "responseStatus", "sourceIPs")
_PEOPLE: Final = frozenset(
    {
        "roles",
        "clusterroles",
        "rolebindings",
        "clusterrolebindings",
        "serviceaccounts",
        "users",
        "groups",
        "certificatesigningrequests",
    }
)
_TYPES: Final = {
    "get": "access",
    "list": "access",
    "watch": "access",
    "head": "access",
    "options": "access",
    "create": "creation",
    "post": "creation",
    "delete": "deletion",
    "deletecollection": "deletion",
}
#: Subresources with which somebody gets into a container.
_ENTERED: Final = frozenset({"exec", "attach"})


class Kubernetes:
    """The source ``kubernetes``; see :class:`streams.sources.base.Source`."""

    name = "kubernetes"
    topic = "audit.cloud"
    logsource = LogSource(product="kubernetes", service="audit", category="application")
    lateness = 60_000
    subject = "actor"
    released = frozenset(
        {
            "error.code",
            "event.action",
            "event.category",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "orchestrator.api_version",
            "orchestrator.namespace",
            "orchestrator.resource.name",
            "orchestrator.resource.type",
            "orchestrator.type",
            "source.ip",
            "user.effective.name",
            "user.id",
            "user.name",
            "user_agent.original",
            "wardwatch.identity",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        if record.get("kind") != "Event":
            return False
        version = part(record, "apiVersion")
        if type(version) is str and version.startswith(_GROUP):
            return True
        return type(record.get("verb")) is str and part(record, *_TELLING) is not None

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        verb = part(record, "verb")
        if verb is not None and type(verb) is not str:
            raise BadRecord("verb is no text")
        verb = verb or "request"
        thing, user = parts(record, "objectRef"), parts(record, "user")
        resource, inside = text(thing, "resource"), text(thing, "subresource")
        kind = f"{resource}/{inside}" if inside else resource
        category, type_ = _meaning(verb.lower(), resource, inside)
        name = text(user, "username")
        result, code = _outcome(record)
        group, version = text(thing, "apiGroup"), text(thing, "apiVersion")
        namespace, object_ = text(thing, "namespace"), text(thing, "name")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": verb,
            "event.provider": "kubernetes",
            "event.outcome": result,
            "error.code": code,
            "orchestrator.type": "kubernetes",
            "orchestrator.api_version": f"{group}/{version}" if group and version else version or group,
            "orchestrator.namespace": namespace,
            "orchestrator.resource.type": kind,
            "orchestrator.resource.name": object_,
            "user.id": text(user, "uid") or name,
            "user.name": name,
            "user.effective.name": text(parts(record, "impersonatedUser"), "username"),
            "user_agent.original": text(record, "userAgent"),
            "wardwatch.identity": _identity(name),
            "wardwatch.resource": "/".join(filter(None, (namespace, resource, object_, inside))),
        }
        addresses = part(record, "sourceIPs")
        address = put_address(fields, addresses[0] if isinstance(addresses, list) and addresses else None)
        audit = text(record, "auditID")
        return Draft(
            id=f"{audit}/{text(record, 'stage')}" if audit else "",
            time=when(record, "requestReceivedTimestamp", "stageTimestamp", "requestReceivedTime", "timestamp"),
            actor=f"user:{name}" if name else address or "user:system:unknown",
            fields=said(fields),
            address=address,
        )


def _identity(name: str) -> str:
    if name.startswith("system:serviceaccount:"):
        return "serviceaccount"
    if name.startswith("system:node:"):
        return "node"
    if name == "system:anonymous":
        return "anonymous"
    return "system" if name.startswith(("system:", "eks:", "aks")) else "user" if name else ""


def _outcome(record: Mapping[str, Any]) -> tuple[str, str]:
    """A request that got in has no answer yet; one that got an answer below 400, also 101, succeeded."""
    answer = parts(record, "responseStatus")
    code = number(answer, "code")
    if code:
        return ("success", "") if code < 400 else ("failure", str(code))
    if parts(record, "annotations").get("authorization.k8s.io/decision") == "forbid":
        return "failure", ""
    status = text(answer, "status")
    if status in ("Success", "Failure"):
        return status.lower(), ""
    return ("failure" if text(record, "stage") == "Panic" else "unknown"), ""


def _meaning(verb: str, resource: str, inside: str) -> tuple[str, str]:
    if inside in _ENTERED:
        return "process", "start"
    if resource in ("tokenreviews", "selfsubjectreviews") or (resource == "serviceaccounts" and inside == "token"):
        return "authentication", "info"
    type_ = _TYPES.get(verb, "access" if verb == "request" else "change")
    if resource in _PEOPLE:
        return "iam", "info" if type_ == "access" else type_
    return "configuration", type_


KUBERNETES: Final = Kubernetes()
