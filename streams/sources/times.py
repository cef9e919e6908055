"""RFC 3339 times as milliseconds since the epoch."""

from __future__ import annotations

from datetime import datetime

from streams.sources.base import BadRecord

__all__ = ["milliseconds"]


def milliseconds(text: object, field: str) -> int:
    """``text`` with a date, a time and an offset from UTC. Raises BadRecord that names ``field``."""
    if not isinstance(text, str) or len(text) < 20 or text[10] not in "Tt ":
        raise BadRecord(f"{field} is no RFC 3339 date and time")
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BadRecord(f"{field} is no RFC 3339 date and time") from None
    if when.tzinfo is None:
        raise BadRecord(f"{field} has no offset from UTC: say Z, or +01:00")
    try:
        return round(when.timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        raise BadRecord(f"{field} lies outside the range of dates") from None
