"""The steps as plain calls: one event counts once for every entity it is about."""

from __future__ import annotations

import json

from nacl.public import PrivateKey

from detectors.registry import registered
from detectors.rules import starter_rules
from streams import topics
from streams.agents import VIEW_KINDS
from streams.blocks import Block
from streams.deadletters import DeadLetters
from streams.demo.records import device_event
from streams.lineage import NO_POSITION, Lineage, Position
from streams.pipeline import Behave, Ingest, Reader
from streams.privacy import Pseudonyms
from streams.records import Output, RawRecord, Record
from streams.state import PartitionState

NOW = 1_790_000_000_000


def views(offset: int) -> list[Output]:
    """What one and the same device event becomes in ``views`` when it lies at ``offset``."""
    ingest = Ingest(
        Reader(starter_rules(), Pseudonyms(bytes(32), "k1")),
        DeadLetters(bytes(PrivateKey.generate().public_key)),
        views=VIEW_KINDS,
    )
    record = device_event(
        id="synthetic-1",
        time=NOW,
        device="infusion-pump-0001",
        type="infusion-pump",
        event="telemetry",
        action="measurement",
        address="192.0.2.7",
        patient="synthetic-000001",
    )
    raw = RawRecord("audit.iot", 0, offset, NOW, json.dumps(record).encode(), {"source": b"device"})
    return [output for output in ingest.derive(raw).outputs if output.topic == topics.VIEWS]


def test_an_event_counts_for_each_of_its_entities_where_they_share_a_partition() -> None:
    state = PartitionState(Behave(registered(), kinds=VIEW_KINDS))
    log = []
    for place, (source, out) in enumerate((number, view) for number in (0, 1) for view in views(number)):
        position = Position(source, place)
        lineage = Lineage(bytes(16), 0, position, NO_POSITION, 0)
        log.append(Block(place, lineage, (position,), (Record(place, out.key, out.value, out.event, out.time),)))
    kinds = {"device", "address", "patient"}
    assert {block.records[0].key.partition(b":")[0].decode() for block in log[:3]} == kinds
    state.fold(log[:3], {})
    assert {key.partition(b":")[0].decode() for key, _ in state.values.items()} == kinds
    assert state.counts["repeated"] == 0
    state.fold(log[3:], {})
    assert state.counts["repeated"] == 3, "the same event sent again counts for none of them"
