"""Which events are kept, and that a batch is done once the store has it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from nacl.public import PrivateKey
from standing_in import TOPIC, Sent, batch_of

from detectors.base import Event
from detectors.rules import load
from streams.blocks import pack
from streams.codecs import Overlap, encode_event
from streams.deadletters import DeadLetters
from streams.event_keeping import EventFilter, EventsHandler
from streams.lineage import BLOCK, NO_POSITION, Lineage, NewerSchema, Position, fingerprint
from streams.records import WATERMARK
from streams.tallies import Tally

LETTERS = DeadLetters(bytes(PrivateKey.generate().public_key))
EVENTS = [
    Event(f"e{n}", 1_790_000_000_000 + n, ("fhir", "device")[n % 2], "user:synthetic", fields={"event.action": "read"})
    for n in range(1000)
]


def lying(offset: int, values: list[bytes]) -> Any:
    rows = [(offset, n, n + 1, 1, "user:synthetic") for n in range(len(values))]
    header = Lineage(TOPIC, 0, Position(offset, len(values) - 1), NO_POSITION, 0).pack()
    return SimpleNamespace(
        offset=offset, key=None, value=pack(rows, values), headers=[(BLOCK, header)], partition=0, timestamp=0
    )


class Keeper:
    """Keeps in memory; refuses and fails as it is told."""

    def __init__(self, refused: tuple[str, ...] = ()) -> None:
        self.kept: list[str] = []
        self.away = False
        self._refused = refused

    async def write(self, events: list[Event]) -> list[tuple[Event, str]]:
        if self.away:
            raise OSError("away")
        self.kept += [event.id for event in events if event.id not in self._refused]
        return [(event, "synthetic") for event in events if event.id in self._refused]

    async def check(self) -> None:
        pass

    async def close(self) -> None:
        pass


def handler(keeper: Keeper, sent: Sent, kept: EventFilter | None = None, tally: Tally | None = None) -> EventsHandler:
    return EventsHandler(
        keeper,
        kept or EventFilter(),
        sent,  # type: ignore[arg-type]
        LETTERS,
        topic_id=TOPIC,
        tally=tally or Tally(),
    )


async def test_what_was_taken_is_kept_or_filtered_or_dead_and_counts_once() -> None:
    keeper, tally = Keeper(refused=("e2",)), Tally()
    block = lying(4, [*(encode_event(event) for event in EVENTS[:6]), encode_event(EVENTS[6], "earlier"), b"{}"])
    foreign = SimpleNamespace(offset=5, key=None, value=b"junk", headers=[], partition=0, timestamp=0)
    watermark = SimpleNamespace(offset=6, key=None, value=b"{}", headers=[(WATERMARK, b"")], partition=0, timestamp=0)
    keeping = handler(keeper, Sent(), EventFilter(sources=["fhir"]), tally)
    keeper.away = True
    with pytest.raises(OSError, match="away"):
        await keeping.process(batch_of("events", [block, foreign, watermark]))
    assert tally.taken == 0
    keeper.away = False
    await keeping.process(batch_of("events", [block, foreign, watermark]))
    assert (tally.taken, tally.passed, tally.dead) == (9, 2, 2)
    assert tally.filtered == {"unwanted": 3, "earlier": 1, "foreign": 1}
    assert tally.taken == tally.passed + tally.dead + tally.filtered.total()


async def test_every_event_of_a_block_is_kept_but_second_readings_and_controls() -> None:
    def value(number: int, overlap: Overlap | None = None) -> bytes:
        return encode_event(EVENTS[number], overlap)

    keeper, sent = Keeper(), Sent()
    watermark = SimpleNamespace(offset=5, key=None, value=b"{}", headers=[("watermark", b"")], partition=0, timestamp=0)
    block = lying(4, [value(0), value(1, "new"), value(2, "earlier")])
    assert await handler(keeper, sent).process(batch_of("events", [block, watermark]))
    assert (keeper.kept, sent.outputs) == (["e0", "e1"], [])


async def test_what_is_refused_or_cannot_be_read_is_a_letter_and_costs_itself() -> None:
    keeper, sent = Keeper(refused=("e1",)), Sent()
    block = lying(4, [*(encode_event(event) for event in EVENTS[:3]), b"{}"])
    await handler(keeper, sent).process(batch_of("events", [block]))
    assert keeper.kept == ["e0", "e2"]
    reasons = [orjson.loads(output.value)["reason"] for output in sent.outputs]
    assert sorted(reasons) == ["Elasticsearch refused it: synthetic", "ValueError while reading an event"]
    assert sorted(output.key for output in sent.outputs) == [b"events/0/4.1", b"events/0/4.3"]


async def test_a_store_that_is_away_holds_the_batch_and_a_newer_schema_too() -> None:
    keeper = Keeper()
    keeper.away = True
    with pytest.raises(OSError, match="away"):
        await handler(keeper, Sent()).process(batch_of("events", [lying(4, [encode_event(EVENTS[0])])]))
    newer = orjson.dumps(orjson.loads(encode_event(EVENTS[0])) | {"v": 2})
    with pytest.raises(NewerSchema):
        await handler(Keeper(), Sent()).process(batch_of("events", [lying(4, [newer])]))


def test_a_filter_says_the_same_each_time_and_keeps_its_share(tmp_path: Any) -> None:
    assert all(map(EventFilter().keeps, EVENTS))
    assert not any(map(EventFilter(sample=0).keeps, EVENTS))
    some = [event for event in EVENTS if EventFilter(sample=0.25).keeps(event)]
    assert 180 < len(some) < 320
    assert [event for event in EVENTS if EventFilter(sample=0.25).keeps(event)] == some
    more = [event for event in EVENTS if EventFilter(sample=0.5).keeps(event)]
    assert set(map(fingerprint, (e.id for e in some))) < set(map(fingerprint, (e.id for e in more)))
    assert {event.source for event in EVENTS if EventFilter(sources=["device"]).keeps(event)} == {"device"}
    (tmp_path / "rule.yml").write_text(
        "title: Exports\nid: 5f3c1a52-0000-4000-8000-000000000001\nlogsource: {product: anything}\n"
        "detection: {selection: {event.action: export}, condition: selection}\nlevel: high\n"
    )
    by_rule = EventFilter(rules=load([tmp_path / "rule.yml"]))
    assert not by_rule.keeps(EVENTS[0])
    assert by_rule.keeps(EVENTS[0]._replace(fields={"event.action": "export"}))
