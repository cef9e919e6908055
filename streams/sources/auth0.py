"""Auth0's tenant logs: sign-ins of an application's users, and calls of its Management API.

A portal's users may be patients: an end user is released by Auth0's id and never by name or address; who calls the
Management API is staff. What was called is released up to the first part of its path that may be somebody's id.

Source: Auth0, *Log Event Type Codes*; *Log Streams*.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as regex
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import number, part, parts, put_address, said, text, when
from streams.sources.verbs import kind, paired

__all__ = ["AUTH0", "Auth0"]

_MANAGEMENT: Final = frozenset({"sapi", "fapi", "mgmt_api_read"})
_STARTS: Final = frozenset(
    {"s", "f", "fp", "fu", "fc", "fco", "fcoa", "seacft", "feacft", "seccft", "feccft", "ssa", "fsa"}
)
_ENDS: Final = frozenset({"slo", "flo", "srrt", "sdu"})
#: Account events of an end user: signed up, changed password, e-mail or name, was deleted, verified.
_ACCOUNTS: Final = {
    "ss": "creation",
    "fs": "creation",
    "sdu": "deletion",
    "fdu": "deletion",
    "scp": "change",
    "fcp": "change",
    "sce": "change",
    "fce": "change",
    "scu": "change",
    "fcu": "change",
    "sv": "change",
    "fv": "change",
}
_ATTACKS: Final = ("limit_", "pwd_leak", "signup_pwd_leak", "reset_pwd_leak", "pla", "sys_os_update", "appi")
_METHODS: Final = {"get": "access", "post": "creation", "put": "change", "patch": "change", "delete": "deletion"}
_WORD: Final = regex(r"v\d|[a-z]{2,24}(?:-[a-z]{2,24})*")
_PEOPLE: Final = frozenset({"users", "roles", "organizations", "grants", "client-grants"})


class Auth0:
    """The source ``auth0``; see :class:`streams.sources.base.Source`."""

    name = "auth0"
    topic = "audit.cloud"
    logsource = LogSource(product="auth0", service="tenant")
    lateness = 300_000
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
            "source.domain",
            "source.ip",
            "source.port",
            "user.id",
            "user_agent.original",
            "wardwatch.identity",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        inside = record.get("data")
        body = inside if isinstance(inside, dict) else record
        if part(body, "type") is None or part(record, "log_id") is None:
            return False
        return part(body, "date", "client_id", "connection", "description") is not None

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        body = parts(record, "data") or record
        code = text(body, "type")
        if not code:
            raise BadRecord("type is missing" if part(body, "type") is None else "type is no text")
        details = parts(body, "details")
        request, answer = parts(details, "request"), parts(details, "response")
        status = number(answer, "statusCode")
        caller = parts(parts(request, "auth"), "user")
        id_ = text(body, "user_id") or text(caller, "user_id")
        application = text(body, "client_id")
        category, type_ = _meaning(code, request, text(body, "description"))
        result = _outcome(code, status)
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": code,
            "event.provider": "auth0",
            "event.outcome": result,
            "error.code": str(status) if status and result == "failure" else "",
            "user.id": id_ or application,
            "user_agent.original": text(body, "user_agent") or text(request, "userAgent"),
            "wardwatch.identity": "staff" if caller else "user" if id_ else "application" if application else "",
            "wardwatch.resource": _path(text(request, "path")) or text(body, "connection"),
        }
        address = put_address(fields, part(body, "ip") or part(request, "ip"))
        who = (text(caller, "email").lower() if code in _MANAGEMENT else "") or id_
        return Draft(
            id=text(record, "log_id") or text(body, "log_id", "_id"),
            time=when(body, "date"),
            actor=f"user:{who}" if who else address or f"user:{application or 'auth0'}",
            fields=said(fields),
            address=address,
        )


def _outcome(code: str, status: int | None) -> str:
    """Auth0's codes begin with ``s`` or ``f``; what was blocked or leaked failed; a call's answer has a status."""
    if code.startswith(_ATTACKS):
        return "failure"
    if status is not None:
        return "success" if status < 400 else "failure"
    if code in ("w", "depnote"):
        return "unknown"
    if code.startswith("gd_"):
        failed = ("fail", "reject", "lockout")
        return "failure" if any(word in code for word in failed) else "success"
    return {"s": "success", "f": "failure", "m": "success"}.get(code[0], "unknown")


def _meaning(code: str, request: Mapping[str, Any], description: str) -> tuple[str, str]:
    if code.startswith(_ATTACKS):
        return "intrusion_detection", "info"
    if code in _MANAGEMENT:
        method = _METHODS.get(text(request, "method").lower(), "access" if code == "mgmt_api_read" else "change")
        category = "iam" if _PEOPLE & set(_path(text(request, "path")).split("/")) else "configuration"
        return category, paired(category, kind(description, other=method) if method == "creation" else method)
    if code in _ACCOUNTS:
        return "iam", _ACCOUNTS[code]
    if code in _STARTS:
        return "authentication", "start"
    return "authentication", "end" if code in _ENDS else "info"


def _path(path: str) -> str:
    """What the API calls what was called, without the parts of a path that may be somebody's id."""
    kept: list[str] = []
    for step in path.strip("/").split("/"):
        if not _WORD.fullmatch(step):
            break
        kept.append(step)
        if step == "users":
            break
    return "/".join(kept)


AUTH0: Final = Auth0()
