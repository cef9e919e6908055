"""Indicators out of STIX 2.1: objects of a bundle whose patterns name values that one look-up can find.

A pattern is taken where it is comparisons joined by OR, each of an address, a domain, a URL, a hash or an account with
``=``, ``IN`` or ``ISSUBSET``. What needs more than one value at once (AND, FOLLOWEDBY, WITHIN) is left out and told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from detectors.rules.indicators import FOREVER, IndicatorKind

__all__ = ["StixError", "indicators_of", "moment"]

#: What STIX calls an object and its property, to the kind of list it belongs on.
_PATHS: Final[Mapping[str, IndicatorKind]] = {
    "ipv4-addr:value": "addresses",
    "ipv6-addr:value": "addresses",
    "domain-name:value": "domains",
    "url:value": "urls",
    "user-account:user_id": "users",
    "user-account:account_login": "users",
}
_TEXT: Final = r"'(?:[^'\\]|\\.)*'"
_COMPARISON: Final = re.compile(
    rf"""\s*([a-z0-9-]+:[A-Za-z0-9_.'"-]+)\s*(?:=|ISSUBSET|IN)\s*({_TEXT}|\(\s*{_TEXT}(?:\s*,\s*{_TEXT})*\s*\))\s*"""
)
_STRING: Final = re.compile(_TEXT)


class StixError(ValueError):
    """An object that gives no indicator, and why."""


def indicators_of(bundle: Any) -> Iterator[tuple[IndicatorKind, str, int] | StixError]:
    """Each value as (kind, text, ms since the epoch until which it holds), or why an object gives none."""
    objects = bundle.get("objects", [bundle]) if isinstance(bundle, Mapping) else bundle
    if not isinstance(objects, list):
        yield StixError("is no STIX bundle; a bundle has a list of objects")
        return
    for one in objects:
        if not isinstance(one, Mapping) or one.get("type") != "indicator" or one.get("revoked") is True:
            continue
        try:
            yield from _values(one)
        except StixError as error:
            yield StixError(f"{str(one.get('id'))[:60]}: {error}")


def moment(text: str) -> int:
    """A time as ms since the epoch; UTC where it says nothing else. Raises StixError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise StixError("valid_until is no ISO 8601 time; write one such as 2026-01-31T00:00:00Z") from error
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _values(indicator: Mapping[str, Any]) -> list[tuple[IndicatorKind, str, int]]:
    pattern = indicator.get("pattern")
    if not isinstance(pattern, str) or indicator.get("pattern_type", "stix") != "stix":
        raise StixError("its pattern is not STIX's; only those are read")
    until = indicator.get("valid_until")
    end = FOREVER if until is None else moment(str(until))
    found: list[tuple[IndicatorKind, str, int]] = []
    at = 0
    inside = False
    while at < len(pattern):
        if not inside:
            opening = re.compile(r"\s*\[").match(pattern, at)
            if opening is None:
                raise StixError("its pattern is more than values joined by OR; split it")
            inside, at = True, opening.end()
        comparison = _COMPARISON.match(pattern, at)
        if comparison is None:
            raise StixError("its pattern is more than values joined by OR; split it")
        path, values = comparison.groups()
        kind: IndicatorKind | None = "hashes" if path.startswith("file:hashes.") else _PATHS.get(path)
        if kind is None:
            raise StixError(f"{path[:60]} is on none of the lists")
        found += [(kind, re.sub(r"\\(.)", r"\1", one[1:-1]), end) for one in _STRING.findall(values)]
        joint = re.compile(r"(\])?\s*(OR\b|$)?").match(pattern, comparison.end())
        closed, word = joint.groups() if joint else (None, None)
        if (closed is None and word != "OR") or (closed is not None and word is None):
            raise StixError("its pattern is more than values joined by OR; split it")
        inside, at = closed is None, joint.end() if joint else at
        if closed and not word:
            break
    return found
