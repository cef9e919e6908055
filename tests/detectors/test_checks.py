"""Every registered detector keeps the contract, and a detector built to break a rule is caught breaking it."""

from __future__ import annotations

import os
import random
import socket
import time
from ast import literal_eval
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from random import choice
from time import time as aliased_clock
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from behaviour import burst, calm, new_action

from detectors.base import Detector, EntityKind, Event, Finding, digest
from detectors.checks import DetectorCheckError, check_detector
from detectors.registry import registered


@pytest.mark.parametrize("detector", registered(), ids=lambda detector: detector.name)
def test_every_registered_detector_keeps_the_contract(detector: Detector[Any]) -> None:
    check_detector(detector, new_action() if detector.name.startswith("rarity") else burst())


def test_names_are_unique_and_each_kind_has_its_own() -> None:
    names = [detector.name for detector in registered()]
    assert len(set(names)) == len(names)
    for kind in ("actor", "patient", "device", "address"):
        assert any(detector.entity == kind for detector in registered())


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
            id=digest(self.name, key),
            detector=self.name,
            entity=key,
            time=event.time,
            severity="low",
            title="Fifth",
            reason="It is the fifth.",
            source=event.source,
            event_ids=(event.id,),
            evidence={"event.action": event.fields["event.action"]} if "event.action" in event.fields else {},
        )

    def save(self, state: dict[str, int]) -> list[Any]:
        return [state["count"], "fifth"]

    def load(self, saved: list[Any]) -> dict[str, int]:
        if type(saved) is not list or len(saved) != 2 or saved[1] != "fifth" or type(saved[0]) is not int:
            raise ValueError("no state of fifth")
        return {"count": saved[0]}


def aliased_choice() -> int:
    return choice((1, 2))


class Looks(Fifth):
    """Looks at something that is no argument."""

    def __init__(self, look: Callable[[], Any], *, saving: bool = False) -> None:
        self.look = look
        self.saving = saving

    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        if not self.saving:
            self.look()
        return super().inspect(event, key, state, watermark)

    def save(self, state: dict[str, int]) -> list[Any]:
        if self.saving:
            self.look()
        return super().save(state)


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


class Says(Fifth):
    """Makes its finding otherwise."""

    def __init__(self, **otherwise: Any) -> None:
        self.otherwise = otherwise

    def finding(self, event: Event, key: str) -> Finding:
        otherwise = {name: make(event, key) if callable(make) else make for name, make in self.otherwise.items()}
        return replace(super().finding(event, key), **otherwise)


class Versioned(Fifth):
    rule_version = 3

    def finding(self, event: Event, key: str) -> Finding:
        return replace(super().finding(event, key), id=digest(self.name, key, self.rule_version))


class Numbered(Fifth):
    """Names what it finds by how much was learned before."""

    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        state["count"] += event.timely
        if not event.timely or event.fields.get("event.action") != "search":
            return ()
        return (replace(self.finding(event, key), id=digest(self.name, key, event.time, state["count"])),)


class Shared(Fifth):
    """Counts what all entities do together, and begins anew with every new stream."""

    last = 0
    count = 0

    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        if not event.timely:
            return ()
        Shared.count = 1 if event.time < Shared.last else Shared.count + 1
        Shared.last = event.time
        state["count"] = Shared.count
        return (self.finding(event, key),) if Shared.count == 5 else ()


class Confides(Fifth):
    """Remembers every entity outside the states, where nobody sees it."""

    hoard: ClassVar[dict[str, Any]] = {}

    def inspect(self, event: Event, key: str, state: dict[str, int], watermark: int) -> Iterable[Finding]:
        Confides.hoard[key] = event
        return super().inspect(event, key, state, watermark)


class Swells(Fifth):
    """Keeps every event in the state, and saves none of it."""

    def inspect(self, event: Event, key: str, state: Any, watermark: int) -> Iterable[Finding]:
        if event.timely:
            state.setdefault("events", []).append(event)
        return super().inspect(event, key, state, watermark)


class HoardsAddresses(Fifth):
    """Keeps one field that is not the action."""

    def new(self) -> Any:
        return {"count": 0, "users": []}

    def inspect(self, event: Event, key: str, state: Any, watermark: int) -> Iterable[Finding]:
        user = event.fields.get("user.id")
        if event.timely and isinstance(user, str) and user not in state["users"] and len(user) < 100:
            state["users"].append(user)
        return super().inspect(event, key, state, watermark)

    def save(self, state: Any) -> list[Any]:
        return [state["count"], "fifth", *map(repr, state["users"])]

    def load(self, saved: list[Any]) -> Any:
        if type(saved) is not list:
            raise ValueError("no state")
        return {**super().load(saved[:2]), "users": [literal_eval(user) for user in saved[2:]]}


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
        return replace(super().finding(event, key), id=digest(self.name, key, event.id))


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
        if event.timely and str(event.fields.get("event.action")).startswith("event.action"):
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
        (Looks(time.time), "pure"),
        (Looks(aliased_clock), "pure"),
        (Looks(time.perf_counter_ns), "pure"),
        (Looks(time.localtime), "pure"),
        (Looks(datetime.now), "pure"),
        (Looks(date.today), "pure"),
        (Looks(random.random), "pure"),
        (Looks(aliased_choice), "pure"),
        (Looks(uuid4), "pure"),
        (Looks(lambda: os.urandom(4)), "pure"),
        (Looks(lambda: hash("x")), "pure"),
        (Looks(Path("/dev/null").read_bytes), "pure"),
        (Looks(socket.gethostname), "pure"),
        (Looks(time.time, saving=True), "pure"),
        (Remembers(), "deterministic"),
        (Changes(), "leaves the event alone"),
        (Repeats(), "unique ids"),
        (Says(reason=" "), "says why"),
        (Says(reason=lambda event, key: f"Done by {key}."), "says why"),
        (Says(title=lambda event, key: f"About {event.fields['user.id']}"), "says why"),
        (Says(detector="other"), "findings"),
        (Says(entity="user:other"), "findings"),
        (Says(time=1), "findings"),
        (Says(event_ids=()), "findings"),
        (Says(event_ids=("another",)), "findings"),
        (Says(score=7.0), "findings"),
        (Says(score=float("nan")), "findings"),
        (Says(severity="urgent"), "findings"),
        (Says(evidence={"user.name": "Synthetic Patient"}), "evidence"),
        (Says(evidence={"event.action": "another"}), "evidence"),
        (Says(id=digest("fifth")), "unique ids"),
        (Versioned(), "stable ids"),
        (Numbered(), "stable ids"),
        (Shared(), "one entity's own"),
        (Confides(), "bounded"),
        (Swells(), "bounded"),
        (HoardsAddresses(), "bounded"),
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
