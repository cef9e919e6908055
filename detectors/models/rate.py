"""More events than is usual for this entity: somebody goes through records, a device floods, an address scans.

Counts are kept in tumbling windows of event time. What is usual comes from closed windows only, so the order of events
within the open ones changes no finding; ``tests/detectors`` permutes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import copy
from typing import Any, Final

from detectors.base import EntityKind, Event, Finding, Severity, digest
from detectors.models.cooldown import HOUR, checked, first_in_hour
from detectors.models.evidence import context, model_output
from detectors.models.gamma_poisson import GammaPoisson

__all__ = ["RateDetector", "RateState"]

#: Length of a window in ms; windows are aligned to the epoch.
WINDOW: Final = 300_000
#: Windows that stay open after the watermark has passed them, for events that come late.
GRACE: Final = 1
#: Windows of one entity that may be open; where more come the oldest is learned from early.
OPEN: Final = 8
#: Windows with events that must have been learned before anything fires.
WARM_UP: Final = 4
#: Empty windows between two with events that are learned at most. A longer silence says that somebody went home, not
#: that their work became rarer.
SILENCE: Final = 12
#: Fewest events in a window that can be unusual.
MINIMUM: Final = 20
#: Probability of a count or more, below which it is unusual (medium), and below which it is severe (high).
LIMIT: Final = 1e-6
SEVERE: Final = 1e-12
#: Score of a finding, in decimal orders of magnitude of improbability, that is as high as scores go.
_HIGHEST: Final = 20.0

_NEVER: Final = 1 << 62
_NOUNS: Final = {"actor": "actor", "patient": "patient", "device": "device", "address": "network address"}


class RateState:
    """What is remembered of one entity. Windows are named by their number since the epoch."""

    __slots__ = ("active", "first", "frontier", "model", "next", "open", "threshold", "told")

    def __init__(self) -> None:
        self.model = GammaPoisson()  #: of the windows closed
        self.active = 0  #: windows with events that were learned, up to WARM_UP
        self.next = 0  #: first window after the last one learned with events; 0 before any was
        self.open: dict[int, int] = {}  #: window to its count; minus the count once it has fired
        self.told: list[int] = []  #: hours of which something was found
        self.first = _NEVER  #: oldest open window
        self.threshold = 0  #: count at which a window fires, as seen from ``frontier``; not saved
        self.frontier = _NEVER


class RateDetector:
    """``rate.<entity>``: counts per entity in five minutes, against what that entity usually does.

    It fires when a window's count reaches the smallest that has a probability below LIMIT, once per entity and hour;
    its finding is known by detector, entity and hour. An event whose window the watermark has passed by more than
    GRACE windows is not counted, and one that is not timely neither counts nor closes anything.
    """

    def __init__(self, entity: EntityKind) -> None:
        self.entity: EntityKind = entity
        self.name = f"rate.{entity}"

    def new(self) -> RateState:
        return RateState()

    def inspect(self, event: Event, key: str, state: RateState, watermark: int) -> Iterable[Finding]:
        """See :class:`detectors.base.Detector`. Constant time but for the first events after a window closed."""
        if not event.timely:
            return ()
        frontier = watermark // WINDOW - GRACE
        if state.first < frontier:
            self._close(state, frontier)
        window = event.time // WINDOW
        counts = state.open
        count = counts.get(window)
        if count is None:
            if window < frontier or window < state.next or not self._opened(state, window):
                return ()
            count = 0
        elif count < 0:
            counts[window] = count - 1
            return ()
        count += 1
        counts[window] = count
        if count < MINIMUM or state.active < WARM_UP:
            return ()
        if state.frontier != frontier:
            state.threshold = self._expected(state, frontier).threshold(LIMIT, MINIMUM)
            state.frontier = frontier
        if count < state.threshold:
            return ()
        counts[window] = -count
        if not first_in_hour(state.told, event.time):
            return ()
        return (self._finding(event, key, self._expected(state, frontier), count),)

    def _opened(self, state: RateState, window: int) -> bool:
        """Make room for one more window; False where it is older than all that fit."""
        if len(state.open) >= OPEN:
            if window < state.first:
                return False
            self._close(state, state.first + 1)
        state.first = min(state.first, window)
        return True

    def _close(self, state: RateState, frontier: int) -> None:
        """Learn from every open window before ``frontier``, in order."""
        for window in sorted(state.open):
            if window >= frontier:
                break
            if state.next:
                state.model.learn_empty(min(window - state.next, SILENCE))
            state.model.learn(abs(state.open.pop(window)))
            state.active = min(state.active + 1, WARM_UP)
            state.next = window + 1
        state.first = min(state.open, default=_NEVER)
        state.frontier = _NEVER

    def _expected(self, state: RateState, frontier: int) -> GammaPoisson:
        """The model as seen from ``frontier``: with the empty windows since the last that held events.

        They are learned for good only together with the next one that holds some, so that what is learned does not
        depend on when an entity happens to be looked at.
        """
        model = copy(state.model)
        model.learn_empty(min(max(0, frontier - state.next), SILENCE))
        return model

    def _finding(self, event: Event, key: str, model: GammaPoisson, count: int) -> Finding:
        surprise = model.score_one({"count": count})
        severity: Severity = "high" if surprise > -math.log10(SEVERE) else "medium"
        low, high = model.usual()
        minutes = WINDOW // 60_000
        return Finding(
            id=digest(self.name, key, event.time // HOUR),
            detector=self.name,
            entity=key,
            time=event.time,
            severity=severity,
            title=f"Unusually many events of one {_NOUNS[self.entity]}",
            reason=f"{count} events within {minutes} minutes; usually {model.rate:.1f} ({low} to {high}).",
            source=event.source,
            event_ids=(event.id,),
            score=min(1.0, surprise / _HIGHEST),
            rule=model_output(self.name, "Rate of events"),
            evidence=context(event),
        )

    def save(self, state: RateState) -> list[Any]:
        """Events, windows and squares of the model; windows learned; next window; hours told; open ones as distance
        and count."""
        model = state.model
        windows = [number for window in sorted(state.open) for number in (window - state.next, state.open[window])]
        return [model.events, model.windows, model.squares, state.active, state.next, state.told[:], *windows]

    def load(self, saved: list[Any]) -> RateState:
        state = RateState()
        try:
            if len(saved) == 5 or (len(saved) > 5 and type(saved[5]) is int):  # as the first version saved it
                saved = [*saved[:5], [], *saved[5:]]
            *posterior, active, following, told = saved[:6]
            windows = dict(zip(saved[6::2], saved[7::2], strict=True))
            state.told = checked(told)
            whole = (active, following, *windows, *windows.values())
            if not (
                type(saved) is list
                and len(posterior) == 3
                and all(type(number) is float and 0.0 < number < math.inf for number in posterior)
                and all(type(number) is int for number in whole)
                and 0 <= active <= WARM_UP
                and len(windows) <= OPEN
                and 6 + 2 * len(windows) == len(saved)
                and list(windows) == sorted(windows)
                and all(windows.values())
            ):
                raise ValueError("not as saved")
        except (TypeError, ValueError, KeyError) as exc:
            raise ValueError(f"no state of {self.name}: write it by save()") from exc
        state.model.events, state.model.windows, state.model.squares = posterior
        state.active, state.next = active, following
        state.open = {following + distance: count for distance, count in windows.items()}
        state.first = min(state.open, default=_NEVER)
        return state
