"""Alerts for the tests of what takes them."""

from __future__ import annotations

from typing import Any

from detectors.base import Alert, Finding, digest

__all__ = ["alert"]


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
