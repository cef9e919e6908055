"""An action this actor does not do: a clerk who exports, a service that deletes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from river.proba import Multinomial

from detectors.base import EntityKind, Event, Finding, Severity, digest

__all__ = ["RarityDetector", "RarityState"]

_DAY = 86_400_000
#: Actions of an actor that are remembered; the least frequent makes room.
ACTIONS = 32
#: Events of an actor before anything can be unusual for it.
WARM_UP = 200
#: Probability of an action, given the actor, below which it is unusual.
LIMIT = 0.002
#: Characters of an action's name that count.
_LONGEST = 64


class RarityState:
    """What is remembered of one actor."""

    __slots__ = ("counts", "fired")

    def __init__(self) -> None:
        self.counts = Multinomial()  #: River's counter of actions
        self.fired: dict[str, int] = {}  #: action to the day it last fired


class RarityDetector:
    """``rarity.actor``: the probability of an action given who acts, with Laplace's rule for what was never seen.

    It fires once per actor, action and day. What fired is learned too: done often enough, it becomes usual.
    """

    name = "rarity.actor"
    entity: EntityKind = "actor"

    def new(self) -> RarityState:
        return RarityState()

    def inspect(self, event: Event, key: str, state: RarityState, watermark: int) -> Iterable[Finding]:
        if not event.timely:
            return ()
        action = event.fields.get("event.action")
        if not isinstance(action, str) or not action:
            return ()
        action = action[:_LONGEST]
        counts = state.counts.counts
        total = state.counts.n_samples
        count = counts.get(action, 0)
        found: tuple[Finding, ...] = ()
        if total >= WARM_UP:
            probability = (count + 1) / (total + len(counts) + 1)
            day = event.time // _DAY
            if probability < LIMIT and state.fired.get(action) != day:
                found = (self._finding(event, key, action, count, total, probability),)
                state.fired[action] = day
        state.counts.update(action)
        if len(counts) > ACTIONS:
            self._forget(state, action)
        return found

    def _forget(self, state: RarityState, new: str) -> None:
        counts = state.counts.counts
        least = min((name for name in counts if name != new), key=lambda name: (counts[name], name))
        for _ in range(counts[least]):
            state.counts.revert(least)
        del counts[least]
        state.fired.pop(least, None)

    def _finding(self, event: Event, key: str, action: str, count: int, total: int, probability: float) -> Finding:
        severity: Severity = "medium" if count == 0 else "low"
        before = "never before" if count == 0 else f"{count} times before"
        names = ("event.action", "user.id", "source.ip", "device.id")
        return Finding(
            id=digest(self.name, key, action, event.time // _DAY),
            detector=self.name,
            entity=key,
            time=event.time,
            severity=severity,
            title="An action that is rare for this actor",
            reason=f"an action done {before} in {total} events; its probability for this actor is {probability:.5f}",
            source=event.source,
            event_ids=(event.id,),
            score=1.0 - probability,
            rule={"id": self.name, "name": "Rarity of an action", "category": "model", "tags": ["AIAST"]},
            evidence={name: event.fields[name] for name in names if name in event.fields},
        )

    def save(self, state: RarityState) -> list[Any]:
        counts = [value for pair in sorted(state.counts.counts.items()) for value in pair]
        fired = [value for pair in sorted(state.fired.items()) for value in pair]
        return [counts, fired]

    def load(self, saved: list[Any]) -> RarityState:
        state = RarityState()
        try:
            counts, fired = saved
            known = dict(zip(counts[::2], counts[1::2], strict=True))
            if not all(isinstance(action, str) and type(count) is int and count > 0 for action, count in known.items()):
                raise ValueError("a count of an action is a positive whole number")
            state.counts = Multinomial(known)
            state.fired = {str(action): int(day) for action, day in zip(fired[::2], fired[1::2], strict=True)}
        except (TypeError, ValueError) as exc:
            raise ValueError(f"no state of {self.name}") from exc
        return state
