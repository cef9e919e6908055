"""Entra ID: who signed in to what, and who could not. People, applications and managed identities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.azure import SIGN_INS, category, outcome
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import UNTIMED, number, part, parts, put_address, said, text, when

__all__ = ["ENTRA_SIGNIN", "EntraSignIn"]

#: Codes with which Entra asks for more (a second factor, another tenant, consent, "stay signed in?"): the sign-in goes
#: on in another record, and has neither succeeded nor failed. Source: Microsoft Entra authentication error codes.
_GOES_ON: Final = frozenset({16000, 16001, 50058, 50072, 50074, 50076, 50079, 50125, 50127, 50129, 50140, 50143, 50158})


class EntraSignIn:
    """The source ``entra-signin``; see :class:`streams.sources.base.Source`."""

    name = "entra-signin"
    topic = "audit.cloud"
    logsource = LogSource(product="azure", service="signinlogs")
    lateness = 900_000
    subject = "actor"
    released = frozenset(
        {
            "cloud.provider",
            "error.code",
            "event.action",
            "event.category",
            "event.dataset",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "organization.id",
            "source.domain",
            "source.geo.country_iso_code",
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
        given = category(record)
        if given:
            return given in SIGN_INS and part(record, "Operation") is None
        if "userPrincipalName" not in record and "servicePrincipalId" not in record:
            return False
        return "createdDateTime" in record and ("appId" in record or "appDisplayName" in record)

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        body = parts(record, "properties") or record
        identity = parts(record, "identity")
        log = category(record)
        name = text(body, "userPrincipalName", "userName") or text(identity, "userPrincipalName")
        user = text(body, "userId", "userObjectId")
        service = text(body, "servicePrincipalId", "servicePrincipalName", "managedServiceIdentity")
        app = text(body, "appId")
        if not (name or user or service or app):
            raise BadRecord("the sign-in names neither a user nor an application")
        code = _code(record, body)
        result = _outcome(code, record, body)
        country = text(parts(body, "location"), "countryOrRegion", "country") or text(record, "location")
        kind = "servicePrincipal" if service and not (name or user) else "user"
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": ["authentication"],
            "event.type": ["start"],
            "event.action": text(record, "operationName") or "Sign-in activity",
            "event.dataset": f"entra.{log or 'signins'}",
            "event.provider": "entra",
            "event.outcome": result,
            "error.code": str(code) if code and result != "success" else "",
            "cloud.provider": "azure",
            "organization.id": text(record, "tenantId") or text(body, "resourceTenantId"),
            "source.geo.country_iso_code": country if len(country) == 2 else "",
            "user.id": user or service or app,
            "user.name": name if "@" in name else "",
            "user_agent.original": text(body, "userAgent"),
            "wardwatch.identity": "managedIdentity" if log.startswith("managed") else kind,
            "wardwatch.resource": text(body, "resourceDisplayName", "resourceId", "appDisplayName"),
        }
        addresses = part(body, "ipAddresses")
        first = addresses[0] if isinstance(addresses, list) and addresses and isinstance(addresses[0], dict) else {}
        came_from = part(record, "callerIpAddress") or part(body, "ipAddress", "IPAddress") or part(first, "ipAddress")
        address = put_address(fields, came_from)
        who = (name.lower() if "@" in name else "") or user or service or name or app
        return Draft(
            id=text(body, "id", "requestId") or text(record, "id"),
            time=when(body, "createdDateTime") or _arrived(record),
            actor=f"user:{who}",
            fields=said(fields),
            address=address,
        )


def _arrived(record: Mapping[str, Any]) -> int:
    return when(record, "time", "eventTime", "TimeGenerated", "timestamp") or UNTIMED


def _code(record: Mapping[str, Any], body: Mapping[str, Any]) -> int | None:
    """Entra's code of what went wrong, 0 where nothing did; None where the record has none."""
    found = number(parts(body, "status"), "errorCode", "code")
    if found is None:
        found = number(record, "resultType")
    return number(body, "errorCode", "resultType") if found is None else found


def _outcome(code: int | None, record: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    if code is not None:
        return "success" if code == 0 else "unknown" if code in _GOES_ON else "failure"
    return outcome(part(record, "resultType"), part(body, "result", "status"), part(record, "resultSignature"))


ENTRA_SIGNIN: Final = EntraSignIn()
