"""Events in Elasticsearch: one document an event, in ``wardwatch-events-YYYY.MM`` of the month it happened in.

Each is created under an id made of its own, so writing it again changes nothing; what cannot be mapped is given back
with its reason (:mod:`streams.sinks.elasticsearch`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from detectors.base import Event, digest
from streams.documents import document
from streams.sinks.elasticsearch import ALERTS, Elasticsearch, Refused, index_of

__all__ = ["EVENTS", "alerts_about", "events_about", "template", "write_events"]

EVENTS: Final = "wardwatch-events"
#: Bytes of one bulk request, far below what servers accept.
_BULK_BYTES: Final = 4_000_000
#: Fields that an event can be asked for by.
_ENTITIES: Final = (
    "wardwatch.actor",
    "wardwatch.patients",
    "wardwatch.device",
    "wardwatch.address",
    "wardwatch.about",
)
#: Documents of one answer.
_PAGE: Final = 1000


async def write_events(store: Elasticsearch, events: Sequence[Event], zone: tzinfo = UTC) -> list[Refused[Event]]:
    """Write ``events``; those that can never be mapped are given back. Raises StoreUnavailable.

    ``zone``: where the hour of day is told by.
    """
    lines: list[Mapping[str, Any]] = []
    written: list[Event] = []
    refused: list[Refused[Event]] = []
    size = 0
    for event in events:
        source = _indexed(event, zone)
        lines += ({"create": {"_index": index_of(EVENTS, event), "_id": digest("event", event.id)}}, source)
        written.append(event)
        size += 400 + len(str(source))
        if size > _BULK_BYTES:
            refused += await store.bulk(lines, written)
            lines, written, size = [], [], 0
    if lines:
        refused += await store.bulk(lines, written)
    return refused


def _indexed(event: Event, zone: tzinfo) -> dict[str, Any]:
    """The document, with hour (0 to 23) and weekday (1, Monday, to 7) in ``zone``, by which after hours are found.

    One whose date cannot be trusted has neither.
    """
    source = document(event)
    if event.timely and isinstance(own := source.get("wardwatch"), dict):
        local = datetime.fromtimestamp(event.time / 1000, zone)
        own |= {"hour": local.hour, "weekday": local.isoweekday()}
    return source


async def events_about(
    store: Elasticsearch, entities: Sequence[str], *, since: int, until: int, limit: int
) -> list[dict[str, Any]]:
    """Events about any of ``entities``, newest first. ``since``, ``until``: ms. Raises StoreUnavailable."""
    about = {"bool": {"should": [{"terms": {name: list(entities)}} for name in _ENTITIES], "minimum_should_match": 1}}
    within = {"range": {"@timestamp": {"gte": since, "lte": until, "format": "epoch_millis"}}}
    found: list[dict[str, Any]] = []
    after: list[Any] | None = None
    while len(found) < limit:
        page = await store.search(
            f"{EVENTS}-*",
            query={"bool": {"filter": [about, within]}},
            sort=[{"@timestamp": "desc"}, {"wardwatch.id": "desc"}],
            size=min(_PAGE, limit - len(found)),
            **({} if after is None else {"search_after": after}),
        )
        if not page:
            break
        after = page[-1]["sort"]
        found += page
    return [{name: value for name, value in one.items() if name != "sort"} for one in found]


async def alerts_about(
    store: Elasticsearch, entity: str, events: Sequence[str], *, since: int, until: int, limit: int
) -> list[dict[str, Any]]:
    """Alerts about ``entity``, or found in one of ``events`` (ids), newest first. Raises StoreUnavailable."""
    about = [{"term": {"wardwatch.entity.key": entity}}, {"terms": {"wardwatch.events": list(events)}}]
    within = {"range": {"@timestamp": {"gte": since, "lte": until, "format": "epoch_millis"}}}
    found = await store.search(
        f"{ALERTS}-*",
        query={"bool": {"filter": [{"bool": {"should": about, "minimum_should_match": 1}}, within]}},
        sort=[{"@timestamp": "desc"}],
        size=min(limit, _PAGE),
    )
    return [{name: value for name, value in one.items() if name != "sort"} for one in found]


def template() -> dict[str, dict[str, Any]]:
    """The index template by name. What sources release is a list of theirs, so the mapping cannot grow without end."""
    keyword = {"type": "keyword", "ignore_above": 1024}
    address = {"type": "ip", "ignore_malformed": True}
    properties = {
        "@timestamp": {"type": "date", "format": "epoch_millis"},
        "event": {"properties": {"reason": {"type": "text", "fields": {"keyword": keyword}}}},
        "source": {"properties": {"ip": address}},
        "destination": {"properties": {"ip": address}},
        "wardwatch": {
            "properties": {
                **dict.fromkeys(
                    ("id", "source", "actor", "patients", "patient", "device", "address", "about", "purpose"), keyword
                ),
                "timely": {"type": "boolean"},
                "hour": {"type": "byte"},
                "weekday": {"type": "byte"},
            }
        },
    }
    texts = {"texts": {"match_mapping_type": "string", "mapping": keyword}}
    return {
        EVENTS: {
            "index_patterns": [f"{EVENTS}-*"],
            "priority": 200,
            "template": {
                "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
                "mappings": {"date_detection": False, "dynamic_templates": [texts], "properties": properties},
            },
        }
    }
