"""Prometheus' Alertmanager, as one who sends it alerts (https://prometheus.io/docs/alerting/latest/alerts_api/).

Its labels make an alert what it is, so a retry or a later revision is the same alert there. It forgets what nobody
sends again, after five minutes unless told otherwise: an alert says by itself until when it holds. That it is over is
the same labels, which hold until now. 400 says that it is wrong.

What is posted is a list for ``POST /api/v2/alerts``. The webhook payload of version 4 (``groupKey``, ``fingerprint``)
is what Alertmanager sends to others, and nothing that it takes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import orjson

from streams.sinks import attempts
from streams.sinks.exchange import Compose
from streams.sinks.messages import cut, read_message

__all__ = ["compose_with", "endpoint", "judge"]

#: Characters of one label or annotation.
LABEL, ANNOTATION = 256, 4000

judge = partial(attempts.judge, refused=(400, 413))


def endpoint(url: str) -> str:
    """Where alerts are posted, of Alertmanager's address or of that already."""
    path = "/api/v2/alerts"
    return url if url.rstrip("/").endswith(path) else url.rstrip("/") + path


def compose_with(*, hours: float, token: str = "") -> Compose:
    """``hours`` after an attempt the alert counts as resolved."""
    extra = {"authorization": f"Bearer {token}"} if token else {}

    def compose(delivery_id: str, body: bytes, now: float) -> tuple[dict[str, str], bytes]:
        message = read_message(delivery_id, body)
        facts = dict(message.facts)
        description = "\n".join([message.text, *message.lines, *filter(None, [message.note])])
        labels = {
            "alertname": message.name,
            "severity": message.severity,
            "entity": facts.get("Who", ""),
            "source": facts.get("Source", ""),
            "service": "wardwatch",
            "alert": message.dedup,
        }
        alert: dict[str, object] = {
            "labels": {name: cut(value, LABEL) for name, value in labels.items() if value},
            "annotations": {
                "summary": cut(message.title, ANNOTATION),
                "description": cut(description, ANNOTATION),
                "seen": facts.get("Seen", ""),
                "found_by": facts.get("Found by", ""),
                **({"rule": facts["Rule"]} if "Rule" in facts else {}),
            },
            # An alert that arrives hours late begins now: one that ended before it came would page nobody. The end of
            # one overlaps it so, whenever that came, and the two are merged.
            "startsAt": _iso(now),
            "endsAt": _iso(now if message.over else now + hours * 3600),
        }
        if message.link:
            alert["generatorURL"] = message.link
        return extra, orjson.dumps([alert])

    return compose


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
