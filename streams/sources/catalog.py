"""Every source there is, and which of them a record belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from streams.sources.base import BadRecord, Source
from streams.sources.cloudtrail import CLOUDTRAIL
from streams.sources.device import DEVICE
from streams.sources.fhir import FHIR
from streams.sources.own import OWN

__all__ = ["SOURCES", "by_name", "recognise"]

SOURCES: tuple[Source, ...] = (FHIR, DEVICE, CLOUDTRAIL, OWN)

_BY_NAME = {source.name: source for source in SOURCES}
_BY_TOPIC: dict[str | None, tuple[Source, ...]] = {
    None: SOURCES,
    **{source.topic: tuple(s for s in SOURCES if s.topic == source.topic) for source in SOURCES},
}


def by_name(name: str) -> Source:
    """The source of that name. Raises ValueError that names the nearest right one."""
    try:
        return _BY_NAME[name]
    except KeyError:
        near = get_close_matches(name, _BY_NAME, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"there is no source of that name, only {', '.join(_BY_NAME)}{hint}") from None


def recognise(record: Mapping[str, Any], topic: str | None = None) -> Source:
    """The source whose shape the record has, among those of ``topic`` where one is given. Raises BadRecord."""
    sources = _BY_TOPIC.get(topic, SOURCES)
    for source in sources:
        if source.recognises(record):
            return source
    known = ", ".join(source.name for source in sources)
    raise BadRecord(f"the record has the shape of no source known here: {known}")
