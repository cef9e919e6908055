"""Lists of indicators that one look-up answers, however long they are, with the time until which each holds.

An indicator expires by the time of the event, never by a clock: the same events find the same, whenever they are read.
What an event has before its indicator was published counts, since an indicator tells of what already happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final, Literal

from detectors.base import digest

__all__ = ["FOREVER", "KINDS", "IndicatorKind", "Indicators", "kind_of", "listed"]

IndicatorKind = Literal["addresses", "domains", "hashes", "urls", "users", "texts"]
KINDS: Final[tuple[IndicatorKind, ...]] = ("addresses", "domains", "hashes", "urls", "users")

FOREVER: Final = 1 << 63  #: the time, in ms since the epoch, that an indicator without an end holds until

_HASH: Final = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})(?![0-9a-f])")
_DOMAIN: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\.?")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+")


@dataclass(frozen=True, slots=True, eq=False)
class Indicators:
    """One list: ``holds`` tells whether a folded text is of it at a time (ms since the epoch; None: at any)."""

    name: str
    kind: IndicatorKind
    digest: str  #: of the entries
    holds: Callable[[str, int | None], bool] = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Indicators) and (self.name, self.digest) == (other.name, other.digest)

    def __hash__(self) -> int:
        return hash((self.name, self.digest))


def listed(name: str, kind: IndicatorKind, entries: Mapping[str, int]) -> Indicators:
    """``entries``: each as :func:`kind_of` gave it, to the ms since the epoch until which it holds."""
    told = digest(name, kind, *(f"{entry}\0{until}" for entry, until in sorted(entries.items())))
    return Indicators(name, kind, told, _MAKERS.get(kind, _texts)(entries))


def kind_of(value: str, wanted: IndicatorKind | None = None) -> tuple[IndicatorKind, str] | None:
    """The kind of an indicator, ``wanted`` or else told by its form, and how it is kept; None where it has no form."""
    folded = value.strip().casefold()
    if wanted in ("users", "texts"):
        return (wanted, folded) if folded else None
    found: tuple[IndicatorKind, str] | None = None
    if _HASH.fullmatch(folded):
        found = "hashes", folded
    elif _URL.fullmatch(folded):
        found = "urls", folded
    elif folded[:1].isdigit() or ":" in folded or "/" in folded:
        try:
            found = "addresses", str(ip_network(folded, strict=False))
        except ValueError:
            found = None
    if found is None and _DOMAIN.fullmatch(folded):
        found = "domains", folded.rstrip(".")
    return found if found is not None and wanted in (None, found[0]) else None


def _texts(entries: Mapping[str, int]) -> Callable[[str, int | None], bool]:
    find = entries.get

    def holds(text: str, time: int | None) -> bool:
        until = find(text)
        return until is not None and (time is None or time < until)

    return holds


def _domains(entries: Mapping[str, int]) -> Callable[[str, int | None], bool]:
    """The domain itself and whatever lies below it; at most 128 labels are looked at."""
    find = entries.get

    def holds(text: str, time: int | None) -> bool:
        name = text.rstrip(".")
        if len(name) > 255:
            return False
        for _ in range(128):
            until = find(name)
            if until is not None and (time is None or time < until):
                return True
            _, dot, name = name.partition(".")
            if not dot:
                break
        return False

    return holds


def _hashes(entries: Mapping[str, int]) -> Callable[[str, int | None], bool]:
    """A hash by itself or among others, as in ``MD5=…,SHA256=…``."""
    whole = _texts(entries)
    return lambda text, time: any(whole(one, time) for one in _HASH.findall(text[:4096]))


def _addresses(entries: Mapping[str, int]) -> Callable[[str, int | None], bool]:
    """An address within a listed network: one look-up for each length of prefix that the list has."""
    found: dict[tuple[int, int], dict[int, int]] = {}
    for entry, until in entries.items():
        network = ip_network(entry)
        shift = network.max_prefixlen - network.prefixlen
        found.setdefault((network.version, shift), {})[int(network.network_address) >> shift] = until
    lengths = [(version, shift, table.get) for (version, shift), table in sorted(found.items())]
    remembered: dict[str, tuple[int, int] | None] = {}

    def holds(text: str, time: int | None) -> bool:
        if len(text) > 64:
            return False
        if text in remembered:
            read = remembered[text]
        else:
            try:
                address = ip_network(text)
                read = (address.version, int(address.network_address)) if "/" not in text else None
            except ValueError:
                read = None
            if len(remembered) < 4096:
                remembered[text] = read
        if read is None:
            return False
        version, number = read
        for of, shift, find in lengths:
            if of == version:
                until = find(number >> shift)
                if until is not None and (time is None or time < until):
                    return True
        return False

    return holds


_MAKERS: Final = {"addresses": _addresses, "domains": _domains, "hashes": _hashes}
