"""What an attempt at a receiver comes to, and when there is another: the same for every kind.

Nothing here keeps state; :mod:`streams.deliveries` keeps each delivery durable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple, Protocol

__all__ = ["JITTER", "RETRIES", "TIMEOUT", "Outcome", "Sink", "judge", "retry_delay"]

#: Seconds before the second, third, ... attempt, as Standard Webhooks proposes; after the last the delivery is given
#: up.
RETRIES = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Share of a delay that chance may take off or add, so that receivers are not hit in step.
JITTER = 0.2
#: Seconds a receiver may take to answer.
TIMEOUT = 20.0


class Outcome(NamedTuple):
    """What an attempt came to."""

    #: ``refused``: this delivery, for good. ``gone``: the receiver, for good.
    verdict: Literal["delivered", "retry", "refused", "gone"]
    detail: str = ""  #: nothing of the message, and no secret
    retry_after: float = 0.0  #: seconds the receiver asked for
    answer: str = ""  #: the beginning of what it said, for a person who tries a receiver; never kept


class Sink(Protocol):
    """One receiver as deliveries see it."""

    async def attempt(self, delivery_id: str, body: bytes, now: float) -> Outcome:
        """One attempt, TIMEOUT seconds long at most. Never raises for what a receiver does.

        ``body``: a message as :mod:`streams.notify` keeps it. ``now``: seconds since the epoch.
        """
        ...

    async def close(self) -> None: ...


def judge(
    status: int, retry_after: str, now: float, *, refused: Collection[int] = (), gone: Collection[int] = ()
) -> Outcome:
    """What an HTTP status means: 2xx is delivered, what is neither ``refused`` nor ``gone`` is tried again.

    A redirect is tried again too, where it was sent first: it is never followed.
    """
    if 200 <= status < 300:
        return Outcome("delivered", str(status))
    if status in gone:
        return Outcome("gone", f"{status}: the receiver wants no more")
    if status in refused:
        return Outcome("refused", f"status {status}")
    return Outcome("retry", f"status {status}", _seconds(retry_after, now))


def _seconds(retry_after: str, now: float) -> float:
    longest = float(RETRIES[-1])
    try:
        if retry_after.isdecimal():
            wanted = float(retry_after[:10])
        else:
            wanted = parsedate_to_datetime(retry_after).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wanted, 0.0), longest)


def retry_delay(attempts: int, *, retry_after: float, chance: Callable[[], float]) -> float | None:
    """Seconds until the next attempt after ``attempts`` failed ones; None when it is given up.

    ``chance`` gives a number from 0 to 1. A receiver that asked for more time gets it.
    """
    if attempts > len(RETRIES):
        return None
    delay = RETRIES[attempts - 1] * (1 + JITTER * (2 * chance() - 1))
    return max(delay, retry_after)
