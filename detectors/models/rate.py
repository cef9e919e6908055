"""More events than is usual for this entity: somebody goes through records, a device floods, an address scans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detectors.base import EntityKind, Event, Finding, Severity, digest
from detectors.models.gamma_poisson import GammaPoisson

__all__ = ["RateDetector", "RateState"]

#: Length of a window in ms: tumbling, aligned to the epoch.
WINDOW = 300_000
#: Windows of one entity that may be open; the oldest is closed early where more come.
OPEN = 6
#: Windows that must have been learned before anything fires.
WARM_UP = 6
#: Fewest events in a window that can be unusual.
MINIMUM = 20
#: Probability below which a count is unusual, and below which it is high.
LIMIT = 1e-6
HIGH = 1e-12

_NEVER = 1 << 60


class RateState:
    """What is remembered of one entity."""

    __slots__ = ("closed", "end", "events", "exposure", "open", "threshold")

    def __init__(self) -> None:
        self.events = 0.5  #: posterior of the rate, see GammaPoisson
        self.exposure = 0.5
        self.closed = 0  #: windows learned
        self.end = 0  #: end of the last window learned, ms
        self.threshold = _NEVER  #: count at which an open window fires
        self.open: dict[int, int] = {}  #: start of a window to its count; minus the count once it has fired


class RateDetector:
    """``rate.<kind>``: counts per entity in windows of five minutes, against what that entity usually does.

    It fires once for a window, when its count reaches the smallest whose probability is below LIMIT. A window is
    learned from when the watermark has passed it, in order, empty ones in between as well; a window that fired is
    not, so that an attack does not become usual.
    """

    def __init__(self, entity: EntityKind) -> None:
        self.entity: EntityKind = entity
        self.name = f"rate.{entity}"

    def new(self) -> RateState:
        return RateState()

    def inspect(self, event: Event, key: str, state: RateState, watermark: int) -> Iterable[Finding]:
        if not event.timely:
            return ()
        start = event.time - event.time % WINDOW
        windows = state.open
        if windows and min(windows) + WINDOW <= watermark:
            self._close(state, watermark)
        if start + WINDOW <= state.end:
            return ()  # its window was learned from already
        count = windows.get(start, 0)
        if count < 0:
            windows[start] = count - 1
            return ()
        count += 1
        windows[start] = count
        if len(windows) > OPEN:
            self._close(state, sorted(windows)[1])
        if count < state.threshold:
            return ()
        windows[start] = -count
        return (self._finding(event, key, state, start, count),)

    def _close(self, state: RateState, until: int) -> None:
        """Learn from every open window that ends at or before ``until``."""
        model = _model(state)
        for start in sorted(state.open):
            end = start + WINDOW
            if end > until:
                break
            count = state.open.pop(start)
            if count < 0:
                continue
            windows = max(1, (end - state.end) // WINDOW) if state.end else 1
            model.learn_one({"count": count, "windows": windows})
            state.closed += windows
            state.end = end
        state.events, state.exposure = model.events, model.exposure
        if state.closed >= WARM_UP:
            state.threshold = max(MINIMUM, model.threshold(LIMIT))

    def _finding(self, event: Event, key: str, state: RateState, start: int, count: int) -> Finding:
        model = _model(state)
        severity: Severity = "high" if count >= model.threshold(HIGH) else "medium"
        reason = (
            f"{count} events in 5 minutes and counting; usually {model.mean:.1f}, "
            f"and {state.threshold} are expected less than once in a million such windows"
        )
        return Finding(
            id=digest(self.name, key, start),
            detector=self.name,
            entity=key,
            time=event.time,
            severity=severity,
            title=f"Unusually many events of one {'user' if self.entity == 'actor' else self.entity}",
            reason=reason,
            source=event.source,
            event_ids=(event.id,),
            score=1.0 - LIMIT,
            rule={"id": self.name, "name": "Rate of events", "category": "model", "tags": ["AIAST"]},
            evidence=_context(event),
        )

    def save(self, state: RateState) -> list[Any]:
        windows = [value for pair in sorted(state.open.items()) for value in pair]
        return [state.events, state.exposure, state.closed, state.end, state.threshold, *windows]

    def load(self, saved: list[Any]) -> RateState:
        try:
            events, exposure, closed, end, threshold, *windows = saved
            state = RateState()
            state.events, state.exposure = float(events), float(exposure)
            state.closed, state.end, state.threshold = int(closed), int(end), int(threshold)
            state.open = {int(s): int(c) for s, c in zip(windows[::2], windows[1::2], strict=True)}
        except (TypeError, ValueError, OverflowError) as exc:
            raise ValueError(f"no state of {self.name}") from exc
        if not (state.events > 0 and state.exposure > 0):
            raise ValueError(f"no state of {self.name}: a posterior is positive")
        return state


def _model(state: RateState) -> GammaPoisson:
    model = GammaPoisson()
    model.events, model.exposure = state.events, state.exposure
    return model


def _context(event: Event) -> dict[str, Any]:
    """What helps whoever reads the finding; all of it has left ingest already."""
    names = ("event.action", "user.id", "source.ip", "device.id")
    return {name: event.fields[name] for name in names if name in event.fields}
