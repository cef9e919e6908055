"""An action this actor never did: a clerk who exports, a service that deletes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from detectors.base import EntityKind, Event, Finding, Severity, digest
from detectors.models.action_rarity import ActionRarity
from detectors.models.cooldown import HOUR, checked, first_in_hour
from detectors.models.evidence import context, model_output

__all__ = ["RarityDetector", "RarityState"]

#: What is new is learned each time the watermark enters another step of so many ms.
STEP: Final = 300_000
#: Distinct new actions of one step that are remembered, and so can fire; further ones are counted as one heap.
NEW: Final = 16
#: Steps with events that must have been learned before anything fires.
WARM_UP: Final = 4
#: Probability of anything as rare, below which a new action is told (low), and below which as medium.
#: With half an event added for the unknown, the first takes at least 250 events without another rare action.
LIMIT: Final = 0.002
SEVERE: Final = 0.0002
#: Characters of an action that count; a longer one is known by its beginning.
_LONGEST: Final = 64


class RarityState:
    """What is remembered of one actor."""

    __slots__ = ("fresh", "heap", "learned", "model", "step", "told")

    def __init__(self) -> None:
        self.model = ActionRarity()
        self.fresh: dict[str, int] = {}  #: actions since ``step`` began, not learned yet
        self.heap = 0  #: new actions since then that found no room in ``fresh``
        self.step = 0  #: of the watermark, as last seen
        self.told: list[int] = []  #: hours of which something was found
        self.learned = 0  #: steps with events that were learned, up to WARM_UP


class RarityDetector:
    """``rarity.actor``: a first-ever action of an actor whose actions are otherwise few and known.

    What is usual for others is out of reach on purpose: a state is one actor's. It fires at the first such action of an
    hour, and its finding is known by actor and hour: who goes through everything once is told once. A first is seldom
    an attack, so by itself it is of low severity, and of medium where it was least to be expected.

    Scores come from what was learned by the step's begin, so neither the order of events within a step nor two new
    actions beside each other change what fires.
    """

    name = "rarity.actor"
    entity: EntityKind = "actor"

    def new(self) -> RarityState:
        return RarityState()

    def inspect(self, event: Event, key: str, state: RarityState, watermark: int) -> Iterable[Finding]:
        """See :class:`detectors.base.Detector`. An event without ``event.action`` says nothing."""
        if not event.timely:
            return ()
        action = event.fields.get("event.action")
        if type(action) is not str or not action:
            return ()
        if len(action) > _LONGEST:
            action = action[:_LONGEST]
        step = watermark // STEP
        if step > state.step:
            self._learn(state)
            state.step = step
        fresh = state.fresh
        count = fresh.get(action)
        if count is not None:
            fresh[action] = count + 1
            return ()
        known = state.model.counts
        if action in known:
            fresh[action] = 1
            return ()
        if len(fresh.keys() - known.keys()) >= NEW:
            state.heap += 1
            return ()
        fresh[action] = 1
        if state.learned < WARM_UP:
            return ()
        probability = state.model.probability(action)
        if probability >= LIMIT or not first_in_hour(state.told, event.time):
            return ()
        return (self._finding(event, key, state.model, probability),)

    def _learn(self, state: RarityState) -> None:
        if state.fresh or state.heap:
            state.model.learn(state.fresh, state.heap)
            state.fresh = {}
            state.heap = 0
            state.learned = min(state.learned + 1, WARM_UP)

    def _finding(self, event: Event, key: str, model: ActionRarity, probability: float) -> Finding:
        severity: Severity = "medium" if probability < SEVERE else "low"
        return Finding(
            id=digest(self.name, key, event.time // HOUR),
            detector=self.name,
            entity=key,
            time=event.time,
            severity=severity,
            title="An action this actor never did before",
            reason=(
                f"A first among {model.total} events, which were {len(model.counts)} kinds of action; "
                f"anything as rare is expected once in {1.0 / probability:.0f} events."
            ),
            source=event.source,
            event_ids=(event.id,),
            score=1.0 - probability,
            rule=model_output(self.name, "Rarity of an action"),
            evidence=context(event),
        )

    def save(self, state: RarityState) -> list[Any]:
        """Step, steps learned, lost, heap; hours told; what is learned and what is fresh as action and count."""
        return [
            state.step,
            state.learned,
            state.model.lost,
            state.heap,
            state.told[:],
            _flat(state.model.counts),
            _flat(state.fresh),
        ]

    def load(self, saved: list[Any]) -> RarityState:
        state = RarityState()
        model = state.model
        try:
            if len(saved) == 6:  # as the first version saved it
                saved = [*saved[:4], [], *saved[4:]]
            step, learned, lost, heap, told, known, fresh = saved
            state.told = checked(told)
            model.counts, state.fresh = _counts(known), _counts(fresh)
            if not (
                type(saved) is list
                and all(type(number) is int for number in (step, learned, lost, heap))
                and 0 <= learned <= WARM_UP
                and min(lost, heap, step) >= 0
                and len(model.counts) <= model.actions
                and len(state.fresh.keys() - model.counts.keys()) <= NEW
                and lost + sum(model.counts.values()) <= model.memory
            ):
                raise ValueError("not as saved")
        except (TypeError, ValueError) as exc:
            raise ValueError(f"no state of {self.name}: write it by save()") from exc
        state.step, state.learned, state.heap = step, learned, heap
        model.lost, model.total = lost, lost + sum(model.counts.values())
        return state


def _flat(counts: dict[str, int]) -> list[Any]:
    return [value for action in sorted(counts) for value in (action, counts[action])]


def _counts(saved: list[Any]) -> dict[str, int]:
    """The inverse of :func:`_flat`. Raises ValueError on anything it did not write, TypeError on what is no list."""
    counts = dict(zip(saved[::2], saved[1::2], strict=True))
    for action, count in counts.items():
        if not (type(action) is str and 0 < len(action) <= _LONGEST and type(count) is int and count > 0):
            raise ValueError("an action and its count are a text and a positive whole number")
    if type(saved) is not list or saved != _flat(counts):
        raise ValueError("actions come once each, and sorted")
    return counts
