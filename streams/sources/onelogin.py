"""OneLogin's events: who signed in, and what was done to accounts, roles and applications.

Names are first and last names: rules may read them, and none is released. People are known by their ids.

Source: OneLogin, *Event Resource and Types*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.parts import number, part, put_address, said, text, when

__all__ = ["ONELOGIN", "OneLogin"]

#: OneLogin's numbers to its names (empty where none is published), ECS category, type and outcome.
_EVENTS: Final[dict[int, tuple[str, str, str, str]]] = {
    1: ("APP_ADDED_TO_ROLE", "iam", "change", "success"),
    2: ("APP_REMOVED_FROM_ROLE", "iam", "change", "success"),
    3: ("USER_ASSUMED_USER", "iam", "admin", "success"),
    4: ("USER_ASSIGNED_ROLE", "iam", "change", "success"),
    5: ("USER_LOGGED_INTO_ONELOGIN", "authentication", "start", "success"),
    6: ("USER_FAILED_ONELOGIN_LOGIN", "authentication", "start", "failure"),
    7: ("", "authentication", "end", "success"),
    8: ("", "authentication", "start", "success"),
    9: ("", "authentication", "start", "failure"),
    11: ("", "iam", "change", "success"),
    12: ("UNLOCKED_USER", "iam", "change", "success"),
    13: ("CREATED_USER", "iam", "creation", "success"),
    14: ("", "iam", "change", "success"),
    15: ("DEACTIVATED_USER", "iam", "change", "success"),
    16: ("", "iam", "change", "success"),
    17: ("DELETED_USER", "iam", "deletion", "success"),
    19: ("USER_LOCKED", "iam", "change", "success"),
    24: ("USER_REMOVED_OTP_DEVICE", "iam", "change", "success"),
    69: ("USER_REJECTED_BY_RADIUS", "authentication", "start", "failure"),
    90: ("", "authentication", "info", "failure"),  # an application that is not the user's
    240: ("", "iam", "info", "success"),  # a password was looked at
    531: ("", "iam", "change", "success"),  # locked and suspended, by the API
    532: ("", "iam", "change", "success"),
    551: ("", "iam", "change", "success"),
    553: ("", "iam", "change", "success"),
}


class OneLogin:
    """The source ``onelogin``; see :class:`streams.sources.base.Source`."""

    name = "onelogin"
    topic = "audit.cloud"
    logsource = LogSource(product="onelogin", service="onelogin.events")
    lateness = 600_000
    subject = "actor"
    released = frozenset(
        {
            "event.action",
            "event.category",
            "event.code",
            "event.kind",
            "event.outcome",
            "event.provider",
            "event.type",
            "organization.id",
            "source.domain",
            "source.ip",
            "source.port",
            "user.id",
            "user.target.id",
            "wardwatch.resource",
        }
    )

    def recognises(self, record: Mapping[str, Any]) -> bool:
        return part(record, "event_type_id") is not None

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        code = number(record, "event_type_id")
        if code is None:
            raise BadRecord("event_type_id is no number")
        action, category, type_, result = _EVENTS.get(code, ("", "iam", "info", "unknown"))
        user, actor = text(record, "user_id"), text(record, "actor_user_id")
        if text(record, "error_description"):
            result = "failure"
        fields: dict[str, Any] = {
            "event.kind": "event",
            "event.category": [category],
            "event.type": [type_],
            "event.action": action or f"event_type_{code}",
            "event.code": str(code),
            "event.provider": "onelogin",
            "event.outcome": result,
            "organization.id": text(record, "account_id"),
            "user.id": actor or user,
            "user.target.id": user,
            "wardwatch.resource": text(record, "app_name", "role_name", "group_name", "policy_name"),
        }
        address = put_address(fields, part(record, "ipaddr"))
        who = actor or user or text(record, "actor_system")
        return Draft(
            id=text(record, "uuid", "id"),
            time=when(record, "created_at", "event_timestamp"),
            actor=f"user:{who}" if who else address or "user:onelogin",
            fields=said(fields),
            address=address,
        )


ONELOGIN: Final = OneLogin()
