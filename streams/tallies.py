"""What became of every record that a step took: taken = passed + filtered + dead, counted where effects are durable.

A batch that is tried again is counted once, when it succeeds. One tally serves all partitions of a step that a worker
owns; the counts begin with the worker and never fall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

__all__ = ["Skews", "Tally"]


class Tally:
    """Counts of one step on one topic."""

    def __init__(self) -> None:
        self.taken = 0  #: records, those in blocks one by one
        self.passed = 0  #: went on: as an event, to the detectors, as an alert, into the stores
        self.dead = 0  #: became dead letters
        self.filtered: Counter[str] = Counter()  #: went no further, by reason

        self.noted: Counter[str] = Counter()  #: what else a step counts of its state, in the words of its own

    def add(
        self,
        *,
        taken: int,
        passed: int,
        dead: int,
        filtered: Mapping[str, int] | None = None,
        noted: Mapping[str, int] | None = None,
    ) -> None:
        """What a batch, or all batches of a flush, came to."""
        self.taken += taken
        self.passed += passed
        self.dead += dead
        self.filtered.update(filtered or {})
        self.noted.update(noted or {})


class Skews:
    """How far each source's newest event lies from the broker's own time, since this was last asked."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def observe(self, source: str, seconds: float) -> None:
        """``seconds``: ahead of the broker's time; below 0, further behind it than the source may be."""
        self._seconds[source] = max(seconds, self._seconds.get(source, seconds))

    def take(self) -> dict[str, float]:
        """By source, that of its batch which was furthest ahead: a source is behind only where all of it is."""
        taken, self._seconds = self._seconds, {}
        return taken
