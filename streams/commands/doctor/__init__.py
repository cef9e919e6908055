"""``doctor``: whether an installation is well, one finding for each thing looked at, with what mends it.

It only looks. What lies on this machine is in :mod:`~streams.commands.doctor.here`, Kafka and Elasticsearch each in a
module of their own; each gives findings and never raises for what it finds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from streams.commands.doctor import elasticsearch, here, kafka
from streams.commands.doctor.finding import Finding
from streams.settings import Settings

__all__ = ["Finding", "findings", "lines"]


def findings(settings: Settings, role: str = "", *, clock: Callable[[], float] = time.time) -> Iterator[Finding]:
    """In the order in which to mend them. ``clock``: seconds since the epoch.

    ``role``: ``worker``, ``events`` or ``identity`` where this host is for nothing else, as
    :mod:`streams.permissions` knows them; empty where it is for everything.
    """
    yield from here.findings(settings, role)
    yield from kafka.findings(settings, clock, role)
    if settings.elasticsearch and role != "identity" and (role != "events" or settings.events_index):
        yield from elasticsearch.findings(settings, clock, role)


def lines(found: Iterable[Finding]) -> Iterator[str]:
    """For a person: a line for each, and below it what mends it."""
    for one in found:
        yield f"{one.level:<8} {one.about:<14} {one.told}"
        if one.mend:
            yield f"{'':<23} -> {one.mend}"
