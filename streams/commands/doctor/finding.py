"""What ``doctor`` says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "clock_finding"]

#: Seconds between two clocks from which on it is told, and from which on events may be taken for the future's.
_ODD, _WRONG = 5.0, 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    about: str  #: a word or two: what was looked at
    level: Literal["ok", "warning", "error"]  #: an error keeps a worker from its work
    told: str
    mend: str = ""  #: what to do; never empty but for ok


def clock_finding(about: str, theirs: float, ours: float) -> Finding:
    """Two clocks read at the same moment, in seconds since the epoch."""
    off = abs(theirs - ours)
    if off < _ODD:
        return Finding(about, "ok", "the clock is this machine's, within a few seconds")
    direction = "behind" if theirs > ours else "ahead of"
    told = f"this machine's clock is {off:,.0f} s {direction} its clock"
    return Finding(about, "error" if off >= _WRONG else "warning", told, "let both keep time by NTP (chronyc tracking)")
