"""A synthetic pump's alarms by number, for the processes that emit them and those that look for them."""

from __future__ import annotations

from typing import Any

from streams.emitter import DeviceEvent

__all__ = ["event"]


def event(number: int) -> dict[str, Any]:
    device = DeviceEvent(device="pump-1", type="infusion-pump", event="alarm", action="occlusion", id=f"e{number:05}")
    return device.record()
