"""Times as tables write them: often local, without an offset from UTC, and in a format of their own.

A local time is one of its zone (IANA's name). What an autumn night makes of it is decided here and nowhere else:

- An hour that comes twice: the time is the earlier of the two it may be, or the later, as the table says; either way
  the event is marked, because an hour of doubt matters to whoever reads it. ``refuse`` sends such rows to dead letters.
- An hour that never was: the clock that wrote it does not follow the zone, so the row is refused. ``shift`` takes it as
  written before the clock was put forward (RFC 5545, 3.3.5), which is right where only a few are so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from streams.sources.base import BadRecord
from streams.sources.time_patterns import TimePattern
from streams.sources.times import instant

__all__ = ["LocalTimes", "Repeated", "Skipped", "Told", "format_mistake", "has_offset"]

Repeated = Literal["earlier", "later", "refuse"]
Skipped = Literal["refuse", "shift"]

#: What a format may be beside a pattern.
_NAMED: Final = ("iso", "unix", "unix_ms")
#: The end of year 9999, the last that ECS's dates can say.
_LAST: Final = 253_402_300_799_999
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Told(NamedTuple):
    """A time, and whether its hour came twice that day."""

    time: int  #: ms since the epoch, UTC
    repeated: bool


def format_mistake(form: str) -> str:
    """Why ``form`` tells no moment; "" where it does."""
    if form not in _NAMED:
        try:
            TimePattern(form)
        except ValueError as exc:
            return str(exc)
    return ""


def has_offset(form: str) -> bool:
    """Whether times of this format always say their offset from UTC, so that a zone would be idle."""
    return form in ("unix", "unix_ms") or (form not in _NAMED and TimePattern(form).offset)


class LocalTimes:
    """Reads one column's times. Pure: it looks at no clock and at no zone of this machine."""

    def __init__(
        self,
        formats: tuple[str, ...],
        zone: ZoneInfo | None,
        *,
        repeated: Repeated = "earlier",
        skipped: Skipped = "refuse",
    ) -> None:
        """``formats``: tried in order; each is one that :func:`format_mistake` has nothing against."""
        self._formats = [(form, None if form in _NAMED else TimePattern(form)) for form in formats]
        self._zone = zone
        self._repeated = repeated
        self._skipped = skipped

    def read(self, text: str, column: str) -> Told:
        """The moment that ``text`` tells. Raises BadRecord that names ``column`` and quotes nothing."""
        for form, pattern in self._formats:
            if pattern is not None:
                when = pattern.read(text)
            elif form == "iso":
                if (told := instant(text)) is not None:  # a leap second, small letters
                    return Told(told, False)
                when = _iso(text)
            else:
                if (told := _number(text, 1000.0 if form == "unix" else 1.0)) is not None:
                    return Told(told, False)
                continue
            if when is not None:
                return self._told(when, column)
        raise BadRecord(f"column {column} is no time of the format {' or '.join(form for form, _ in self._formats)}")

    def _told(self, when: datetime, column: str) -> Told:
        if when.tzinfo is not None:
            return Told(_milliseconds(when), False)
        if self._zone is None:
            raise BadRecord(f"column {column} has no offset from UTC, and the table names no zone")
        earlier, later = (when.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        before, after = earlier.utcoffset(), later.utcoffset()
        assert before is not None
        assert after is not None
        if before == after:
            return Told(_milliseconds(earlier), False)
        if before > after:
            if self._repeated == "refuse":
                raise BadRecord(f"column {column} lies in an hour that came twice in {self._zone.key}")
            return Told(_milliseconds(earlier if self._repeated == "earlier" else later), True)
        if self._skipped == "refuse":
            raise BadRecord(
                f"column {column} lies in an hour that never was in {self._zone.key}: mend zone, or skipped"
            )
        return Told(_milliseconds(earlier), False)


def _iso(text: str) -> datetime | None:
    """ISO 8601's date with a time of day; a date alone would be midnight, which nobody said."""
    try:
        return datetime.fromisoformat(text) if len(text) >= 13 else None
    except ValueError:
        return None


def _milliseconds(when: datetime) -> int:
    past = when - _EPOCH
    return past.days * 86_400_000 + past.seconds * 1000 + round(past.microseconds / 1000)


def _number(text: str, scale: float) -> int | None:
    """Seconds or milliseconds since the epoch as ms; None where ``text`` is no such number of our calendar."""
    try:
        number = float(text) if text.isascii() and "_" not in text else float("nan")
    except ValueError:
        return None
    if not isfinite(number) or not 0 <= number * scale <= _LAST:
        return None
    return round(number * scale)
