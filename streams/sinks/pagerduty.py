"""PagerDuty's Events API v2: an incident on a service. https://developer.pagerduty.com/docs/events-api-v2/trigger-events/

That an alert is over resolves its incident. 202 is accepted; 400 says that the event is wrong, and no other attempt
would change that; 429 and 5xx are tried again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b

import orjson

from streams.sinks import attempts
from streams.sinks.exchange import Compose
from streams.sinks.messages import Message, cut, read_message

__all__ = ["compose_with", "judge"]

#: Characters of a summary and of a dedup_key.
SUMMARY, DEDUP = 1024, 255
_SEVERITIES = {"informational": "info", "low": "warning", "medium": "warning", "high": "error", "critical": "critical"}

judge = partial(attempts.judge, refused=(400, 413))


def compose_with(routing_key: str) -> Compose:
    def compose(delivery_id: str, body: bytes, now: float) -> tuple[dict[str, str], bytes]:
        return {}, orjson.dumps(_event(read_message(delivery_id, body), routing_key, now))

    return compose


def _event(message: Message, routing_key: str, now: float) -> dict[str, object]:
    about: dict[str, object] = {"routing_key": routing_key, "dedup_key": _dedup_key(message.dedup)}
    if message.over:  # nothing else is read of it; where nothing is open under that key it changes nothing
        return {**about, "event_action": "resolve"}
    details = {**dict(message.facts), "Why": message.text}
    if message.lines:
        details["Alerts"] = "\n".join(message.lines)
    if message.note:
        details["Note"] = message.note
    event: dict[str, object] = {
        **about,
        "event_action": "trigger",
        "client": "Wardwatch",
        "payload": {
            "summary": cut(f"{message.title} ({dict(message.facts).get('Who', 'Wardwatch')})", SUMMARY),
            "source": "wardwatch",
            "severity": _SEVERITIES[message.severity],
            "timestamp": _claimed(message.first_seen, now),
            "class": "security",
            "custom_details": details,
        },
    }
    if message.link:
        event |= {"client_url": message.link, "links": [{"href": message.link, "text": "Open in Wardwatch"}]}
    return event


def _dedup_key(dedup: str) -> str:
    return dedup if len(dedup) <= DEDUP else blake2b(dedup.encode(), digest_size=16).hexdigest()


def _claimed(ms: int, now: float) -> str:
    """When it was first seen; now, where an event claims what cannot be."""
    return datetime.fromtimestamp(ms / 1000 if 0 < ms / 1000 <= now else now, UTC).isoformat(timespec="milliseconds")
