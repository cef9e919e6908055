"""The broker's clock as this worker knows it: every watermark that it takes, it stamps with its own time.

``events`` carries LogAppendTime, so the broker's clock is read without asking anything more of it. What is certain is
told and no more: a stamp between sending and acknowledgement proves no difference, however long that took.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["BrokerClock"]


class BrokerClock:
    """Gives, when called, seconds since the epoch as the broker counts them; our own until it was first heard."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock``: this host's, in seconds since the epoch."""
        self._clock = clock
        self.ahead = 0.0  #: seconds that this host's clock is ahead of the broker's at least; below 0, behind it

    def __call__(self) -> float:
        return self._clock() - self.ahead

    def stamped(self, stamp: int | None, *, sent: float) -> None:
        """The broker took something at ``stamp`` (ms, its time; None where it did not say), sent at ``sent`` (our
        clock), and we know of it now."""
        if stamp is None:
            return
        theirs, acked = stamp / 1000, self._clock()
        # A clock that was set back between the two says nothing of the broker's.
        if sent <= acked:
            self.ahead = max(0.0, sent - theirs) + min(0.0, acked - theirs)
