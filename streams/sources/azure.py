"""What the logs of Azure and of Entra have in common: the envelope of Azure Monitor, and who is behind its claims.

Source: Azure Monitor, *Azure Activity Log event schema* and *Common resource log schema*; Microsoft Graph, ``signIn``
and ``directoryAudit``, which come without an envelope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.parts import part, parts, text

__all__ = ["ENTRA", "category", "is_entra", "outcome", "principal", "subscription"]

_CLAIMS: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_OBJECT: Final = "http://schemas.microsoft.com/identity/claims/objectidentifier"

SIGN_INS: Final = frozenset(
    {
        "signinlogs",
        "noninteractiveusersigninlogs",
        "serviceprincipalsigninlogs",
        "managedidentitysigninlogs",
        "adfssigninlogs",
        "b2crequestlogs",
    }
)
RISKS: Final = frozenset({"userriskevents", "serviceprincipalriskevents", "riskyusers", "riskyserviceprincipals"})
#: Categories of Entra's logs in small letters.
ENTRA: Final = SIGN_INS | RISKS | {"auditlogs"}

_SUCCEEDED: Final = ("succe", "ok", "resolved", "completed", "true")
_FAILED: Final = (
    "fail",
    "error",
    "denied",
    "forbidden",
    "unauthorized",
    "cancel",
    "timeout",
    "false",
    "authorizationf",
)
#: What Azure Resource Manager reports of an operation that goes on.
_GOES_ON: Final = ("start", "accept", "inprogress", "in progress", "active", "updated", "informational", "begin")


def category(record: Mapping[str, Any]) -> str:
    """The category of a record in small letters; the REST API of the activity log gives it as an object."""
    value = part(record, "categoryValue", "category")
    if isinstance(value, dict):
        value = part(value, "value")
    return value.lower() if type(value) is str else ""


def is_entra(record: Mapping[str, Any]) -> bool:
    """True where Entra wrote the record, in Azure Monitor's envelope or as Microsoft Graph gives it."""
    if category(record) in ENTRA:
        return True
    inside = part(record, "properties")
    body = inside if isinstance(inside, dict) else record
    return part(body, "loggedByService") is not None and part(body, "activityDisplayName", "initiatedBy") is not None


def principal(record: Mapping[str, Any]) -> tuple[str, str, str]:
    """Who called: (id, name, type), each "" where the record does not say.

    The name is the user principal name or e-mail address that a token carried, the id its object in Entra or, for an
    application without one, its application id.
    """
    identity = parts(record, "identity")
    claims = parts(identity, "claims", "claim") or parts(record, "claims")
    proof = parts(parts(identity, "authorization"), "evidence") or parts(parts(record, "authorization"), "evidence")
    asked, inside = parts(identity, "requester"), parts(record, "properties")
    names = [
        text(record, "caller"),
        text(claims, _CLAIMS + "upn", "upn"),
        text(asked, "upn"),
        text(identity, "userPrincipalName") or text(inside, "userPrincipalName"),
        text(claims, _CLAIMS + "emailaddress", _CLAIMS + "name", "email", "preferred_username", "unique_name", "name"),
    ]
    name = next((given for given in names if "@" in given), "")
    id_ = (
        text(claims, _OBJECT, "oid", "objectidentifier")
        or text(asked, "objectId")
        or text(proof, "principalId")
        or text(parts(record, "authorization", "authentication"), "principalId")
        or text(claims, "appid", "azp")
        or text(asked, "appId")
        or text(inside, "userId", "servicePrincipalId", "appId")
        or next((given for given in names if given), "")
    )
    type_ = (
        text(proof, "principalType")
        or text(claims, "idtyp")
        or text(parts(record, "authorization", "authentication"), "type")
    )
    return id_, name, type_ or text(identity, "type")


def outcome(*words: object) -> str:
    """``success`` or ``failure``, as the first of ``words`` that says so; a number is a status of HTTP.

    ``unknown`` where an operation was started or accepted and has not ended, and where nothing is said.
    """
    for word in words:
        if isinstance(word, dict):
            word = part(word, "value", "status", "code")  # noqa: PLW2901
        if type(word) is bool:
            return "success" if word else "failure"
        if type(word) is int and 100 <= word < 600:
            return "success" if word < 400 else "failure"
        if type(word) is not str:
            continue
        said = word.lower()
        if len(said) == 3 and said.isascii() and said.isdigit():
            return "success" if said < "400" else "failure"
        if said.startswith(_SUCCEEDED):
            return "success"
        if any(end in said for end in _FAILED):
            return "failure"
        if said.startswith(_GOES_ON):
            return "unknown"
    return "unknown"


def subscription(resource: str) -> str:
    """The subscription in a resource's id; "" where it is none of a subscription's."""
    steps = resource.split("/", 3)
    return steps[2].lower() if len(steps) > 2 and steps[1].lower() == "subscriptions" else ""
