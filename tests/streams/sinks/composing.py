"""What each kind of receiver is sent of an alert, and every text in it."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from typing import Any

import orjson

from detectors.base import Alert
from streams.holding import Held
from streams.notify import alert_body
from streams.receivers import EmailReceiver
from streams.sinks import alertmanager, mail, pagerduty, slack, teams
from streams.sinks.messages import read_message

__all__ = ["COMPOSERS", "MAIL", "NOW", "ROUTING_KEY", "URL", "grouped", "texts", "told", "wire"]

NOW = 1_700_000_900.0
URL = "https://wardwatch.hospital.example/"
ROUTING_KEY = "0" * 32
MAIL = EmailReceiver(
    kind="email",
    host="mail.example",
    sender="ward@hospital.example",
    to=["soc@hospital.example", "ciso@hospital.example"],
)
COMPOSERS = {
    "pagerduty": pagerduty.compose_with(ROUTING_KEY),
    "slack": slack.compose,
    "teams": teams.compose,
    "alertmanager": alertmanager.compose_with(hours=24),
    "email": lambda i, body, now: ({}, bytes(mail.compose(read_message(i, body), MAIL, now))),
}


def wire(kind: str, body: bytes, delivery_id: str = "id") -> bytes:
    return COMPOSERS[kind](delivery_id, body, NOW)[1]


def told(kind: str, body: bytes, delivery_id: str = "id") -> Any:
    content = wire(kind, body, delivery_id)
    return email.message_from_bytes(content, policy=email.policy.default) if kind == "email" else orjson.loads(content)


def texts(value: Any) -> Iterator[str]:
    """Every string that a receiver might show."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, email.message.EmailMessage):
        yield from (str(header) for header in value.values())
        yield value.get_content().replace("\r\n", "\n")


def grouped(*alerts: Alert, group: str = "g" * 32) -> bytes:
    held = Held("oncall", group)
    for one in alerts:
        held.add(f"{one.id}.{one.revision}.oncall", orjson.loads(alert_body(one)))
    return held.message(URL)
