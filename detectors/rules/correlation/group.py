"""All that is remembered of one group of one correlation, and how it is written down."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, Final

from detectors.rules.correlation.hit import Above, Hit
from detectors.rules.correlation.windows import Window, steps, totals_of

__all__ = ["IDS", "LONGEST_ID", "NEVER", "Group", "above_of", "due_of"]

#: Events of a group that a finding can name, beside one of each rule. Of more, some of the first and of the last stay,
#: and the last of each rule.
IDS: Final = 32
#: Characters of an event's id; a longer one is not named.
LONGEST_ID: Final = 256
#: Points whose tellings wait for the correlation to hold; more are given up, oldest first.
WAITING: Final = 256

_VERSION: Final = 1
NEVER: Final = 1 << 62  #: ms; later than any watermark


class Group:
    """Changed in place. Times are event times in ms."""

    __slots__ = (
        "decided",
        "due",
        "entity",
        "events",
        "members",
        "quiet",
        "shown",
        "source",
        "times",
        "told",
        "waiting",
        "window",
    )

    def __init__(self, window: Window, hit: Hit | None) -> None:
        self.window = window
        self.due = NEVER  #: once the watermark is past it there is something to do
        self.decided = 0  #: points before it are decided, where points wait for the watermark
        self.told: set[int] = set()  #: spans, counted from 1970, of which a finding is out
        #: Of the events that a finding may name, by time: times, ids, and which rules they matched.
        self.times: list[int] = []
        self.events: list[str] = []
        self.members: list[int] = []
        self.waiting: dict[int, list[tuple[str, tuple[Above, ...]]]] = {}  #: point to its events and tellings
        self.shown = hit.shown if hit else ()
        self.entity = hit.entity if hit else ""
        self.source = hit.source if hit else ""
        self.quiet = hit.quiet if hit else False

    def name(self, hit: Hit, span: int, members: int) -> None:
        """Remember the event of a hit, as one of the few that a finding names."""
        event, times = hit.event, self.times
        if len(event) > LONGEST_ID:
            return
        if not times or hit.time >= times[-1]:
            times.append(hit.time)
            self.events.append(event)
            self.members.append(hit.member)
        else:
            at = bisect_right(times, hit.time)
            times.insert(at, hit.time)
            self.events.insert(at, event)
            self.members.insert(at, hit.member)
        if len(times) > IDS + members:
            begin, end = bisect_left(times, times[-1] - span), len(times)
            newest = {member: place for place, member in enumerate(self.members)}
            few = IDS // 4
            kept = sorted({*range(begin, min(begin + few, end)), *range(max(begin, end - few), end), *newest.values()})
            self.times = [times[place] for place in kept]
            self.events = [self.events[place] for place in kept]
            self.members = [self.members[place] for place in kept]

    def named(self, begin: int, end: int) -> tuple[list[str], list[int]]:
        """Events and members of those remembered from ``begin`` to ``end``, by time."""
        first, after = bisect_left(self.times, begin), bisect_right(self.times, end)
        return self.events[first:after], self.members[first:after]

    def wait(self, hit: Hit) -> bool:
        """Keep what is told when the point of ``hit`` holds. False where others had to be given up for it."""
        self.waiting.setdefault(hit.time, []).append((hit.event, hit.above))
        if sum(map(len, self.waiting.values())) <= WAITING:
            return True
        oldest = self.waiting[min(self.waiting)]
        del oldest[0]
        if not oldest:
            del self.waiting[min(self.waiting)]
        return False

    def save(self) -> list[Any]:
        """As JSON numbers, texts and lists; :func:`due_of` reads the second."""
        return [
            _VERSION,
            self.due,
            self.decided,
            sorted(self.told),
            steps(self.times, 0),
            self.events,
            self.members,
            [
                [time, [[event, [list(one) for one in above]] for event, above in self.waiting[time]]]
                for time in sorted(self.waiting)
            ],
            list(self.shown),
            self.entity,
            self.source,
            self.quiet,
            *self.window.save(),
        ]

    def load(self, saved: list[Any]) -> None:
        """The inverse. Raises ValueError on what :meth:`save` did not write."""
        try:
            version, self.due, self.decided, told, times, *window = saved
            if version != _VERSION or type(self.due) is not int or type(self.decided) is not int:
                raise ValueError("of another version")
            self.events, self.members, waiting, shown, self.entity, self.source, self.quiet, *window = window
            self.told = set(told)
            self.times = totals_of(times)
            if not len(times) == len(self.events) == len(self.members):
                raise ValueError("columns of different length")
            self.waiting = {
                time: [(event, tuple(map(above_of, above))) for event, above in entries] for time, entries in waiting
            }
            self.shown = tuple(shown)
            self.window.load(window)
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError("no state of a correlation: write it by save()") from error


def above_of(saved: list[Any]) -> Above:
    """The inverse of a list of its parts."""
    child, parent, member, group, shown, value, entity = saved
    return Above(child, parent, member, group, tuple(shown), value, entity)


def due_of(raw: bytes) -> int:
    """:attr:`Group.due` of the JSON of a saved group, without reading the rest."""
    return int(raw.split(b",", 2)[1])
