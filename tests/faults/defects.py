"""Defects that records meet: a detector that fails half way through some events, a source that refuses good records,
ones that end the whole process, a version that writes what this one cannot read.

The oracle has the detector too: what it fails on is a matter of the event alone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from later import later_version

from detectors import registry
from detectors.base import EntityKind, Event, Finding
from streams.lineage import fingerprint
from streams.sources.base import BadRecord, Draft
from streams.sources.device import DeviceEvent
from streams.sources.fhir import FhirAuditEvent

__all__ = ["DEFECTS", "REFUSED", "Fragile", "fails_on", "refuses"]

FAILS_EVERY = 400
#: Why the defective sources refuse a good record.
REFUSED = "a defect refuses this"


def fails_on(event_id: str) -> bool:
    """Whether the fragile detector fails on the event."""
    return fingerprint(event_id) % FAILS_EVERY == 0


class Fragile:
    """Counts the events of an actor, and fails on some of them when it has counted already."""

    name = "fragile"
    entity: EntityKind = "actor"

    def new(self) -> list[int]:
        return [0]

    def inspect(self, event: Event, key: str, state: list[int], watermark: int) -> Iterable[Finding]:
        state[0] += 1
        if fails_on(event.id):
            raise ArithmeticError("a defect of a detector")
        return ()

    def save(self, state: list[int]) -> list[Any]:
        return list(state)

    def load(self, saved: list[Any]) -> list[int]:
        return list(saved)


def fragile_detector() -> None:
    """Switch the fragile detector on, beside the product's own."""
    registry._REGISTERED = (*registry._REGISTERED, Fragile())  # type: ignore[misc]


def refuses(record: Mapping[str, Any]) -> bool:
    """Whether the defective sources refuse the record, which is a good one."""
    return record.get("action") in ("U", "D") or ("device" in record and "id" not in record)


def defective_sources() -> None:
    """FHIR's source refuses every update and delete, the devices' what has no id, as after a change that went wrong."""
    for source in (FhirAuditEvent, DeviceEvent):
        source.normalise = _refusing(source.normalise)  # type: ignore[method-assign,assignment]


def _refusing(normalise: Callable[[Any, Mapping[str, Any]], Draft]) -> Callable[[Any, Mapping[str, Any]], Draft]:
    def refuse(self: Any, record: Mapping[str, Any]) -> Draft:
        if refuses(record):
            raise BadRecord(REFUSED)
        return normalise(self, record)

    return refuse


class Killing:
    """A detector that takes all the memory there is, as far as the kernel lets it."""

    name = "killing"
    entity: EntityKind = "device"

    def new(self) -> None:
        return None

    def inspect(self, event: Event, key: str, state: None, watermark: int) -> Iterable[Finding]:
        if event.id == KILLERS[0]:
            os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does then
        return ()

    def save(self, state: None) -> list[Any]:
        return []

    def load(self, saved: list[Any]) -> None:
        return None


#: Ids of the device events that end the process: one in the detector, one in the source.
KILLERS = ("synthetic-killer-of-detectors", "synthetic-killer-of-sources")


def killed_by_records() -> None:
    """A detector is killed by one event, and the devices' source never comes back from another."""
    registry._REGISTERED = (*registry._REGISTERED, Killing())  # type: ignore[misc]
    normalise = DeviceEvent.normalise

    def endless(self: Any, record: Mapping[str, Any]) -> Draft:
        while record.get("id") == KILLERS[1]:
            pass
        return normalise(self, record)

    DeviceEvent.normalise = endless  # type: ignore[method-assign]


DEFECTS: dict[str, Callable[[], None]] = {
    f.__name__: f for f in (fragile_detector, defective_sources, killed_by_records, later_version)
}
