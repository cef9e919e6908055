"""Times of systems that leave out their offset from UTC: in the zone that whoever runs them has named, or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from re import compile as regex
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.sources.base import BadRecord
from streams.sources.times import milliseconds

__all__ = ["hl7_milliseconds", "offset_of", "xsd_milliseconds", "zone_named"]

#: How to mend a time that nobody can place.
_MEND: Final = "say Z or an offset, or set WARDWATCH_EHR_ZONE to where the system stands"
_OFFSET: Final = regex(r"(?:[Zz]|([+-])(\d\d):?(\d\d))\Z")
#: HL7 v2.9, 2A.2.22 DTM: as much of it as is known, and an offset.
_DTM: Final = regex(r"(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)?(\d\d)?(\.\d{1,9})?)?([+-]\d{4})?")


def zone_named(name: str) -> tzinfo | None:
    """The time zone of an IANA name, ``Europe/Berlin``; None of "". Raises ValueError where there is none."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name}: write it as the IANA does, such as Europe/Berlin") from None


def offset_of(text: str) -> tzinfo | None:
    """The offset that a time ends with; None where it has none."""
    if len(text) < 11 or (found := _OFFSET.search(text, 11)) is None:
        return None
    if found[1] is None:
        return UTC
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes)) if minutes < 24 * 60 else None


def xsd_milliseconds(text: object, field: str, zone: tzinfo | None) -> int:
    """An ``xsd:dateTime`` as ms since the epoch; one without offset is in ``zone``. Raises BadRecord.

    In the hour that autumn has twice it is taken for the first.
    """
    if isinstance(text, str) and zone is not None and len(text) > 10 and offset_of(text) is None:
        return _placed(text, field, zone)
    try:
        return milliseconds(text, field)
    except BadRecord as exc:
        raise BadRecord(f"{field} has no offset from UTC: {_MEND}" if "no offset" in str(exc) else str(exc)) from None


def hl7_milliseconds(text: str, field: str, zone: tzinfo | None) -> int:
    """A time as HL7 v2 writes it (``20260105080000.123+0100``), which says the hour at least. Raises BadRecord."""
    found = _DTM.fullmatch(text)
    if found is None or found[4] is None:
        raise BadRecord(f"{field} is no HL7 time that says the hour")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    stamp = f"{year}-{month}-{day}T{hour}:{minute or '00'}:{second or '00'}{fraction or ''}"
    if offset:
        return milliseconds(f"{stamp}{offset[:3]}:{offset[3:]}", field)
    if zone is None:
        raise BadRecord(f"{field} has no offset from UTC: {_MEND}")
    return _placed(stamp, field, zone)


def _placed(stamp: str, field: str, zone: tzinfo) -> int:
    try:
        return round(datetime.fromisoformat(stamp).replace(tzinfo=zone).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise BadRecord(f"{field} is no date and time") from None
