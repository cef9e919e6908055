"""What one event becomes under the names of its entities: how large, and twice while pseudonym keys overlap."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.base import EntityKind, Event
from streams import topics
from streams.codecs import Overlap, encode_event
from streams.lineage import fingerprint
from streams.pseudonyms import Pseudonyms
from streams.records import Output
from streams.sources.base import BadRecord

__all__ = ["LARGEST", "LARGEST_TOGETHER", "about_one", "told_twice"]

#: Bytes of an event and its key, so that all that is made of it fits what its topics take.
LARGEST = 1_000_000
#: Bytes of all views of one event.
LARGEST_TOGETHER = 32_000_000


def about_one(event: Event, patient: str) -> Event:
    """The view of one of an event's many patients: the others are not in it, or views would grow by their square."""
    fields = {**event.fields, "wardwatch.patient": [patient]}
    return event._replace(patients=(patient,), fields=fields)


def told_twice(
    event: Event, pseudonyms: Pseudonyms, earlier: Event, before: Pseudonyms, views: Sequence[tuple[EntityKind, int]]
) -> list[Output]:
    """``event`` and its views while two keys overlap: see :mod:`streams.epochs`. Raises BadRecord on one too large.

    ``earlier``: the same as ``before`` names it. ``views``: kinds of entity, and what tells their views apart. An
    entity whose name changes with the key sees every event once under each of its two names: a mark holds what tells
    them apart.
    """
    outputs: list[Output] = []
    sizes: list[int] = []

    def put(topic: str, key: str, about: Event, mark: int, overlap: Overlap | None) -> None:
        value = encode_event(about, overlap)
        sizes.append(len(value) + len(key))
        if sizes[0] > LARGEST:
            raise BadRecord(f"an event of {sizes[0]} bytes, and the largest is {LARGEST}")
        if sum(sizes) > LARGEST_TOGETHER:
            raise BadRecord(f"an event of {sizes[0]} bytes about too many entities to be taken")
        outputs.append(Output(topic, key.encode(), value, mark, about.time if about.timely else 0))

    for topic, kind, name in ((topics.EVENTS, "actor", 0), *((topics.VIEWS, *view) for view in views)):
        keys = event.keys(kind)
        for number, (key, was) in enumerate(zip(keys, earlier.keys(kind), strict=True)):
            mark = name + number
            about = about_one(event, key) if len(keys) > 1 else event
            put(topic, key, about, _mark(event, key, pseudonyms) ^ mark, None if key == was else "new")
            if key != was:
                about = about_one(earlier, was) if len(keys) > 1 else earlier
                put(topic, was, about, _mark(earlier, was, before) ^ mark, "earlier")
    return outputs


def _mark(event: Event, key: str, pseudonyms: Pseudonyms) -> int:
    """The event's fingerprint, as the entity sees it."""
    return fingerprint(event.id) ^ (pseudonyms.salt if pseudonyms.names(key) else 0)
