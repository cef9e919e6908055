"""An event as one nested document in the Elastic Common Schema, with its entities under ``wardwatch``."""

from __future__ import annotations

from typing import Any

from detectors.base import Event

__all__ = ["document"]


def document(event: Event) -> dict[str, Any]:
    """An event as nested ECS, with its entities under ``wardwatch``."""
    own = {"id": event.id, "source": event.source, "actor": event.actor, "timely": event.timely}
    own |= {"patients": list(event.patients), "device": event.device, "address": event.address}
    named = {f"wardwatch.{name}": value for name, value in own.items() if value not in ("", [])}
    nested: dict[str, Any] = {"@timestamp": event.time}
    for name, value in {**event.fields, **named}.items():
        at: Any = nested
        *path, last = name.split(".")
        for part in path:
            at = at.setdefault(part, {}) if isinstance(at, dict) else None
        if isinstance(at, dict) and not isinstance(at.get(last), dict):
            at[last] = value
        else:  # one name is a field and holds fields: an index, which cannot have both, says so
            nested[name] = value
    return nested
