"""What services post to the intake in its tests; synthetic."""

from __future__ import annotations

from streams.demo.records import audit_event, device_event

__all__ = ["AUDIT", "DEVICE"]

AUDIT = audit_event(
    id="intake-1",
    time=1_772_352_000_000,
    interaction="read",
    staff="synthetic-p1",
    address="192.0.2.7",
    patient="synthetic-0001",
)
DEVICE = device_event(
    id="intake-2",
    time=1_772_352_000_000,
    device="pump-12",
    type="infusion-pump",
    event="alarm",
    action="occlusion",
    address="192.0.2.9",
)
