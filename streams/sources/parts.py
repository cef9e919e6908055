"""Parts of a record that may be absent, null, of another type, or spelled by whoever shipped it.

The same vendor's field arrives as ``operationName``, as ``operationname`` out of a warehouse that knows small letters
only, and as ``OperationName`` out of a table. So a name is tried as it is given, in small letters, and with a capital.
What is not what it should be counts as absent: an audit record that says who and what is worth more than its form. Only
a time that says nothing is refused, because an event in the wrong hour misleads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from re import compile as regex
from typing import Any, Final

import orjson

from streams.sources.base import BadRecord
from streams.sources.times import milliseconds

__all__ = [
    "UNTIMED",
    "account",
    "items",
    "network",
    "number",
    "part",
    "parts",
    "put_address",
    "said",
    "text",
    "truth",
    "when",
]

#: Time of an event whose record bears none: rules see it, and it is untimely, so that no window opens or closes on it.
UNTIMED: Final = 0

_NONE: Final[Mapping[str, Any]] = {}
#: Texts that say that there is nothing.
_NOTHING: Final = frozenset({"", "-", "null", "None", "N/A", "n/a", "NULL"})
#: Powers of ten that tell epoch seconds, milliseconds, microseconds and nanoseconds apart: the year 5138 in each.
_UNITS: Final = ((10**11, 1000, 1), (10**14, 1, 1), (10**17, 1, 1000), (10**20, 1, 1_000_000))
_NAME: Final = regex(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?")
_ACCOUNT: Final = regex(r"[^\s@/\\]+@[^\s@/\\]+")
_MAPPED: Final = "::ffff:"


def part(record: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of ``names`` that the record has and that is not null, in any of its spellings."""
    get = record.get
    for name in names:
        value = get(name)
        if value is not None:
            return value
        for spelled in _SPELLED.get(name) or _spell(name):
            value = get(spelled)
            if value is not None:
                return value
    return None


#: Other spellings of the names that sources ask for. Names come from their code and never from a record.
_SPELLED: Final[dict[str, tuple[str, ...]]] = {}


def _spell(name: str) -> tuple[str, ...]:
    others = dict.fromkeys((name.lower(), name[:1].upper() + name[1:]))
    others.pop(name, None)
    _SPELLED[name] = tuple(others)
    return _SPELLED[name]


def text(record: Mapping[str, Any], *names: str) -> str:
    """The first of ``names`` that says something, as text: a whole number stands for its digits. "" where none does."""
    for name in names:
        value = part(record, name)
        if value is None:
            continue
        if type(value) is str and value not in _NOTHING and not value.isspace():
            return value
        if type(value) is int:
            return str(value)
        if type(value) is float and value.is_integer():
            return str(int(value))
    return ""


def parts(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The object under the first of ``names`` that holds one, also where it is JSON in a text; else an empty one."""
    for name in names:
        value = part(record, name)
        if type(value) is str and value[:1] == "{":
            value = _json(value)
        if isinstance(value, dict):
            return value
    return _NONE


def items(record: Mapping[str, Any], *names: str) -> Iterator[Mapping[str, Any]]:
    """The objects in the list under the first of ``names`` that holds a list, or the one object in its place."""
    for name in names:
        value = part(record, name)
        if type(value) is str and value[:1] in "[{" and value:
            value = _json(value)
        if isinstance(value, dict):
            value = [value]
        if isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    yield item
            return


def _json(value: str) -> Any:
    try:
        return orjson.loads(value)
    except (orjson.JSONDecodeError, RecursionError):
        return None


def number(record: Mapping[str, Any], *names: str) -> int | None:
    """The first of ``names`` that is a whole number, also written as text; None where none is."""
    for name in names:
        value = part(record, name)
        if type(value) is int:
            return value
        if type(value) is float and value.is_integer():
            return int(value)
        if type(value) is str and len(value) < 20 and value.isascii() and value.lstrip("-").isdigit():
            return int(value) if value.count("-") < 2 else None
    return None


def truth(record: Mapping[str, Any], *names: str) -> bool | None:
    """The first of ``names`` that says true or false, also written as text; None where none does."""
    for name in names:
        value = part(record, name)
        if type(value) is bool:
            return value
        if type(value) is str and value.lower() in ("true", "false"):
            return value.lower() == "true"
    return None


def said(fields: dict[str, Any]) -> dict[str, Any]:
    """``fields`` without those that say nothing: an empty text, an empty list, None."""
    return {name: value for name, value in fields.items() if value not in ("", None, [])}


def when(record: Mapping[str, Any], *names: str) -> int:
    """The first of ``names`` that says a time, as ms since the epoch; :data:`UNTIMED` where all are absent.

    A text is RFC 3339, in UTC unless it says otherwise; a number, also as text, counts seconds, milliseconds,
    microseconds or nanoseconds since the epoch. Raises BadRecord on a time that is neither.
    """
    for name in names:
        value = part(record, name)
        if value is None or value in ("", "-"):
            continue
        if type(value) is str and not value.lstrip("-").replace(".", "", 1).isdecimal():
            return milliseconds(value.removesuffix(" UTC"), name, utc=True)
        return _epoch(value, name)
    return UNTIMED


def _epoch(value: object, name: str) -> int:
    if type(value) is str:
        if len(value) > 24 or not value.isascii():
            raise BadRecord(f"{name} lies outside the range of dates")
        value = float(value) if "." in value else int(value)
    if type(value) not in (int, float) or value != value:  # noqa: PLR0124
        raise BadRecord(f"{name} is neither a date and time nor a number of seconds since 1970")
    for limit, times, by in _UNITS:
        if 0 < value < limit:  # type: ignore[operator]
            return int(value * times // by)  # type: ignore[operator]
    raise BadRecord(f"{name} lies outside the range of dates")


def put_address(fields: dict[str, Any], raw: object) -> str:
    """Put a client's address into ``fields`` as ``source.*``; the event's ``address:…``, "" where it is none.

    Takes ``192.0.2.7``, ``192.0.2.7:443``, ``[2001:db8::7]:443`` and an IPv4 address written as IPv6. Anything else
    that is one word is the name of a host or service.
    """
    host, port = network(raw)
    if host in ("0.0.0.0", "::"):  # noqa: S104
        return ""
    if not host:
        if type(raw) is str and len(raw) < 254 and _NAME.fullmatch(raw):
            name = fields["source.domain"] = raw.lower()
            return f"address:{name}"
        return ""
    fields["source.ip"] = host
    if port:
        fields["source.port"] = port
    return f"address:{host}"


def account(name: str) -> str:
    """``name`` where it is an account of the organisation's own, ``who@where``; "" for a guest's and for other text.

    A guest's account is made of the address of whoever was invited, who may be anybody.
    """
    return name if _ACCOUNT.fullmatch(name) and "#ext#" not in name.lower() else ""


def network(raw: object) -> tuple[str, int]:
    """An IP address in its one spelling, and its port or 0; ("", 0) where ``raw`` is no address."""
    return _network(raw) if type(raw) is str and len(raw) <= 64 else ("", 0)


@lru_cache(maxsize=16_384)
def _network(raw: str) -> tuple[str, int]:
    host, port = raw.strip(), ""
    if host[:1] == "[":
        host, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if host[:7].lower() == _MAPPED and "." in host:
        host = host[7:]
    try:
        known = str(ip_address(host))
    except ValueError:
        return "", 0
    whole = port.isascii() and port.isdecimal() and len(port) < 6
    return known, int(port) if whole and 0 < int(port) < 65_536 else 0
