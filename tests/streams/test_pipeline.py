"""The steps as plain calls: one event counts once for every entity it is about."""

from __future__ import annotations

import json
from types import SimpleNamespace

from nacl.public import PrivateKey

from detectors.registry import registered
from detectors.rules import starter_rules
from streams import topics
from streams.agents import VIEW_KINDS
from streams.blocks import Block, pack, unpack
from streams.deadletters import DeadLetters
from streams.demo.records import device_event
from streams.lineage import BLOCK, NO_POSITION, Lineage, Position
from streams.pipeline import Behave, Ingest, Reader
from streams.privacy import Pseudonyms
from streams.records import Output, RawRecord
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


def block(offset: int, outputs: list[Output]) -> Block:
    """They lie in one partition, in one block, as derived from the source record at the same offset."""
    rows = [(offset, index, output.event, output.time, output.key.decode()) for index, output in enumerate(outputs)]
    lineage = Lineage(bytes(16), 0, Position(*rows[-1][:2]), NO_POSITION, 0)
    value = pack(rows, [output.value for output in outputs])
    return unpack(SimpleNamespace(offset=offset, key=b"", value=value, headers=[(BLOCK, lineage.pack())]))


def test_an_event_counts_for_each_of_its_entities_where_they_share_a_partition() -> None:
    state = PartitionState(Behave(registered(), kinds=VIEW_KINDS))
    log = [block(0, views(0)), block(1, views(1))]
    kinds = {"device", "address", "patient"}
    assert {record.key.partition(b":")[0].decode() for record in log[0].records} == kinds
    state.fold(log[:1], {})
    assert {key.partition(b":")[0].decode() for key, _ in state.values.items()} == kinds
    assert state.counts["repeated"] == 0
    state.fold(log[1:], {})
    assert state.counts["repeated"] == 3, "the same event sent again counts for none of them"
