"""All that is remembered of one group of one correlation, and how it is written down."""

from __future__ import annotations

from typing import Any, Final

from detectors.rules.correlation.hit import Above, Hit
from detectors.rules.correlation.windows import Window

__all__ = ["IDS", "LONGEST_ID", "Group", "due_of"]

#: Events of a group that a finding can name, beside one of each rule. Of more, some of the first and of the last stay,
#: and the last of each rule.
IDS: Final = 32
#: Characters of an event's id; a longer one is not named.
LONGEST_ID: Final = 256
#: Points whose tellings wait for the correlation to hold; more are given up, oldest first.
WAITING: Final = 256

_VERSION: Final = 1
_NEVER: Final = 1 << 62


class Group:
    """Changed in place. Times are event times in ms."""

    __slots__ = ("decided", "due", "entity", "ids", "quiet", "shown", "source", "told", "waiting", "window")

    def __init__(self, window: Window, hit: Hit | None) -> None:
        self.window = window
        self.due = _NEVER  #: once the watermark is past it there is something to do
        self.decided = 0  #: points before it are decided, where points wait for the watermark
        self.told: set[int] = set()  #: spans, counted from 1970, of which a finding is out
        self.ids: list[tuple[int, str, int]] = []  #: time, event and member, by time
        self.waiting: dict[int, list[tuple[str, tuple[Above, ...]]]] = {}  #: point to its events and tellings
        self.shown = hit.shown if hit else ()
        self.entity = hit.entity if hit else ""
        self.source = hit.source if hit else ""
        self.quiet = hit.quiet if hit else False

    def name(self, hit: Hit, span: int, members: int) -> None:
        """Remember the event of a hit, as one of the few that a finding names."""
        if len(hit.event) > LONGEST_ID:
            return
        ids = self.ids
        entry = (hit.time, hit.event, hit.member)
        ordered = not ids or entry > ids[-1]
        ids.append(entry)
        if not ordered:
            ids.sort()
        if len(ids) > IDS + members:
            kept = [one for one in ids if one[0] >= ids[-1][0] - span]
            newest = {one[2]: one for one in kept}
            self.ids = sorted({*kept[: IDS // 4], *kept[-IDS // 4 :], *newest.values()})

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
            [list(entry) for entry in self.ids],
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
            version, self.due, self.decided, told, ids, waiting, shown, self.entity, self.source, *window = saved
            if version != _VERSION or type(self.due) is not int or type(self.decided) is not int:
                raise ValueError("of another version")
            self.quiet, *window = window
            self.told = set(told)
            self.ids = [(time, event, member) for time, event, member in ids]
            self.waiting = {
                time: [(event, tuple(map(_above, above))) for event, above in entries] for time, entries in waiting
            }
            self.shown = tuple(shown)
            self.window.load(window)
        except (TypeError, ValueError, KeyError) as error:
            raise ValueError("no state of a correlation: write it by save()") from error


def _above(saved: list[Any]) -> Above:
    child, parent, member, group, shown, value, entity = saved
    return Above(child, parent, member, group, tuple(shown), value, entity)


def due_of(raw: bytes) -> int:
    """:attr:`Group.due` of the JSON of a saved group, without reading the rest."""
    return int(raw[raw.index(b",") + 1 : raw.index(b",", raw.index(b",") + 1)])
