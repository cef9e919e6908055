"""Slack's audit log (Enterprise Grid): who changed workspaces, apps, people and what they may do.

Names of channels, files and people, and what stands in ``details``, are free text: rules may read them, and none is
released. What was acted on is released by its kind and id.

Source: Slack, *Audit Logs API*, ``logs`` and its actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import part, parts, put_address, said, text, when
from streams.sources.verbs import kind, paired

__all__ = ["SLACK", "Slack"]

#: Beginning of an action, to ECS category and, where the verb does not tell it, type; the first that fits.
_MEANINGS: Final = (
    ("user_login_failed", "authentication", "start"),
    ("user_login", "authentication", "start"),
    ("user_logout", "authentication", "end"),
    ("anomaly", "intrusion_detection", "info"),
    ("user_session", "session", "end"),
    ("bulk_session", "session", "end"),
    ("role_", "iam", "change"),
    ("owner_", "iam", "change"),
    ("permissions_", "iam", "change"),
    ("user_", "iam", ""),
    ("guest_", "iam", ""),
    ("service_owner", "iam", "change"),
    ("file_", "file", ""),
    ("canvas_", "file", ""),
    ("bot_token", "configuration", "change"),
    ("pref.", "configuration", "change"),
    ("ekm_", "configuration", "change"),
)


class Slack:
    """The source ``slack``; see :class:`streams.sources.base.Source`."""

    name = "slack"
    topic = "audit.cloud"
    logsource = LogSource(product="slack", service="audit")
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
            "source.domain",
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
        if type(record.get("action")) is not str or not isinstance(record.get("actor"), dict):
            return False
        return isinstance(record.get("entity"), dict) or isinstance(record.get("context"), dict)

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        action = text(record, "action")
        if not action:
            raise BadRecord("action is missing" if part(record, "action") is None else "action is no text")
        actor, seen = parts(record, "actor"), parts(record, "context")
        user = parts(actor, "user")
        name = text(user, "email")
        category, type_ = _meaning(action)
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": action,
            "event.provider": "slack",
            "event.outcome": "failure" if "fail" in action or "denied" in action else "success",
            "organization.id": text(parts(seen, "location"), "id") or text(user, "team"),
            "user.id": text(user, "id"),
            "user.name": name,
            "user_agent.original": text(seen, "ua"),
            "wardwatch.identity": text(actor, "type"),
        }
        _entity(record, fields)
        address = put_address(fields, part(seen, "ip_address"))
        who = name.lower() or text(user, "id")
        return Draft(
            id=text(record, "id"),
            time=when(record, "date_create"),
            actor=f"user:{who}" if who else address or "user:slack",
            fields=said(fields),
            address=address,
        )


def _entity(record: Mapping[str, Any], fields: dict[str, Any]) -> None:
    """A user is a target; anything else is known by its kind and id."""
    entity = parts(record, "entity")
    type_ = text(entity, "type")
    found = entity.get(type_)
    inside = found if isinstance(found, dict) else {}
    if type_ == "user":
        fields["user.target.id"] = text(inside, "id")
        fields["user.target.name"] = text(inside, "email")
    elif type_:
        id_ = text(inside, "id")
        fields["wardwatch.resource"] = f"{type_}/{id_}" if id_ else type_


def _meaning(action: str) -> tuple[str, str]:
    for begin, category, type_ in _MEANINGS:
        if action.startswith(begin):
            return category, type_ or paired(category, kind(action))
    return "configuration", paired("configuration", kind(action))


SLACK: Final = Slack()
