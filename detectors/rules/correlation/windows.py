"""What a group remembers of its hits: ``totals``, ``entries`` and ``temporal`` are the ways of measuring a window.

A window of a point in time holds the hits from ``span`` before it up to it, both ends included. Adding the newest hit
and measuring its window costs O(log n); a hit that came late is put in its place, O(n) of a few thousand.

No group keeps more than LIMIT entries. Past that it is made coarser (:meth:`Window.thin`): hits that lie close together
are taken for one moment, the latest of them. A window then holds a little more than it should at its old end, so what
would fire still fires.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from operator import sub
from typing import Any, Final, Protocol

__all__ = ["LIMIT", "Window", "last_of_each", "steps", "totals_of"]

#: Entries of one group.
LIMIT: Final = 4_096


class Window(Protocol):
    """The hits of one group, by time."""

    def add(self, time: int, member: int, value: int) -> bool:
        """Take one hit. True where none of those taken is newer."""
        ...

    def measure(self, time: int) -> int | tuple[int, int]:
        """Of the window that ends at ``time``: a number, or numerator and denominator."""
        ...

    def sweep(self, first: int, last: int) -> Iterable[tuple[int, Any]]:
        """Each point from ``first`` to ``last`` at which a hit lies, and the measure of its window; in order."""
        ...

    def at_most(self, first: int, last: int) -> Any:
        """A measure that none of the windows that end from ``first`` to ``last`` exceeds; cheap."""
        ...

    def next(self, time: int) -> int | None:
        """The first point at or after ``time``."""
        ...

    @property
    def latest(self) -> int:
        """Time of the newest hit; there must be one."""
        ...

    def drop(self, before: int) -> None:
        """Forget what is older, once it is a good part of everything: what is forgotten no window can hold again."""
        ...

    def thin(self) -> None:
        """Keep half of LIMIT; see the module."""
        ...

    def __len__(self) -> int: ...

    def save(self) -> list[Any]: ...

    def load(self, saved: list[Any]) -> None: ...


def grain(first: int, last: int, most: int) -> int:
    """Length of a moment, ms, so that about ``most`` of them cover ``first`` to ``last``."""
    return (last - first) // most + 1


def last_of_each(times: list[int], moment: int) -> list[int]:
    """Where among ``times`` the last of each ``moment`` lies."""
    return [n for n in range(len(times)) if n + 1 == len(times) or times[n] // moment != times[n + 1] // moment]


def steps(totals: list[int], base: int) -> list[int]:
    """Differences, which are short in JSON."""
    return list(map(sub, totals, [base, *totals]))


def totals_of(differences: Any) -> list[int]:
    """The inverse; raises ValueError on what is no list of whole numbers."""
    if type(differences) is not list or not set(map(type, differences)) <= {int}:
        raise ValueError("a column that is no list of whole numbers")
    return list(accumulate(differences))
