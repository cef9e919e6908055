"""Every registered detector keeps the contract, and a detector built to break a rule is caught breaking it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from typing import Any

import pytest
from behaviour import burst, calm, new_action

from detectors.base import Detector, EntityKind, Event, Finding, digest
from detectors.checks import DetectorCheckError, check_detector
from detectors.registry import by_entity, registered


@pytest.mark.parametrize("detector", registered(), ids=lambda detector: detector.name)
def test_every_registered_detector_keeps_the_contract(detector: Detector[Any]) -> None:
    check_detector(detector, new_action() if detector.name.startswith("rarity") else burst())


def test_names_are_unique_and_each_kind_has_its_own() -> None:
    names = [detector.name for detector in registered()]
    assert len(set(names)) == len(names)
    for kind in ("actor", "patient", "device", "address"):
        assert [d for d in registered() if d.entity == kind] == list(by_entity(kind))
        assert by_entity(kind)


class Fifth:
    """Keeps every rule: fires at an entity's fifth event, and at every fifth hour of its day."""

    name = "fifth"
    entity: EntityKind = "actor"

    def new(self) -> dict[str, int]:
        return {"count": 0}

    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        if not event.timely:
            return ()
        state["count"] += 1
        return (self.finding(event, key),) if state["count"] == 5 else ()

    def finding(self, event: Event, key: str) -> Finding:
        return Finding(
            digest(self.name, key), self.name, key, event.time, "low", "Fifth", "It is the fifth.", event.source
        )

    def save(self, state: dict[str, int]) -> list[Any]:
        return [state["count"], "fifth"]

    def load(self, saved: list[Any]) -> dict[str, int]:
        if type(saved) is not list or len(saved) != 2 or saved[1] != "fifth" or type(saved[0]) is not int:
            raise ValueError("no state of fifth")
        return {"count": saved[0]}


class Clock(Fifth):
    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        time.time()
        return super().inspect(event, key, state, watermark)


class Chance(Fifth):
    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        random.random()
        return super().inspect(event, key, state, watermark)


class Remembers(Fifth):
    """Keeps something outside the state."""

    seen = 0

    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        Remembers.seen += 1
        state["count"] = Remembers.seen
        return ()


class Changes(Fifth):
    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        event.fields["seen"] = True  # type: ignore[index]
        return super().inspect(event, key, state, watermark)


class Repeats(Fifth):
    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        found = tuple(super().inspect(event, key, state, watermark))
        return found + found


class Silent(Fifth):
    def finding(self, event: Event, key: str) -> Finding:
        return Finding(digest(self.name, key), self.name, key, event.time, "low", "Fifth", " ", event.source)


class Foreign(Fifth):
    def finding(self, event: Event, key: str) -> Finding:
        return Finding(digest(self.name, key), "other", key, event.time, "low", "Fifth", "why", event.source)


class Overconfident(Fifth):
    def finding(self, event: Event, key: str) -> Finding:
        made = super().finding(event, key)
        return Finding(made.id, self.name, key, event.time, "low", "Fifth", "why", event.source, score=7.0)


class Opaque(Fifth):
    def save(self, state: dict[str, int]) -> list[Any]:
        return [state["count"], "fifth", {1, 2}]


class Forgets(Fifth):
    def save(self, state: dict[str, int]) -> list[Any]:
        return [0, "fifth"]


class Rounds(Fifth):
    def load(self, saved: list[Any]) -> dict[str, int]:
        return {"count": super().load(saved)["count"] // 2 * 2}


class Ordered(Fifth):
    """Names what it finds by the event that happened to be fifth."""

    def finding(self, event: Event, key: str) -> Finding:
        return Finding(
            digest(self.name, event.id), self.name, key, event.time, "low", "Fifth", "It is the fifth.", event.source
        )


class Gullible(Fifth):
    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        state["count"] += 1
        return (self.finding(event, key),) if state["count"] == 5 else ()


class Fragile(Fifth):
    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        event.fields["event.action"].upper()
        return super().inspect(event, key, state, watermark)


class Hoards(Fifth):
    def new(self) -> Any:
        return {"count": 0, "actions": []}

    def inspect(self, event: Event, key: str, state: Any, watermark: int) -> Iterable[Finding]:
        if event.timely and str(event.fields.get("event.action")).startswith("action"):
            state["actions"].append(event.fields["event.action"])
        return super().inspect(event, key, state, watermark)

    def save(self, state: Any) -> list[Any]:
        return [state["count"], "fifth", *state["actions"]]

    def load(self, saved: list[Any]) -> Any:
        if type(saved) is not list:
            raise ValueError("no state")
        return {**super().load(saved[:2]), "actions": saved[2:]}


class Trusting(Fifth):
    def load(self, saved: list[Any]) -> dict[str, int]:
        return {"count": 0} if not saved else super().load(saved)


class Crashes(Fifth):
    def load(self, saved: list[Any]) -> dict[str, int]:
        return {"count": int(saved[0])} if saved[1] == "fifth" else super().load(saved)


class Idle(Fifth):
    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        return ()


class Learns(Fifth):
    """Decides by how often it was asked, which no state holds."""

    def __init__(self) -> None:
        self.calls = 0

    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        found = tuple(super().inspect(event, key, state, watermark))
        if found:
            self.calls += 1
        return found if self.calls in (1, 2, 3) else ()


def test_a_detector_that_keeps_every_rule_passes() -> None:
    check_detector(Fifth(), calm())


@pytest.mark.parametrize(
    ("detector", "check"),
    [
        (Clock(), "no clock, no chance"),
        (Chance(), "no clock, no chance"),
        (Remembers(), "deterministic"),
        (Changes(), "leaves the event alone"),
        (Repeats(), "unique ids"),
        (Silent(), "says why"),
        (Foreign(), "findings"),
        (Overconfident(), "findings"),
        (Opaque(), "saves JSON"),
        (Forgets(), "saves exactly"),
        (Rounds(), "saves exactly"),
        (Ordered(), "order"),
        (Gullible(), "untimely events"),
        (Fragile(), "hostile values"),
        (Hoards(), "bounded"),
        (Trusting(), "refuses garbage"),
        (Crashes(), "refuses garbage"),
        (Idle(), "fires"),
        (Learns(), "saves exactly"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_a_detector_that_breaks_a_rule_is_caught(detector: Detector[Any], check: str) -> None:
    with pytest.raises(DetectorCheckError, match=f"^{check}: "):
        check_detector(detector, calm())


def test_events_must_name_the_entity() -> None:
    class Nobody(Fifth):
        entity: EntityKind = "device"

    events = [Event(id="e", time=1, source="fhir", actor="user:x")]
    with pytest.raises(DetectorCheckError, match=r"^events: an event names no device"):
        check_detector(Nobody(), events)
