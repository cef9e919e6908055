"""What a source that declares its records plain must satisfy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from detectors.rules.projection import projection
from streams.sources.base import BadRecord, Source
from streams.sources.plain import Plain

__all__ = ["plain_faults"]


def plain_faults(source: Source, plain: Plain, records: Iterable[Mapping[str, Any]]) -> str:
    """What is wrong with ``plain``, of which ``records`` are examples, good and broken; empty where nothing is."""
    told = projection(plain.fields, plain.required, (), lambda line, rules: False)
    if told is None:
        return "no record can be told by it"
    some = False
    for record in records:
        try:
            line = orjson.dumps(record)
        except TypeError:  # what no line of JSON holds
            continue
        if not told(memoryview(line)):
            continue
        some = True
        if not source.recognises(record):
            return "it takes a record that the source does not recognise"
        try:
            draft = source.normalise(record)
        except BadRecord as exc:
            return f"it takes a record that the source refuses: {exc}"
        if plain.moment(record[plain.time]) != draft.time:
            return f"{plain.time} is read as another time"
        fields = draft.fields
        if not fields.keys() <= source.released:
            return "a field is not released, so a rule that asks for it could be passed over"
        for name, places in plain.copies.items():
            if name in fields and fields[name] not in [_at(record, place.split(".")) for place in places]:
                return f"{name} is none of {', '.join(places)}"
    return "" if some else "it takes no record of the source"


def _at(record: Any, path: Iterable[str]) -> Any:
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record
