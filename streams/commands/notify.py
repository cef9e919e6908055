"""``notify``: which receivers there are, and a test message to one of them, without Kafka."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import orjson

from streams.commands.alert_line import printable
from streams.keys import Keys
from streams.receivers import AnyReceiver
from streams.settings import Settings
from streams.sinks.attempts import Outcome
from streams.sinks.catalog import make_sinks

__all__ = ["listed", "receiver_line", "send_test", "test_body"]

#: Characters of a receiver's answer that are shown.
_ANSWER = 200


def listed(name: str, receiver: AnyReceiver) -> dict[str, Any]:
    """What one receiver is and is sent; of its address the host alone, since the rest may be a secret."""
    return {
        "name": name,
        "kind": receiver.kind,
        "host": receiver.target[0],
        "minimum_severity": receiver.minimum_severity,
        "sources": receiver.sources,
        "detectors": receiver.detectors,
        "group_minutes": receiver.group_minutes,
        "per_hour": receiver.per_hour,
    }


def receiver_line(told: dict[str, Any]) -> str:
    what = f"{told['minimum_severity']} and above"
    for field in ("sources", "detectors"):
        if told[field]:
            what += f"; {field} {', '.join(told[field])}"
    if told["group_minutes"]:
        what += f"; grouped by {told['group_minutes']} min"
    if told["per_hour"]:
        what += f"; at most {told['per_hour']} an hour"
    return printable(f"{told['name']:<16} {told['kind']:<12} {told['host']:<32} {what}")


def test_body(now: float, public_url: str) -> bytes:
    """A message in the form of an alert that says it is none. ``now``: seconds since the epoch."""
    at = int(now * 1000)
    finding = {
        "id": "test",
        "detector": "wardwatch",
        "entity": "device:synthetic-test",
        "time": at,
        "severity": "informational",
        "title": "Test message from Wardwatch",
        "reason": "somebody ran wardwatch notify test",
        "source": "wardwatch",
        "event_ids": [],
        "score": 0.0,
        "techniques": [],
        "rule": {},
        "evidence": {},
        "timely": True,
    }
    data = {
        "id": f"test-{secrets.token_hex(8)}",
        "revision": 1,
        **{name: finding[name] for name in ("entity", "severity", "title", "reason")},
        "status": "open",
        "first_seen": at,
        "last_seen": at,
        "findings": [finding],
    }
    message = {"type": "test", "timestamp": at, "data": data}
    return orjson.dumps(message | ({"url": public_url} if public_url else {}))


def send_test(settings: Settings, name: str, keys: Keys, *, clock: Callable[[], float] = time.time) -> tuple[bool, str]:
    """Whether receiver ``name`` took a test message, and one line on it. Raises ValueError on its ca_file."""
    receiver = settings.receivers[name]
    now = clock()
    body = test_body(now, settings.public_url)
    delivery_id = f"{orjson.loads(body)['data']['id']}.1.{name}"
    began = time.monotonic()
    outcome = asyncio.run(_attempt(settings, name, keys, delivery_id, body, now))
    taken = outcome.verdict == "delivered"
    answer = " ".join(printable(" ".join(outcome.answer.split()))[:_ANSWER].split())
    told = f"{outcome.detail}{f', it says: {answer}' if answer else ''}, after {time.monotonic() - began:.1f} s"
    return taken, f"{name} ({receiver.kind} at {receiver.target[0]}) {'took' if taken else 'did not take'} it: {told}"


async def _attempt(settings: Settings, name: str, keys: Keys, delivery_id: str, body: bytes, now: float) -> Outcome:
    receivers = {name: settings.receivers[name]}
    sinks = make_sinks(
        receivers,
        private_hosts=settings.private_hosts,
        webhook_key=keys.webhook,
        proxy=settings.proxy.get_secret_value(),
    )
    try:
        return await sinks[name].attempt(delivery_id, body, now)
    finally:
        await sinks[name].close()
