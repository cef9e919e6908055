"""What a worker says of itself: throughput, lag, and which partitions stopped, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from faust.types import TP

from streams import topics
from streams.conditions import Look
from streams.handlers import KeyedHandler
from streams.lanes import Lanes
from streams.tallies import Skews, Tally
from streams.transport import BatchApp
from streams.vault import Vault

__all__ = ["Reporter"]

#: The partition whose owner speaks for all workers: its state holds what each of them said of every input.
_SPEAKER = TP(topics.EVENTS, 0)


class Reporter:
    """Made once a worker; each report covers the time since the last."""

    def __init__(self, lanes: Lanes, app: BatchApp) -> None:
        self._lanes = lanes
        self._app = app
        self._last: tuple[float, int] | None = None

    def look(self, *, now: float, tallies: Mapping[tuple[str, str], Tally], skews: Skews, **known: Any) -> Look:
        """Everything by which the pipeline is judged. ``now``: seconds since the epoch, by the broker's clock.

        ``known``: what the worker adds to the Look.
        """
        lanes = self._lanes.status()
        lag: Counter[tuple[str, str]] = Counter()
        for lane in lanes:
            lag[lane.step, lane.topic] += self._lag(TP(lane.topic, lane.partition), lane.position)
        speaker = self._lanes.handler(_SPEAKER)
        silences = speaker.state.watermarks.silences(int(now * 1000)) if isinstance(speaker, KeyedHandler) else {}
        return Look(
            lanes=lanes,
            lag=lag,
            dead={key: tally.dead for key, tally in tallies.items()},
            losses=self._lanes.losses(),
            silent={source: silence / 1000 for source, silence in silences.items()},
            skew=skews.take(),
            **known,
        )

    def report(self, look: Look, *, now: float, events: int, vault: Vault | None) -> dict[str, Any]:
        """``now``: seconds since the epoch. ``events``: that the worker is done with, which is what throughput counts.

        Lag counts records of all topics.
        """
        lanes = look.lanes
        then, before = self._last or (now, events)
        self._last = (now, events)
        return {
            "time": int(now * 1000),
            "partitions": len(lanes),
            "records_per_second": max(0, events - before) / (now - then) if now > then else 0.0,
            "lag": sum(look.lag.values()),
            "stopped": [
                f"{lane.step} {lane.topic}[{lane.partition}]: {lane.stopped}" for lane in lanes if lane.stopped
            ],
            "lost": sum(lane.lost for lane in lanes),
            "vault": {"written": vault.written, "pending": vault.pending, "waiting": vault.waiting} if vault else None,
            "lacking": look.lacking.key if look.lacking else "",
        }

    def _lag(self, tp: TP, position: int) -> int:
        end = self._app.consumer.log_end(tp) if position else None
        return max(0, end - position) if end else 0
