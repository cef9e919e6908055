"""GitHub's audit log: what was done to an organisation's code, its people and its secrets.

Names of organisations and repositories are released; titles, commit messages and settings are not.

Source: GitHub, *Audit log events for your organization*; *Streaming the audit log for your enterprise*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import part, parts, put_address, said, text, truth, when
from streams.sources.verbs import kind, paired

__all__ = ["GITHUB", "GitHub"]

_ITS_OWN: Final = (
    "_document_id",
    "org",
    "org_id",
    "repo",
    "repository",
    "business",
    "actor_id",
    "actor_location",
    "programmatic_access_type",
)
_PEOPLE: Final = frozenset(
    {
        "team",
        "team_sync_tenant",
        "user",
        "members_can_delete_repos",
        "organization_role",
        "role",
        "personal_access_token",
        "personal_access_token_request",
        "oauth_access",
        "oauth_authorization",
        "public_key",
        "ssh_certificate_authority",
        "two_factor_authentication",
        "external_identity",
        "external_group",
        "enterprise_team",
        "org_credential_authorization",
    }
)
#: Calls on an organisation, a business or a repository that are about who belongs to it.
_MEMBERS: Final = ("member", "invit", "collaborator", "admin", "owner", "team", "billing_manager", "saml", "2fa")
_TYPES: Final = {
    "create": "creation",
    "remove": "deletion",
    "modify": "change",
    "access": "access",
    "restore": "change",
}


class GitHub:
    """The source ``github``; see :class:`streams.sources.base.Source`."""

    name = "github"
    topic = "audit.cloud"
    logsource = LogSource(product="github", service="audit")
    lateness = 600_000
    subject = "actor"
    released = frozenset(
        {
            "event.action",
            "event.category",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "organization.id",
            "organization.name",
            "source.domain",
            "source.geo.country_iso_code",
            "source.ip",
            "source.port",
            "user.id",
            "user.name",
            "user.target.id",
            "user.target.name",
            "user_agent.original",
            "wardwatch.identity",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        action, actor = record.get("action"), record.get("actor")
        if type(action) is not str or "." not in action or isinstance(actor, dict):
            return False
        return any(name in record for name in _ITS_OWN) or type(actor) is str

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        action = text(record, "action")
        if not action:
            raise BadRecord("action is missing" if part(record, "action") is None else "action is no text")
        name = text(record, "actor")
        identity = "bot" if truth(record, "actor_is_bot") or name.endswith("[bot]") else "user" if name else ""
        category, type_ = _meaning(action, text(record, "operation_type"))
        team = text(parts(record, "data"), "team") or text(record, "team")
        thing = (team if action.startswith("team.") else "") or text(record, "repo", "repository")
        target = text(record, "user", "invitee")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": action,
            "event.provider": "github",
            "event.outcome": _outcome(record, action),
            "organization.id": text(record, "org_id", "business_id"),
            "organization.name": text(record, "org", "business"),
            "source.geo.country_iso_code": text(parts(record, "actor_location"), "country_code"),
            "user.id": text(record, "actor_id") or name,
            "user.name": name,
            "user.target.id": text(record, "user_id", "invitee_id") or target,
            "user.target.name": target,
            "user_agent.original": text(record, "user_agent"),
            "wardwatch.identity": text(record, "programmatic_access_type") or identity,
            "wardwatch.resource": thing or team or text(record, "org"),
        }
        address = put_address(fields, part(record, "actor_ip"))
        who = name.lower() or text(record, "actor_id", "deploy_key_fingerprint", "hashed_token")
        return Draft(
            id=text(record, "_document_id"),
            time=when(record, "@timestamp", "created_at", "at_sign_timestamp"),
            actor=f"user:{who}" if who else address or "user:github",
            fields=said(fields),
            address=address,
        )


def _outcome(record: Mapping[str, Any], action: str) -> str:
    """The log tells what was done, so what it tells succeeded, but for what says that it failed."""
    said_so = text(record, "conclusion", "result", "status").lower()
    if "fail" in action or "denied" in action or "reject" in action or "fail" in said_so or said_so == "denied":
        return "failure"
    return "success"


def _meaning(action: str, operation: str) -> tuple[str, str]:
    place, _, what = action.partition(".")
    if action == "repo.access":
        return "configuration", "change"  # of who may see it
    if place == "git":
        return "file", "change" if what == "push" else "access"
    if what in ("login", "failed_login"):
        return "authentication", "start"
    if what in ("logout", "sign_out"):
        return "authentication", "end"
    if place == "workflows" and "run" in what:
        return "process", "end" if what.startswith("completed") else "start"
    category = "iam" if place in _PEOPLE or _of_people(place, what) else "configuration"
    type_ = "change" if _of_people(place, what) else kind(what, other=_TYPES.get(operation, "change"))
    return category, paired(category, type_)


def _of_people(place: str, what: str) -> bool:
    return place in ("org", "business", "repo", "team", "organization") and any(word in what for word in _MEMBERS)


GITHUB: Final = GitHub()
