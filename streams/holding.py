"""What waits to be told together: more of the same within minutes, and what is past a receiver's cap of the hour.

A message's text is fixed, and durable, before it is sent for the first time, and what comes later is another message:
so each alert is in exactly one message of each receiver, and the same id always says the same. A message that tells
many is named after the first of them, which no other message holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import orjson

from detectors.base import SEVERITIES, Alert, digest

__all__ = ["Held", "admit", "group_of", "held_key", "hour_ends", "summary_key"]

#: Alerts that a group's message names, and titles that a summary counts apart.
NAMED, TITLES = 10, 10
#: Characters of a title or a reason that are kept of each.
WORDS = 500

_HOUR = 3600


@dataclass(slots=True)
class Held:
    """Alerts of one receiver that wait to become one message."""

    receiver: str
    group: str = ""  #: which group (:func:`group_of`); empty for what is past the cap
    due: int = 0  #: ms since the epoch when they are told; 0 until the clock was asked
    first: str = ""  #: id of the delivery that the first of them would have been
    count: int = 0
    severities: dict[str, int] = field(default_factory=dict)
    titles: dict[str, int] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    entity: str = ""
    source: str = ""
    first_seen: int = 0  #: ms, as events claim
    last_seen: int = 0

    def add(self, delivery_id: str, message: Mapping[str, Any]) -> None:
        """Hold what a delivery tells, one alert or a group of them, instead of sending it."""
        data = message["data"]
        self.first = self.first or delivery_id
        self.entity = self.entity or data["entity"] if self.group else ""
        self.source = self.source or data["findings"][0]["source"] if self.group else ""
        self.first_seen = min(self.first_seen or data["first_seen"], data["first_seen"])
        self.last_seen = max(self.last_seen, data["last_seen"])
        count = data.get("count", 1)
        self.count += count
        for severity, number in data.get("severities", {data["severity"]: 1}).items():
            self.severities[severity] = self.severities.get(severity, 0) + number
        title = data["title"][:WORDS]
        if title in self.titles or len(self.titles) < TITLES:
            self.titles[title] = self.titles.get(title, 0) + count
        if self.group and len(self.alerts) < NAMED:
            kept = {name: data[name] for name in ("id", "revision", "severity", "last_seen")}
            self.alerts.append(kept | {"title": title, "reason": data["reason"][:WORDS]})

    @property
    def message_id(self) -> str:
        return f"{'more' if self.group else 'summary'}.{self.first}"

    def message(self, public_url: str) -> bytes:
        """The message that tells all of them; nothing may be added afterwards."""
        data: dict[str, Any] = {
            "count": self.count,
            "severity": max(self.severities, key=SEVERITIES.index),
            "severities": dict(sorted(self.severities.items(), key=lambda item: -SEVERITIES.index(item[0]))),
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
        }
        if self.group:
            title = next(iter(self.titles))
            data |= {
                "group": self.group,
                "entity": self.entity,
                "source": self.source,
                "title": title,
                "alerts": self.alerts,
            }
        else:
            data["titles"] = self.titles
        message = {
            "type": "alerts.grouped" if self.group else "alerts.summary",
            "timestamp": self.last_seen,
            "data": data,
        }
        if public_url:
            message["url"] = f"{public_url}#{self.alerts[0]['id']}" if self.alerts else public_url
        return orjson.dumps(message)

    def save(self) -> list[Any]:
        """The values of its fields, in their order."""
        return [getattr(self, one.name) for one in fields(self)]


def group_of(alert: Alert, minutes: int) -> str:
    """What groups ``alert`` with others: entity, rule, and the part of time, ``minutes`` long, that it lies in.

    Time is the event's and the parts are aligned, so which alerts belong together does not depend on their order.
    """
    finding = alert.findings[0]
    rule = finding.rule.get("id") or finding.detector
    return digest("group", alert.entity, rule, minutes, alert.last_seen // (minutes * 60_000))


def held_key(receiver: str, group: str) -> bytes:
    return f"held.group.{group}.{receiver}".encode()


def summary_key(receiver: str) -> bytes:
    return f"held.summary.{receiver}".encode()


def admit(counts: dict[str, int], receiver: str, severity: str, *, cap: int, now: float) -> tuple[bool, bool]:
    """Whether one more message may go out in this hour, and whether it is the last before those are held back.

    ``counts`` is the receiver's part of durable state, changed in place. Past the cap a message still goes out that is
    more severe than all before it in this hour, four times at most: nobody hides an attack behind noise.
    """
    hour, sent, highest = (f"{name}.{receiver}" for name in ("hour", "sent", "highest"))
    if counts.get(hour) != int(now // _HOUR):
        counts |= {hour: int(now // _HOUR), sent: 0, highest: -1}
    level = SEVERITIES.index(severity)
    if counts[sent] >= cap and level <= counts[highest]:
        return False, False
    counts[sent] += 1
    counts[highest] = max(counts[highest], level)
    return True, counts[sent] >= cap


def hour_ends(now: float) -> int:
    """ms since the epoch at which the hour of ``now`` (s) ends."""
    return (int(now // _HOUR) + 1) * _HOUR * 1000
