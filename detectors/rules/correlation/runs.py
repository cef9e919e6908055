"""Runs of matches: what types that remember keep of a group, in place of the matches themselves.

In a run each match follows the one before within the timespan; between two runs lies more than that. So they say
exactly where a stretch began and ended, in whatever order the matches came, and a stretch of any length is one run.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any, Final, NamedTuple

from detectors.rules.correlation.group import LONGEST_ID, above_of
from detectors.rules.correlation.hit import Above, Hit, Shown

__all__ = ["PENDING", "Mark", "Run", "grained", "join", "mark_of", "run_at"]

#: Runs of one group that are named by a match of theirs; what is to be told of more is told early.
PENDING: Final = 64
#: Parts of a timespan to which the time is rounded at which a group is forgotten, so that timers are few.
_PARTS: Final = 16


class Mark(NamedTuple):
    """The match that a finding about a run names."""

    event: str
    shown: Shown  #: its values as they may be shown
    entity: str
    source: str
    quiet: bool
    above: tuple[Above, ...]


class Run:
    """Changed in place. Times are event times in ms, of the first match and the last."""

    __slots__ = ("first", "last", "mark", "told")

    def __init__(self, first: int, last: int, mark: Mark | None = None, *, told: bool = False) -> None:
        self.first = first
        self.last = last
        self.mark = mark
        self.told = told  #: what there is to say of its end was said

    def save(self) -> list[Any]:
        return [self.first, self.last, self.told, *(_saved(self.mark) if self.mark else ())]

    @classmethod
    def load(cls, saved: Any) -> Run:
        """Raises ValueError (TypeError) on what :meth:`save` did not write."""
        first, last, told, *rest = saved
        if type(first) is not int or type(last) is not int or first > last:
            raise ValueError("a run without times")
        mark = None
        if rest:
            event, shown, entity, source, quiet, above = rest
            mark = Mark(event, tuple(shown), entity, source, quiet, tuple(map(above_of, above)))
        return cls(first, last, mark, told=told)


def _saved(mark: Mark) -> list[Any]:
    return [mark.event, list(mark.shown), *mark[2:5], [list(one) for one in mark.above]]


def mark_of(hit: Hit) -> Mark:
    """What a run keeps of a match: texts that are too long to be kept are left out."""
    event = hit.event if _short(hit.event) else ""
    shown = tuple(value if value is not None and _short(value) else None for value in hit.shown)
    return Mark(event, shown, hit.entity, hit.source, hit.quiet, hit.above)


def _short(text: str) -> bool:
    return len(text) <= LONGEST_ID and len(json.dumps(text, ensure_ascii=False).encode()) <= LONGEST_ID + 2


def join(runs: list[Run], time: int, span: int, mark: Mark | None = None, *, newest: bool = False) -> Run:
    """Take a match into the run it belongs to, which it may join to the next one, or into one of its own.

    ``runs``: by time. ``newest``: a run is named by its last match and not by its first; of two at one time by that
    of the lesser id.
    """
    at = len(runs) if not runs or time >= runs[-1].first else bisect_right(runs, time, key=_first)
    before = runs[at - 1] if at and time - runs[at - 1].last <= span else None
    after = runs[at] if at < len(runs) and runs[at].first - time <= span else None
    if before is None and after is None:
        run = Run(time, time, mark)
        runs.insert(at, run)
        return run
    if before is None:
        assert after is not None
        if not newest:
            after.mark = mark
        after.first = time
        return after
    edge = before.last if newest else before.first
    if (time > edge and newest) or (time == edge and mark and before.mark and mark.event < before.mark.event):
        before.mark = mark
    before.last = max(before.last, time)
    if after is not None:
        before.last, before.told = after.last, after.told
        if newest:
            before.mark = after.mark
        del runs[at]
    return before


def _first(run: Run) -> int:
    return run.first


def run_at(runs: list[Run], time: int) -> Run:
    """The run that a match at ``time`` was taken into."""
    return runs[max(0, bisect_right(runs, time, key=_first) - 1)]


def grained(time: int, span: int) -> int:
    """When a group is forgotten that is of no use after ``time``."""
    grain = max(60_000, span // _PARTS)
    return (time // grain + 1) * grain
