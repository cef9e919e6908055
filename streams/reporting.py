"""What a worker says of itself: throughput, lag, and which partitions stopped, and why."""

from __future__ import annotations

from typing import Any

from faust.types import TP

from streams.lanes import Lanes
from streams.topics import INPUTS
from streams.transport import BatchApp

__all__ = ["Reporter"]


class Reporter:
    """Made once a worker; each report covers the time since the last."""

    def __init__(self, lanes: Lanes, app: BatchApp) -> None:
        self._lanes = lanes
        self._app = app
        self._last: tuple[float, int] | None = None

    def report(self, *, now: float) -> dict[str, Any]:
        """``now``: seconds since the epoch. Throughput counts source events; lag counts records of all topics."""
        lanes = self._lanes.status()
        events = sum(lane.records for lane in lanes if lane.topic in INPUTS)
        then, before = self._last or (now, events)
        self._last = (now, events)
        return {
            "time": int(now * 1000),
            "partitions": len(lanes),
            "records_per_second": max(0, events - before) / (now - then) if now > then else 0.0,
            "lag": sum(self._lag(TP(lane.topic, lane.partition), lane.position) for lane in lanes),
            "stopped": [
                f"{lane.step} {lane.topic}[{lane.partition}]: {lane.stopped}" for lane in lanes if lane.stopped
            ],
            "lost": sum(lane.lost for lane in lanes),
        }

    def _lag(self, tp: TP, position: int) -> int:
        end = self._app.consumer.log_end(tp) if position else None
        return max(0, end - position) if end else 0
