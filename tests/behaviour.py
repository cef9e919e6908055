"""Streams of one actor's events: calm days, and what is not calm. Synthetic and seeded."""

from __future__ import annotations

import random

from detectors.base import Event

__all__ = ["NOW", "burst", "calm", "event", "new_action"]

NOW = 1_700_000_000_000 - 1_700_000_000_000 % 300_000
WINDOW = 300_000


def event(number: int, time: int, action: str = "read") -> Event:
    return Event(
        id=f"e{number}",
        time=time,
        source="fhir",
        actor="user:Practitioner/synthetic-1",
        patients=("patient:k.synthetic",),
        device="device:synthetic-1",
        address="address:192.0.2.7",
        fields={"event.action": action, "user.id": "Practitioner/synthetic-1"},
    )


def calm(*, seed: int = 1, windows: int = 24, per_window: float = 3.0) -> list[Event]:
    """Reads and searches at a steady rate."""
    rng = random.Random(seed)
    events: list[Event] = []
    time = float(NOW)
    while True:
        time += rng.expovariate(per_window) * WINDOW
        if time >= NOW + windows * WINDOW:
            return events
        events.append(event(len(events), int(time), rng.choice(["read", "read", "read", "search"])))


def burst(*, count: int = 80, seed: int = 1) -> list[Event]:
    """A calm time, then ``count`` reads within two minutes."""
    before = calm(seed=seed)
    start = NOW + 24 * WINDOW
    return [*before, *(event(len(before) + n, start + n * 120_000 // count) for n in range(count))]


def new_action(*, seed: int = 1) -> list[Event]:
    """A long calm time, then something this actor never did."""
    before = calm(seed=seed, windows=48, per_window=20.0)
    start = NOW + 49 * WINDOW
    after = [event(len(before) + n, start + n * 1000) for n in range(3)]
    return [*before, *after, event(len(before) + 9, start + 4000, "export"), event(len(before) + 10, start + 5000)]
