"""Once an hour is enough: what goes on for long, or comes in a swarm, is told once per entity and hour.

Hours are aligned to the epoch and part of a finding's id, so which of several occasions came first changes no id.
"""

from __future__ import annotations

from bisect import insort
from typing import Any, Final

__all__ = ["HOUR", "KEPT", "checked", "first_in_hour"]

HOUR: Final = 3_600_000
#: Hours of one entity that are remembered; more can be open only where the watermark stands still.
KEPT: Final = 8


def first_in_hour(told: list[int], time: int) -> bool:
    """Whether nothing was told yet in the hour of ``time`` (ms), which counts as told from now on.

    ``told``: hours since the epoch, rising; changed in place. An hour older than all kept was told, or is too old.
    """
    hour = time // HOUR
    if hour in told or (len(told) == KEPT and hour < told[0]):
        return False
    insort(told, hour)
    del told[:-KEPT]
    return True


def checked(saved: Any) -> list[int]:
    """``saved`` as hours that :func:`first_in_hour` kept. Raises ValueError on anything else."""
    if (
        type(saved) is not list
        or len(saved) > KEPT
        or not all(type(hour) is int for hour in saved)
        or saved != sorted(set(saved))
    ):
        raise ValueError("hours are whole numbers, each once, and rising")
    return list(saved)
