"""Google Workspace: the activities of the Reports API (sign-ins, administration, Drive, tokens, mail and others).

An activity of the API holds a list of events; :mod:`streams.wrappers` makes one record of each. Titles of documents,
subjects of mail and values of settings are free text: rules may read them, and none is released. A document is released
by its id.

Source: Admin SDK, Reports API, ``activities``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import items, part, parts, put_address, said, text, truth, when
from streams.sources.verbs import kind, paired

__all__ = ["GOOGLE_WORKSPACE", "GoogleWorkspace"]

_KIND: Final = "admin#reports#activity"
_LOGIN: Final = LogSource(product="gcp", service="google_workspace.login")
_CATEGORIES: Final = {
    "login": "authentication",
    "saml": "authentication",
    "token": "iam",
    "user_accounts": "iam",
    "groups": "iam",
    "groups_enterprise": "iam",
    "drive": "file",
    "gmail": "email",
    "rules": "intrusion_detection",
}
#: Kinds of administration that are about people and what they may do.
_PEOPLE: Final = ("USER_", "GROUP_", "DELEGATED_ADMIN", "LICENSES_", "SECURITY_SETTINGS_USER")
_STARTS: Final = frozenset({"login", "login_success", "login_failure", "login_verification", "reauth"})
_VALUES: Final = ("value", "intValue", "boolValue", "multiValue", "multiIntValue")


class GoogleWorkspace:
    """The source ``google-workspace``; see :class:`streams.sources.base.Source`."""

    name = "google-workspace"
    topic = "audit.cloud"
    logsource = LogSource(product="gcp", service="google_workspace.admin")
    lateness = 1_800_000
    subject = "actor"
    released = frozenset(
        {
            "event.action",
            "event.category",
            "event.dataset",
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
            "user.target.name",
            "wardwatch.identity",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        id_ = record.get("id")
        if not isinstance(id_, dict) or part(record, "name", "type") is None:
            return False
        return record.get("kind") == _KIND or part(id_, "applicationName") is not None

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        id_ = parts(record, "id")
        action, type_of = text(record, "name"), text(record, "type")
        if not action and not type_of:
            raise BadRecord("name is missing, and so is type")
        action = action or type_of
        application = text(id_, "applicationName")
        settings = _parameters(record)
        actor = parts(record, "actor")
        name, profile = text(actor, "email"), text(actor, "profileId")
        category, type_ = _meaning(application, action, type_of)
        changed = text(settings, "USER_EMAIL", "affected_email_address")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": action,
            "event.dataset": f"google_workspace.{application}" if application else "",
            "event.provider": f"{application}.googleapis.com" if application else "googleapis.com",
            "event.outcome": _outcome(action, settings),
            "organization.id": text(id_, "customerId"),
            "user.id": profile or name,
            "user.name": name,
            "user.target.name": changed,
            "wardwatch.identity": text(actor, "callerType"),
            "wardwatch.resource": text(settings, "doc_id", "client_id", "GROUP_EMAIL", "APPLICATION_NAME", "app_name"),
        }
        address = put_address(fields, part(record, "ipAddress"))
        who = name.lower() or profile or text(actor, "key", "applicationInfo")
        if not who and application == "login":
            who = changed.lower()  # the one who signs in, where nobody is known yet to act
        entry = text(id_, "uniqueQualifier")
        return Draft(
            id=f"{entry}/{text(id_, 'time')}/{action}/{text(record, 'event_number')}" if entry else "",
            time=when(id_, "time") or when(record, "time"),
            actor=f"user:{who}" if who else address or f"user:{fields['event.provider']}",
            fields=said(fields),
            address=address,
            logsource=_LOGIN if application == "login" else None,
            aliases=_aliases(record, action, fields["event.provider"], settings),
        )


def _parameters(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event's parameters by their name: the API gives a list of names and values, some shippers an object."""
    given = part(record, "parameters")
    if isinstance(given, dict):
        return given
    return {
        name: value
        for parameter in items(record, "parameters")
        if (name := text(parameter, "name")) and (value := part(parameter, *_VALUES)) is not None
    }


def _aliases(record: Mapping[str, Any], action: str, service: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The names that SigmaHQ's rules have for an event's name, service and parameters."""
    return {
        **{name.lower(): value for name, value in settings.items() if name.lower() not in record},
        "eventName": action,
        "eventService": service,
        "protoPayload.serviceName": service,
        "protoPayload.metadata.event.eventName": action,
    }


def _outcome(action: str, settings: Mapping[str, Any]) -> str:
    """An activity is of something that happened; a sign-in that did not says so in its name or its parameters."""
    lower = action.lower()
    if "fail" in lower or "denied" in lower or "blocked" in lower or text(settings, "login_failure_type"):
        return "failure"
    status = text(settings, "login_challenge_status", "status", "API_STATUS").lower()
    if "fail" in status or truth(parts(settings, "event_info"), "success") is False:
        return "failure"
    if lower == "login" or (lower == "login_challenge" and "pass" not in status):
        return "unknown"
    return "success"


def _meaning(application: str, action: str, type_of: str) -> tuple[str, str]:
    category = _CATEGORIES.get(application, "")
    if category == "authentication":
        lower = action.lower()
        type_ = "end" if lower == "logout" else "start" if lower in _STARTS else "info"
        if type_of in ("2sv_change", "password_change", "recovery_info_change", "titanium_change"):
            return "iam", "change"
        return category, type_
    if application == "admin":
        category = "iam" if type_of.startswith(_PEOPLE) else "configuration"
    if application == "access_transparency":
        return "api", "access"
    if application == "user_accounts":
        return "iam", "change"
    category = category or "api"
    return category, paired(category, "change" if type_of == "acl_change" else kind(action))


GOOGLE_WORKSPACE: Final = GoogleWorkspace()
