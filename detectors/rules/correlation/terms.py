"""Evaluates ``new_term``: a value that one group did not have within the timespan before.

A value is new at a match before which, for a whole timespan, no match of the group had it, once matches of the group go
back for as long as it is learned. A group without any match for a timespan is learned anew. It is decided once the
watermark has passed the match, since until then an earlier one could come: so what is new depends on the matches alone.
``docs/memory.md`` says the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from detectors.rules.correlation.group import NEVER
from detectors.rules.correlation.hit import Hit
from detectors.rules.correlation.remembering import OfPlan
from detectors.rules.correlation.runs import PENDING, Run, grained, join, mark_of, run_at
from detectors.rules.correlation.told import Told, new_term, new_term_id, upward
from detectors.rules.correlation.windows import steps, totals_of

__all__ = ["KNOWN", "NewTerms", "Terms"]

#: Values that one group remembers; for more, those that were seen last the longest ago are forgotten.
KNOWN: Final = 2_048
_VERSION: Final = 1


class Terms:
    """All that is remembered of one group. Changed in place; times are event times in ms."""

    __slots__ = ("due", "known", "lives", "pending")

    def __init__(self) -> None:
        self.due = NEVER  #: once the watermark is past it there is something to do
        self.known: dict[int, int] = {}  #: each value to when it was seen last
        self.pending: dict[int, list[Run]] = {}  #: values to their runs whose first match is not decided
        self.lives: list[Run] = []  #: runs of matches with whatever value: how long the group is known

    def save(self) -> list[Any]:
        """Plain data, the same for the same memory."""
        known = sorted((time, value) for value, time in self.known.items())
        return [
            _VERSION,
            self.due,
            steps([time for time, _ in known], 0),
            [value for _, value in known],
            [[value, [run.save() for run in self.pending[value]]] for value in sorted(self.pending)],
            [run.save() for run in self.lives],
        ]

    @classmethod
    def load(cls, saved: list[Any]) -> Terms:
        """The inverse. Raises ValueError on what :meth:`save` did not write."""
        group = cls()
        try:
            version, group.due, times, values, pending, lives = saved
            if version != _VERSION or type(group.due) is not int or len(times) != len(values):
                raise ValueError("of another version")
            group.known = dict(zip(map(int, values), totals_of(times), strict=True))
            group.pending = {value: list(map(Run.load, runs)) for value, runs in pending}
            group.lives = list(map(Run.load, lives))
            if not group.lives or not all(group.pending.values()):
                raise ValueError("a group without a match")
        except (TypeError, ValueError) as error:
            raise ValueError("no state of a correlation: write it by save()") from error
        return group


class NewTerms(OfPlan):
    """All that it remembers is in the :class:`Terms` handed in."""

    def new(self, hit: Hit) -> Terms:
        return Terms()

    def load(self, saved: list[Any]) -> Terms:
        return Terms.load(saved)

    def take(self, hit: Hit, group: Terms, watermark: int, counts: dict[str, int]) -> list[Told]:
        """One hit that is not too late. What it tells of at once is only what there is no room to keep waiting."""
        time, value, span = hit.time, hit.value, self._span
        assert value is not None, "a term has a fingerprint"
        self._live(group, time, watermark, counts)
        seen = group.known.get(value)
        told: list[Told] = []
        if seen is not None and time - seen <= span:
            if time > seen:
                self._see(group, value, time)
        else:
            run = join(group.pending.setdefault(value, []), time, span, mark_of(hit))
            group.due = min(group.due, run.first + self._grace)
            if len(group.known) + len(group.pending) > KNOWN:
                self._forget(group, watermark, counts)
            if len(group.pending) > PENDING // 2 and sum(map(len, group.pending.values())) > PENDING:
                first, oldest = min((runs[0].first, one) for one, runs in group.pending.items())
                told.extend(self._decide(hit.group, group, oldest, first))
                counts["crowded"] = counts.get("crowded", 0) + 1
        forgotten = self._forgotten(group)
        group.due = min(group.due, forgotten) if group.pending else forgotten
        return told

    def _live(self, group: Terms, time: int, watermark: int, counts: dict[str, int]) -> None:
        lives = group.lives
        join(lives, time, self._span)
        if len(lives) > 1:
            # Whatever waits in one of these was decided: a decision waits for minutes at most.
            while lives[0].last + self._span < watermark - self._lateness and len(lives) > 1:
                del lives[0]
            if len(lives) > 2 * PENDING:
                del lives[0]
                counts["crowded"] = counts.get("crowded", 0) + 1

    def _see(self, group: Terms, value: int, time: int) -> None:
        """A known value once more: what waited may not be new."""
        runs = group.pending.get(value, [])
        while runs and runs[0].first - time <= self._span:
            time = max(time, runs.pop(0).last)
        if value in group.pending and not runs:
            del group.pending[value]
        group.known[value] = time

    def _forget(self, group: Terms, watermark: int, counts: dict[str, int]) -> None:
        self._expire(group, watermark)
        if len(group.known) + len(group.pending) > KNOWN:
            kept = sorted((time, value) for value, time in group.known.items())[KNOWN // 8 :]
            group.known = {value: time for time, value in kept}
            counts["crowded"] = counts.get("crowded", 0) + 1

    def _expire(self, group: Terms, watermark: int) -> None:
        """Give up values that no match which may still come can be near."""
        oldest = watermark - self._lateness - self._span
        if group.known and min(group.known.values()) < oldest:
            group.known = {value: time for value, time in group.known.items() if time >= oldest}

    def settle(
        self, token: str, group: Terms, watermark: int, counts: dict[str, int], end: int = NEVER
    ) -> tuple[list[Told], bool]:
        """Decide what waited for ``watermark``. What there is to tell, and whether the group is still needed."""
        told = self._decided(token, group, watermark - self._grace)
        if group.lives[-1].last + self._span + self._lateness + self._grace < watermark:
            return told, False
        self._expire(group, watermark)
        waiting = min((runs[0].first + self._grace for runs in group.pending.values()), default=NEVER)
        group.due = min(waiting, self._forgotten(group))
        return told, True

    def displace(self, token: str, group: Terms) -> list[Told]:
        """The group gives way to another: what waits is told at once, so that a crowd of groups hides nothing."""
        return self._decided(token, group, NEVER)

    def _decided(self, token: str, group: Terms, until: int) -> list[Told]:
        told: list[Told] = []
        runs = [(run.first, value) for value, runs in group.pending.items() for run in runs if run.first < until]
        for first, value in sorted(runs):
            told.extend(self._decide(token, group, value, first))
        return told

    def _forgotten(self, group: Terms) -> int:
        return grained(group.lives[-1].last + self._span + self._lateness + self._grace, self._span)

    def _decide(self, token: str, group: Terms, value: int, first: int) -> Iterator[Told]:
        """The earliest run of a value, which begins at ``first``: from now on the value is known."""
        runs = group.pending[value]
        run = runs.pop(0)
        if not runs:
            del group.pending[value]
        group.known[value] = run.last
        since = min(first, run_at(group.lives, first).first)
        if first - since < self.plan.rule.learning:
            return
        mark = run.mark
        assert mark is not None
        name = new_term_id(self.plan, token, value, first)
        if self.plan.alone and not mark.quiet:
            yield new_term(self.plan, name, mark, first, since)
        yield from upward(self.plan, name, first, mark.event, mark.above, mark.source, quiet=mark.quiet)
