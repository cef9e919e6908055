"""When a rule matches or costs so much that it must be kept from alerting: a pure judgement of counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Set
from typing import NamedTuple

__all__ = ["SPAN", "Conduct", "Counts"]

#: Seconds over which matches and time are added up.
SPAN = 60.0


class Counts(NamedTuple):
    """What one rule did since its worker began."""

    tried: int = 0  #: events on which it was evaluated
    matched: int = 0
    nanoseconds: int = 0  #: spent on evaluating it

    def __add__(self, other: tuple[int, ...]) -> Counts:  # type: ignore[override]  # it adds counts, not items
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Conduct:
    """Remembers a minute of every rule's counts. :meth:`judge` at every look."""

    def __init__(self, *, matches: int, seconds: float) -> None:
        """``matches``, ``seconds``: what a rule may have in :data:`SPAN` before it is too much; 0, no limit."""
        self._matches = matches
        self._nanoseconds = int(seconds * 1e9)
        self._looks: deque[tuple[float, Mapping[str, Counts]]] = deque()

    def judge(self, counts: Mapping[str, Counts], now: float, *, unheard: Set[str] = frozenset()) -> dict[str, str]:
        """Rules that have too much, by id, and why in words. ``now``: seconds, only rising.

        ``unheard``: those that alert nobody by themselves. However often they match, only their time may be too much.
        """
        while self._looks and now - self._looks[0][0] > SPAN:
            self._looks.popleft()
        before = self._looks[0][1] if self._looks else {}
        self._looks.append((now, dict(counts)))
        found: dict[str, str] = {}
        for name, count in counts.items():
            earlier = before.get(name, Counts())
            matched, spent = count.matched - earlier.matched, count.nanoseconds - earlier.nanoseconds
            if self._matches and matched > self._matches and name not in unheard:
                found[name] = f"it matched {matched:,} times in a minute, and {self._matches:,} are allowed"
            elif self._nanoseconds and spent > self._nanoseconds:
                found[name] = f"it took {spent / 1e9:,.1f} s of a minute, and {self._nanoseconds / 1e9:g} are allowed"
        return found

    def forget(self, rule: str) -> None:
        """Begin anew with ``rule``: what it did until the last look was judged."""
        now = self._looks[-1][1].get(rule, Counts()) if self._looks else Counts()
        self._looks = deque((at, {**counts, rule: now}) for at, counts in self._looks)
