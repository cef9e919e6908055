"""Cisco Duo: second factors that were given and refused, and what its administrators changed.

Administrators are known by their names, the only identity Duo logs for them; what stands in ``description`` is free
text, which rules may read, and of which only an address is released.

Source: Duo, *Admin API*, authentication logs (v2) and administrator logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import part, parts, put_address, said, text, when
from streams.sources.verbs import kind, paired

__all__ = ["DUO", "Duo"]

_RESULTS: Final = {
    "success": "success",
    "denied": "failure",
    "failure": "failure",
    "fraud": "failure",
    "error": "failure",
}
#: Actions of administrators that are about people and what they may do; others change settings.
_PEOPLE: Final = ("admin_", "user_", "bypass_", "group_", "phone_", "hardtoken_", "update_admin")


class Duo:
    """The source ``duo``; see :class:`streams.sources.base.Source`."""

    name = "duo"
    topic = "audit.cloud"
    logsource = LogSource(product="cisco", service="duo")
    lateness = 300_000
    subject = "actor"
    released = frozenset(
        {
            "event.action",
            "event.category",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.reason",
            "event.type",
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
        if type(record.get("event_type")) is str:
            return "access_device" in record or "auth_device" in record or "txid" in record
        if type(record.get("action")) is not str or "." in record["action"]:
            return False
        return type(record.get("username")) is str and ("isotimestamp" in record or "description" in record)

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        if "event_type" in record:
            return _authentication(record)
        action = text(record, "action")
        if not action:
            raise BadRecord("action is missing" if part(record, "action") is None else "action is no text")
        told = parts(record, "description")
        category, type_ = _meaning(action)
        thing, object_ = action.rpartition("_")[0], text(record, "object")
        name = text(record, "username")
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": action,
            "event.provider": "duo",
            "event.outcome": "failure" if action.endswith(("_error", "_failed")) or text(told, "error") else "success",
            "user.name": name,
            "wardwatch.identity": "administrator",
            "user.target.name": object_ if "@" in object_ else "",
            "wardwatch.resource": f"{thing}/{object_}" if thing == "integration" and object_ else thing,
        }
        address = put_address(fields, part(told, "ip_address"))
        return Draft(
            id="",
            time=when(record, "isotimestamp", "timestamp", "ts"),
            actor=f"user:{name.lower()}" if name else address or "user:duo",
            fields=said(fields),
            address=address,
        )


def _authentication(record: Mapping[str, Any]) -> Draft:
    action = text(record, "event_type")
    if not action:
        raise BadRecord("event_type is no text")
    user, application = parts(record, "user"), parts(record, "application")
    name, key = text(user, "name"), text(user, "key")
    starts = action == "authentication"
    fields: dict[str, Any] = {
        "event.kind": "event",
        "event.category": ["authentication" if starts else "iam"],
        "event.type": ["start" if starts else "creation" if action == "enrollment" else "change"],
        "event.action": action,
        "event.provider": "duo",
        "event.outcome": _RESULTS.get(text(record, "result").lower(), "unknown"),
        "event.reason": text(record, "reason"),
        "user.id": key or name,
        "user.name": name,
        "wardwatch.identity": text(record, "factor"),
        "wardwatch.resource": text(application, "name", "key"),
    }
    address = put_address(fields, part(parts(record, "access_device"), "ip"))
    who = name.lower() or key
    return Draft(
        id=text(record, "txid"),
        time=when(record, "isotimestamp", "timestamp"),
        actor=f"user:{who}" if who else address or "user:duo",
        fields=said(fields),
        address=address,
    )


def _meaning(action: str) -> tuple[str, str]:
    if action in ("admin_login", "admin_login_error", "admin_2fa_error"):
        return "authentication", "start"
    category = "iam" if action.startswith(_PEOPLE) and "single_sign_on" not in action else "configuration"
    return category, paired(category, kind(action.rpartition("_")[2], other=kind(action)))


DUO: Final = Duo()
