"""Evaluates ``absence``: a group that matched, and then does not for the timespan.

A silence begins with a match that no other follows up to a timespan later, both ends included; it is told once, at the
end of that timespan, when the watermark has passed it. No clock is read: where no watermark moves, nothing is told.
``docs/memory.md`` says the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from detectors.rules.correlation.group import NEVER
from detectors.rules.correlation.hit import Hit
from detectors.rules.correlation.remembering import OfPlan
from detectors.rules.correlation.runs import PENDING, Run, grained, join, mark_of
from detectors.rules.correlation.told import Told, finding_id, silence, upward

__all__ = ["Absences", "Silences"]

_VERSION: Final = 1


class Silences:
    """All that is remembered of one group. Changed in place; times are event times in ms."""

    __slots__ = ("due", "runs")

    def __init__(self) -> None:
        self.due = NEVER  #: once the watermark is past it there may be something to do
        self.runs: list[Run] = []  #: each is named by its last match; ``told`` where the silence after it was

    def save(self) -> list[Any]:
        """Plain data, the same for the same memory."""
        return [_VERSION, self.due, *(run.save() for run in self.runs)]

    @classmethod
    def load(cls, saved: list[Any]) -> Silences:
        """The inverse. Raises ValueError on what :meth:`save` did not write."""
        group = cls()
        try:
            version, group.due, *runs = saved
            group.runs = list(map(Run.load, runs))
            if version != _VERSION or type(group.due) is not int or not group.runs:
                raise ValueError("of another version")
        except (TypeError, ValueError) as error:
            raise ValueError("no state of a correlation: write it by save()") from error
        return group


class Absences(OfPlan):
    """All that it remembers is in the :class:`Silences` handed in."""

    def new(self, hit: Hit) -> Silences:
        return Silences()

    def load(self, saved: list[Any]) -> Silences:
        return Silences.load(saved)

    def take(self, hit: Hit, group: Silences, watermark: int, counts: dict[str, int]) -> list[Told]:
        """One hit that is not too late. What it tells of at once is only what there is no room to keep waiting."""
        run = join(group.runs, hit.time, self._span, mark_of(hit), newest=True)
        # Only ever earlier: a timer that goes off too early looks again, and most hits set none.
        group.due = min(group.due, run.last + self._span + self._grace)
        if len(group.runs) <= PENDING:
            return []
        counts["crowded"] = counts.get("crowded", 0) + 1
        oldest = group.runs.pop(0)
        return [] if oldest.told else list(self._tell(hit.group, oldest))

    def settle(
        self, token: str, group: Silences, watermark: int, counts: dict[str, int], end: int = NEVER
    ) -> tuple[list[Told], bool]:
        """Tell of silences that ``watermark`` has passed and that end by ``end``, after which nobody knows.

        What there is to tell, and whether the group is still needed.
        """
        told: list[Told] = []
        until = min(watermark - self._grace, end + 1)
        for run in group.runs:
            if not run.told and run.last + self._span < until:
                run.told = True
                told.extend(self._tell(token, run))
        group.runs = [run for run in group.runs if self._gone(run) >= watermark]
        if not group.runs:
            return told, False
        open_ = [run.last for run in group.runs if not run.told and run.last + self._span <= end]
        forgotten = grained(max(map(self._gone, group.runs)), self._span)
        group.due = min(open_[0] + self._span + self._grace, forgotten) if open_ else forgotten
        return told, True

    def displace(self, token: str, group: Silences) -> list[Told]:
        """The group gives way to another. Whether it falls silent nobody will know, so nothing is told."""
        return []

    def _gone(self, run: Run) -> int:
        """After this watermark no hit that may still come can lengthen the run."""
        return run.last + self._span + self._lateness + self._grace

    def _tell(self, token: str, run: Run) -> Iterator[Told]:
        mark, time = run.mark, run.last + self._span
        assert mark is not None
        name = finding_id(self.plan, token, time)
        if self.plan.alone and not mark.quiet:
            yield silence(self.plan, name, mark, run.last)
        yield from upward(self.plan, name, time, mark.event, mark.above, mark.source, quiet=mark.quiet)
