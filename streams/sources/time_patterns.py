"""Dates and times by a pattern of strptime's directives, read the same on every machine.

Python's own ``strptime`` takes names of months from the locale of the process and asks the system on the way. Here a
pattern is made into one regular expression once; names are English. A number may be one digit short, as in ``1.3.2026``
for ``%d.%m.%Y``; two digits of a year are 1969 to 2068, as POSIX has it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

__all__ = ["PARTS", "TimePattern"]

_MONTHS: Final = tuple(
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_DAYS: Final = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
#: Each directive and what it stands for.
PARTS: Final = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d\d)",
    "m": r"(?P<m>1[0-2]|0?[1-9])",
    "d": r"(?P<d>3[01]|[12]\d|0?[1-9]| [1-9])",
    "j": r"(?P<j>36[0-6]|3[0-5]\d|[12]\d\d|0?\d?\d)",
    "b": f"(?P<b>{'|'.join(month[:3] for month in _MONTHS)})",
    "B": f"(?P<B>{'|'.join(_MONTHS)})",
    "a": f"(?P<a>{'|'.join(day[:3] for day in _DAYS)})",
    "A": f"(?P<A>{'|'.join(_DAYS)})",
    "H": r"(?P<H>2[0-3]|[01]\d|\d)",
    "I": r"(?P<I>1[0-2]|0?[1-9])",
    "p": r"(?P<p>[ap]\.?m\.?)",
    "M": r"(?P<M>[0-5]\d|\d)",
    "S": r"(?P<S>[0-5]\d|60|\d)",
    "f": r"(?P<f>\d{1,9})",
    "z": r"(?P<z>z|[+-]\d\d:?[0-5]\d)",
    "%": "%",
}
_DIRECTIVE: Final = re.compile(r"%(.?)", re.DOTALL)


class TimePattern:
    """One pattern. Raises ValueError that says what is wrong with it, to follow its name in a sentence."""

    def __init__(self, pattern: str) -> None:
        used = [found[1] for found in _DIRECTIVE.finditer(pattern) if found[1] != "%"]
        kinds = set(used)
        if not used:
            raise ValueError("is neither iso, unix, unix_ms nor a pattern such as %d.%m.%Y %H:%M:%S")
        if strange := sorted(kinds - PARTS.keys()):
            raise ValueError(f"has %{strange[0]}, which is none of %{' %'.join(sorted(PARTS))}")
        if len(kinds) < len(used):
            raise ValueError("has a directive twice")
        if not kinds & {"Y", "y"} or not ("j" in kinds or ("d" in kinds and kinds & {"m", "b", "B"})):
            raise ValueError("tells no whole date: year, month and day")
        if not ("H" in kinds or kinds >= {"I", "p"}) or "M" not in kinds:
            raise ValueError("tells no time of day: %H, or %I with %p, and %M")
        self.offset = "z" in kinds  #: whether it tells its offset from UTC
        parts = _DIRECTIVE.split(pattern)
        literal = [re.sub(r"(?:\\?\s)+", r"\\s+", re.escape(text)) for text in parts[::2]]
        directives = [*(PARTS[name] for name in parts[1::2]), ""]
        expression = "".join(text + part for text, part in zip(literal, directives, strict=True))
        self._expression = re.compile(expression, re.IGNORECASE | re.ASCII)

    def read(self, text: str) -> datetime | None:
        """The time that ``text`` tells, aware where the pattern has an offset; None where it tells none.

        A leap second is the last millisecond of its minute.
        """
        found = self._expression.fullmatch(text)
        if found is None:
            return None
        part = {name: value.lower() for name, value in found.groupdict().items()}
        try:
            day = _day(part)
            when = day.replace(hour=_hour(part), minute=int(part["M"]))
            offset = _offset(part.get("z", ""))
        except ValueError:
            return None
        second, fraction = int(part.get("S", 0)), int(part.get("f", "0").ljust(9, "0")) // 1000
        if second == 60:
            second, fraction = 59, 999_000
        when = when.replace(second=second, microsecond=fraction)
        return when if offset is None else when.replace(tzinfo=offset)


def _day(part: dict[str, str]) -> datetime:
    if "Y" in part:
        year = int(part["Y"])
    else:
        year = int(part["y"])
        year += 1900 if year >= 69 else 2000
    if "j" in part and "d" not in part:
        day = datetime(year, 1, 1) + timedelta(days=int(part["j"]) - 1)  # noqa: DTZ001  # its zone comes later
        if day.year != year:
            raise ValueError("no such day of the year")
        return day
    if "m" in part:
        month = int(part["m"])
    else:
        month = _MONTHS.index(part["B"]) + 1 if "B" in part else [m[:3] for m in _MONTHS].index(part["b"]) + 1
    return datetime(year, month, int(part["d"]))  # noqa: DTZ001  # as above


def _hour(part: dict[str, str]) -> int:
    if "H" in part:
        return int(part["H"])
    return int(part["I"]) % 12 + (12 if part["p"][0] == "p" else 0)


def _offset(text: str) -> timezone | None:
    if not text:
        return None
    if text == "z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
