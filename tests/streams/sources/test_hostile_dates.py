"""Dates that nobody should send, in every source: each is read as what it says or refused, and what is not of these
ten years opens no window and goes to one index that says so."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from nacl.public import PrivateKey
from test_contract import GOOD

from detectors.base import Event
from detectors.rules import load
from streams import topics
from streams.codecs import decode_event
from streams.deadletters import DeadLetters
from streams.pipeline import Ingest, Reader
from streams.pseudonyms import Pseudonyms
from streams.records import RawRecord
from streams.sinks.elasticsearch import index_of
from streams.sinks.event_index import EVENTS
from streams.sources.base import Source
from streams.sources.catalog import SOURCES

#: When the broker took it: 2026-03-01.
NOW = 1_772_323_200_000
YEAR = 365 * 86_400_000
LETTERS = DeadLetters(bytes(PrivateKey.generate().public_key))

#: RFC 3339 dates, and the moment each says; None where no calendar has it. ``!``: whoever reads such texts reads it.
DATES: dict[str, int | None] = {
    "0001-01-01T00:00:00Z !": -62_135_596_800_000,
    "0001-01-01T00:00:00+14:00": None,
    "1969-12-31T23:59:59Z !": -1000,
    "1970-01-01T00:00:00Z !": 0,
    "2016-02-29T12:00:00Z !": 1_456_747_200_000,
    "2016-12-31T23:59:60Z !": 1_483_228_799_999,
    "2025-12-31T23:00:00-01:30 !": 1_767_227_400_000,
    "2026-03-01T14:00:00+14:00 !": NOW,
    "2026-03-01T00:00:00.123456789Z !": NOW + 123,
    "2026-03-01T24:00:00Z": NOW + 86_400_000,
    "2026-02-29T00:00:00Z": None,
    "2026-03-01T25:00:00Z": None,
    "2026-03-01T00:00:00+25:00": None,
    "2038-01-19T03:14:08Z !": 2_147_483_648_000,
    "9999-12-31T23:59:59.999Z !": 253_402_300_799_999,
    "9999-12-31T23:59:59-12:00": None,
    "0000-01-01T00:00:00Z": None,
    "10000-01-01T00:00:00Z": None,
    "-0001-01-01T00:00:00Z": None,
}
#: The same for HL7 v2.
STAMPS: dict[str, int | None] = {
    "00010101000000+0000 !": -62_135_596_800_000,
    "00010101000000+1400": None,
    "19691231235959+0000 !": -1000,
    "20161231235960+0000": 1_483_228_799_999,
    "20260301140000+1400 !": NOW,
    "20260301240000+0000": NOW + 86_400_000,
    "20260230000000+0000": None,
    "20380119031408+0000 !": 2_147_483_648_000,
    "99991231235959-1200": None,
}
#: Numbers where a source takes any of four units: the digits tell which; what no unit makes a date of is refused.
NUMBERS: dict[int, int | None] = {
    NOW // 1000: NOW,
    NOW: NOW,
    NOW * 1000: NOW,
    NOW * 1_000_000: NOW,
    2_147_483_648: 2_147_483_648_000,
    1: 1000,
    0: None,
    -1: None,
    -NOW: None,
    10**20: None,
    10**40: None,
}

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_HL7 = re.compile(r"(?<!\d)20\d{12}(?:\.\d+)?(?:[+-]\d{4})?(?!\d)")
#: A number of today, in whatever unit.
_DIGITS = re.compile(r"(?<!\d)1[67]\d{8}(?:\d{3}|\d{6}|\d{9})?(?!\d)")
#: A broker's line that begins with its time.
_STAMPED = re.compile(r"\d{9,10}(?=: )")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def put(record: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(record)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return dict(changed)


def derive(ingest: Ingest, source: Source, record: dict[str, Any]) -> Event | None:
    """The event; None of a record that is refused, which is for a reason that is the record's."""
    value = orjson.dumps(record, default=str, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    headers = {"source": source.name.encode()}
    outputs = ingest.derive(RawRecord(source.topic, 0, 0, NOW, value, headers)).outputs
    if outputs[0].topic == topics.DEAD_LETTERS:
        reason = orjson.loads(outputs[0].value)["reason"]
        assert "defect" not in reason, (source.name, reason)
        return None
    return decode_event(outputs[0].value)


def cases(value: Any) -> Iterator[tuple[Any, int | None, bool]]:
    """What to put instead of a leaf that may tell the time; the moment that it says; whether it must be read."""
    if isinstance(value, str):
        for pattern, table in ((_ISO, DATES), (_HL7, STAMPS)):
            if found := pattern.search(value):
                for date, moment in table.items():
                    text = date.removesuffix(" !")
                    yield value[: found.start()] + text + value[found.end() :], moment, date.endswith("!")
        if found := _STAMPED.match(value):
            rest = value[found.end() :]
            yield from ((f"{number}{rest}", moment, False) for number, moment in NUMBERS.items())
            yield from ((date.removesuffix(" !") + rest, moment, False) for date, moment in DATES.items())
        elif _DIGITS.fullmatch(value):
            yield from ((str(number), moment, False) for number, moment in NUMBERS.items())
    elif isinstance(value, int) and not isinstance(value, bool) and _DIGITS.fullmatch(str(value)):
        yield from ((number, moment, False) for number, moment in NUMBERS.items() if abs(number) < 1 << 63)


def check(event: Event, moment: int) -> None:
    assert event.time == moment
    assert event.timely == (NOW - 10 * YEAR <= moment <= NOW + 300_000)
    index = index_of(EVENTS, event)
    assert index.endswith("-undated") != event.timely
    if event.timely:
        assert "2016.03" <= index[-7:] <= "2026.03", "of all dates that there are, 121 months"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_each_is_read_as_what_it_says_or_refused(source: Source) -> None:
    ingest = Ingest(Reader(load([]), Pseudonyms(bytes(32), "0123abcd")), LETTERS)
    told = 0
    for record in GOOD[source.name]:
        usual = derive(ingest, source, record)
        assert usual is not None
        for path, value in leaves(record):
            found = list(cases(value))
            if not tells_the_time(ingest, source, record, path, found, usual):
                continue
            for text, moment, must in found:
                event = derive(ingest, source, put(record, path, text))
                if event is None:
                    assert not must, f"{source.name} refuses {text!r:.60}"
                    continue
                in_milliseconds = source.name == "emqx"  # it says so, and has more than one field
                if (moment == 0 or in_milliseconds) and abs(event.time - usual.time) < 86_400_000:
                    continue  # 1970 is what clocks say that were never set: another field tells more
                assert moment is not None, f"{source.name} reads {text!r:.60}"
                check(event, text if in_milliseconds else moment)
                told += 1
    assert told, "no field of it tells the time"


def tells_the_time(
    ingest: Ingest, source: Source, record: dict[str, Any], path: tuple[Any, ...], found: list[Any], usual: Event
) -> bool:
    """Whether the event's time is what lies at ``path``: each of two good dates there is read."""
    good = [(text, moment) for text, moment, _ in found if moment in (NOW, 2_147_483_648_000)]
    events = [(derive(ingest, source, put(record, path, text)), moment) for text, moment in good]
    return (
        usual.time != NOW
        and any(event and event.time == NOW for event, _ in events)
        and all(event is None or event.time == moment or source.name == "emqx" for event, moment in events)
    )
