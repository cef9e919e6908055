"""EMQX's events, as a rule over ``$events/#`` hands them to its Kafka or HTTP sink with ``SELECT *``.

Source: EMQX documentation, *Data Sources and Fields* of rules, versions 4.4 to 6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.broker import RELEASED, broker_event

__all__ = ["EMQX", "Emqx"]

#: ``event`` to act; how it went is in another field for some.
_EVENTS: Final = {
    "client.connected": "mqtt-connect",
    "client.disconnected": "mqtt-disconnect",
    "client.connack": "mqtt-authenticate",
    "client.check_authn_complete": "mqtt-authenticate",
    "client.check_authz_complete": "",
    "client.check_acl_complete": "",
    "session.subscribed": "mqtt-subscribe",
    "session.unsubscribed": "mqtt-unsubscribe",
    "message.publish": "mqtt-message",
    "message.delivered": "mqtt-message",
    "message.acked": "mqtt-message",
    "message.dropped": "mqtt-message",
    "delivery.dropped": "mqtt-message",
}
_CHECKED: Final = {"publish": "mqtt-publish", "subscribe": "mqtt-subscribe"}
_TIMES: Final = ("timestamp", "disconnected_at", "connected_at", "publish_received_at")
#: What EMQX gives as reasons; others may be text of a client.
_REASONS: Final = frozenset(
    """
    normal kicked keepalive_timeout not_authorized tcp_closed discarded takenover internal_error idle_timeout
    bad_username_or_password client_identifier_not_valid server_unavailable server_busy banned bad_authentication_method
    unsupported_protocol_version protocol_error quota_exceeded queue_full no_subscribers expired no_local success
    """.split()  # noqa: SIM905
)


class Emqx:
    """The source ``emqx``; see :class:`streams.sources.base.Source`."""

    name = "emqx"
    topic = "audit.iot"
    logsource = LogSource(product="emqx", service="mqtt", category="broker")
    lateness = 60_000
    subject = "device"
    released = RELEASED

    def recognises(self, record: Mapping[str, Any]) -> bool:
        event = record.get("event")
        return isinstance(event, str) and event in _EVENTS and ("clientid" in record or "from_clientid" in record)

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        event = _text(record, "event")
        if event not in _EVENTS:
            raise BadRecord(f"event is none of {', '.join(_EVENTS)}")
        client = _text(record, "from_clientid" if "from_clientid" in record else "clientid")
        user = record.get("from_username", record.get("username"))
        reason = record.get("reason", record.get("reason_code"))
        address, port = _peer(record)
        return broker_event(
            self.name,
            _time(record),
            *_act(record, event),
            client=client,
            # A client without a user name has "undefined": the word of EMQX's own language.
            user=user if isinstance(user, str) and user not in ("", "undefined") else "",
            address=address,
            port=port,
            reason=reason if isinstance(reason, str) and reason in _REASONS else "",
            id=_text(record, "id") + f"/{event}" if "id" in record else "",
        )


def _act(record: Mapping[str, Any], event: str) -> tuple[str, str]:
    """What was done, and how it went."""
    if act := _EVENTS[event]:
        if act == "mqtt-authenticate":
            return act, "success" if _text(record, "reason_code") == "success" else "failure"
        if act == "mqtt-disconnect":
            return act, "success" if record.get("reason") in ("normal", None) else "failure"
        return act, "failure" if event.endswith(".dropped") else "success"
    action, result = _text(record, "action"), _text(record, "result")
    if action not in _CHECKED:
        raise BadRecord("action is neither publish nor subscribe")
    if result not in ("allow", "deny"):
        raise BadRecord("result is neither allow nor deny")
    return _CHECKED[action], "success" if result == "allow" else "failure"


def _peer(record: Mapping[str, Any]) -> tuple[str, int | None]:
    name, host = record.get("peername"), record.get("peerhost")
    if isinstance(name, str):
        address, _, port = name.rpartition(":")
        return address, int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else None
    return (host, None) if isinstance(host, str) else ("", None)


def _time(record: Mapping[str, Any]) -> int:
    for name in _TIMES:
        value = record.get(name)
        if type(value) is int and 0 < value < 253_402_300_800_000:
            return value
    raise BadRecord("timestamp is missing, or no milliseconds since the epoch")


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise BadRecord(f"{name} is missing" if value is None else f"{name} is no text")
    return value


EMQX: Final = Emqx()
