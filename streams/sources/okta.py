"""Okta's system log: who signed in, and what was changed in the identity provider.

Display names, and the texts in ``debugContext``, are free: rules may read them, and none is released.

Source: Okta, *System Log API*, ``LogEvent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import items, part, parts, put_address, said, text, when
from streams.sources.verbs import kind, paired

__all__ = ["OKTA", "Okta"]

_OUTCOMES: Final = {
    "success": "success",
    "allow": "success",
    "failure": "failure",
    "deny": "failure",
    "rate_limit": "failure",
    "abandoned": "failure",
    "unanswered": "failure",
}
#: Beginning of an event type, to ECS category and, where the verb does not tell it, type; the first that fits.
_MEANINGS: Final = (
    ("user.session.start", "authentication", "start"),
    ("user.session.end", "authentication", "end"),
    ("user.session.expire", "authentication", "end"),
    ("user.session.impersonation", "iam", "change"),
    ("user.session.", "authentication", "info"),
    ("user.authentication.", "authentication", "start"),
    ("policy.evaluate", "authentication", "info"),
    ("app.oauth2.client", "configuration", ""),
    ("app.", "authentication", "info"),
    ("security.", "intrusion_detection", "info"),
    ("user.account.report_suspicious", "intrusion_detection", "info"),
    ("user.risk.", "intrusion_detection", "info"),
    ("user.", "iam", ""),
    ("group.", "iam", ""),
    ("application.user_membership", "iam", ""),
    ("application.provision", "iam", ""),
    ("iam.", "iam", ""),
    ("system.api_token", "iam", ""),
    ("system.agent.ad", "configuration", "info"),
)


class Okta:
    """The source ``okta``; see :class:`streams.sources.base.Source`."""

    name = "okta"
    topic = "audit.cloud"
    logsource = LogSource(product="okta", service="okta")
    lateness = 300_000
    subject = "actor"
    released = frozenset(
        {
            "event.action",
            "event.category",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "source.domain",
            "source.geo.country_name",
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
        if type(part(record, "eventType")) is not str or "eventName" in record:
            return False
        return part(record, "published", "uuid", "legacyEventType", "displayMessage") is not None

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        action = text(record, "eventType")
        if not action:
            raise BadRecord("eventType is missing" if part(record, "eventType") is None else "eventType is no text")
        category, type_ = _meaning(action)
        actor, client = parts(record, "actor"), parts(record, "client")
        name, id_, kind_ = text(actor, "alternateId"), text(actor, "id"), text(actor, "type")
        if name in ("unknown", "null"):
            name = ""
        place = parts(client, "geographicalContext")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": action,
            "event.provider": "okta",
            "event.outcome": _OUTCOMES.get(text(parts(record, "outcome"), "result").lower(), "unknown"),
            "source.geo.country_name": text(place, "country"),
            "user.id": id_,
            "user.name": name,
            "user_agent.original": text(parts(client, "userAgent"), "rawUserAgent"),
            "wardwatch.identity": kind_,
        }
        if not fields["user_agent.original"]:
            debug = parts(parts(record, "debugContext"), "debugData")
            fields["user_agent.original"] = text(debug, "userAgent")
        _targets(record, fields)
        address = put_address(fields, part(client, "ipAddress") or _first_hop(parts(record, "request")))
        who = _person(name, id_, kind_)
        if not who and category == "authentication":  # the one who signs in, where Okta names nobody who acts
            who = fields.get("user.target.name", "").lower() or fields.get("user.target.id", "")
        return Draft(
            id=text(record, "uuid"),
            time=when(record, "published"),
            actor=f"user:{who}" if who else address or "user:okta",
            fields=said(fields),
            address=address,
        )


def _person(name: str, id_: str, type_: str) -> str:
    """A user by the name that other logs have for them too; an application or a system by its id."""
    if type_.lower().startswith("ip"):
        return ""
    return name.lower() if "@" in name else id_ or name


def _first_hop(request: Mapping[str, Any]) -> object:
    """The client's address as the first of the chain has it."""
    hop = next(items(request, "ipChain"), {})
    return part(hop, "ip", "ipAddress") or part(request, "ipAddress") or part(parts(hop, "geographicalContext"), "ip")


def _targets(record: Mapping[str, Any], fields: dict[str, Any]) -> None:
    """The first user that something was done to, and the first thing of another kind."""
    for target in items(record, "target"):
        id_, type_ = text(target, "id"), text(target, "type")
        if type_ in ("User", "AppUser"):
            if "user.target.id" not in fields or (type_ == "User" and fields["wardwatch.target"] != "User"):
                name = text(target, "alternateId")
                fields["user.target.id"] = id_
                fields["user.target.name"] = name if "@" in name else ""
                fields["wardwatch.target"] = type_
        elif "wardwatch.resource" not in fields and (id_ or type_):
            fields["wardwatch.resource"] = f"{type_ or 'Other'}/{id_}" if id_ else type_
    fields.pop("wardwatch.target", None)


def _meaning(action: str) -> tuple[str, str]:
    for begin, category, type_ in _MEANINGS:
        if action.startswith(begin):
            return category, type_ or paired(category, kind(action.partition(".")[2]))
    if "rate_limit" in action:
        return "configuration", "info"
    return "configuration", paired("configuration", kind(action.partition(".")[2]))


OKTA: Final = Okta()
