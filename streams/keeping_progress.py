"""Whether those that keep events go on, as a worker sees it that keeps none: their consumer group's commits tell.

A worker that has ended cannot say so. Where none has ever kept events there is no commit, and nothing is told.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams import topics
from streams.admin import committed
from streams.settings import Settings

__all__ = ["KeepingProgress"]


class KeepingProgress:
    """One worker's view; what is told of two looks that follow each other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: dict[int, int] = {}

    def look(self, ends: Mapping[int, int]) -> str:
        """One sentence where records wait and none was kept since the look before; empty else.

        ``ends``: of each partition of ``events`` that this worker owns, the offset after its last record. Asks Kafka;
        raises SetupError where it does not answer or allow it, and kafka's errors.
        """
        if not self._settings.events_kept:
            return ""
        commits = committed(self._settings.of_events, [topics.EVENTS])
        seen = {n: at for n in ends if (at := commits.get((topics.EVENTS, n), -1)) >= 0}
        moved, self._seen = seen != self._seen, seen
        waiting = sum(max(0, ends[n] - at) for n, at in seen.items())
        if moved or not waiting:
            return ""
        return f"No worker keeps events: {waiting:,} records of {topics.EVENTS} wait, and none was taken."
