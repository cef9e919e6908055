"""RFC 3339 times as milliseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime
from re import compile as regex
from typing import Final

from streams.sources.base import BadRecord

__all__ = ["instant", "milliseconds"]

#: What RFC 3339 allows and Python does not read: small letters, and the leap second.
_RARE: Final = regex(r"(\d{4}-\d\d-\d\d)([Tt ])(\d\d:\d\d:)(\d\d)([.,]\d+)?([Zz]|[+-]\d\d:?\d\d)")


def instant(text: str) -> int | None:
    """``text``, which Python did not read as a time, as ms since the epoch; None where RFC 3339 says no time either.

    A leap second is the last millisecond of its minute, so that no event of it counts in the next.
    """
    found = _RARE.fullmatch(text)
    if found is None:
        return None
    day, _, minute, second, fraction, offset = found.groups()
    leap = second == "60"
    try:
        when = datetime.fromisoformat(
            f"{day}T{minute}{'59.999' if leap else second + (fraction or '')}{offset.upper()}"
        )
        return round(when.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None


def milliseconds(text: object, field: str, *, utc: bool = False) -> int:
    """``text`` with a date, a time and an offset from UTC. Raises BadRecord that names ``field``.

    ``utc``: the format says that its times are UTC, so an offset may be left out.
    """
    if not isinstance(text, str) or len(text) < 19 or text[10] not in "Tt ":
        raise BadRecord(f"{field} is missing" if text is None else f"{field} is no RFC 3339 date and time")
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        if (rare := instant(text)) is not None:
            return rare
        raise BadRecord(f"{field} is no RFC 3339 date and time") from None
    if when.tzinfo is None:
        if not utc:
            raise BadRecord(f"{field} has no offset from UTC: say Z, or +01:00")
        when = when.replace(tzinfo=UTC)
    try:
        return round(when.timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        raise BadRecord(f"{field} lies outside the range of dates") from None
