"""What a model's finding says beside its reason: what the event was, and that a machine judged it."""

from __future__ import annotations

from typing import Any, Final

from detectors.base import Event

__all__ = ["AI_ASSERTED", "context", "model_output"]

#: HL7 v3 ObservationValue ``AIAST``: asserted by artificial intelligence. In ``rule.tags`` of every model's finding.
AI_ASSERTED: Final = "AIAST"

_CONTEXT: Final = (
    "event.action",
    "event.outcome",
    "user.id",
    "user.name",
    "source.ip",
    "device.id",
    "cloud.account.id",
)


def context(event: Event) -> dict[str, Any]:
    """Who did what, from where: only fields that have left ingest already."""
    fields = event.fields
    return {name: fields[name] for name in _CONTEXT if name in fields}


def model_output(name: str, title: str) -> dict[str, Any]:
    """``rule.*`` of a model's finding."""
    return {"id": name, "name": title, "category": "model", "tags": [AI_ASSERTED]}
