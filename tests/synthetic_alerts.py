"""Alerts for the tests of what takes them."""

from __future__ import annotations

from typing import Any

from detectors.base import Alert, Finding, digest
from streams.alerting import end_of
from streams.occasions import DETECTOR, SUBJECT, Over

__all__ = ["alert", "over", "own"]


def alert(name: str = "a", *, revision: int = 1, time: int = 1_700_000_000_000, **kwargs: Any) -> Alert:
    """One alert about ``name``; ``kwargs`` change its finding."""
    given: dict[str, Any] = {
        "id": digest("finding", name),
        "detector": "sigma",
        "entity": "user:Practitioner/synthetic-p1",
        "time": time,
        "severity": "high",
        "title": f"Synthetic alert {name}",
        "reason": "action is D",
        "source": "fhir",
        "event_ids": (f"event-{name}",),
        "techniques": ("T1485",),
        "rule": {"id": "r1", "name": f"Synthetic alert {name}", "author": "Wardwatch", "tags": ["attack.t1485"]},
        "evidence": {"event.action": "delete", "source.ip": "192.0.2.7"},
    }
    finding = Finding(**{**given, **kwargs})
    return Alert(
        id=digest("alert", finding.id),
        revision=revision,
        entity=finding.entity,
        severity=finding.severity,
        title=finding.title,
        reason=finding.reason,
        status="open",
        first_seen=finding.time,
        last_seen=finding.time,
        findings=(finding,),
    )


def own(name: str = "a", **kwargs: Any) -> Alert:
    """One that the pipeline makes of itself."""
    rule = {"id": "pipeline.store", "name": f"Synthetic trouble {name}", "response": "mend it"}
    given = {"detector": DETECTOR, "source": DETECTOR, "entity": "topic:alerts", "title": rule["name"], "rule": rule}
    told = {"reason": "it does not answer.", "evidence": {SUBJECT: name}, "event_ids": (), "techniques": ()}
    return alert(name, **{**given, **told, **kwargs})


def over(begun: Alert, *, minutes: float = 12) -> Alert:
    """``begun`` after so long, when what it tells of is over."""
    return end_of(Over(begun.findings[0], begun.first_seen + int(minutes * 60_000)))
