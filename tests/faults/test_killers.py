"""Records that end the process that reads them: each costs three starts, and then itself alone."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from cluster import Cluster
from defects import KILLERS
from kafka import KafkaProducer
from topic_reading import read_topic

from streams import topics
from streams.blocks import unpack
from streams.commands.letters import envelopes
from streams.demo.records import device_event

pytestmark = pytest.mark.faults


def test_records_that_end_the_process_cost_themselves_alone(tmp_path: Path) -> None:
    cluster = Cluster(
        tmp_path, wrong=["killed_by_records"], environment={"WARDWATCH_STUCK_AFTER": "1.5", "WARDWATCH_PARTITIONS": "1"}
    )
    cluster.start()
    try:
        ids = [f"synthetic-{number}" for number in range(100)]
        ids[40:40] = [KILLERS[0]]
        ids[70:70] = [KILLERS[1]]
        now = int(time.time() * 1000)
        producer = KafkaProducer(bootstrap_servers=cluster.kafka.bootstrap)
        for number, name in enumerate(ids):
            record = device_event(
                id=name,
                time=now - 60_000 + number,
                device=f"pump-{number % 5}",
                type="pump",
                event="lifecycle",
                action="heartbeat",
                address="192.0.2.7",
            )
            producer.send(topics.INPUTS[1], json.dumps(record).encode())
        producer.flush()
        producer.close()
        cluster.add_worker()
        ends: Counter[int] = Counter()
        cluster.settle(seconds=120, then=lambda: ends.update(cluster.watch()))
        letters = [envelope.clear for envelope in envelopes(cluster.settings)]
        blocks = [unpack(record) for record in read_topic(cluster.settings.kafka, topics.EVENTS)[0]]
        events = Counter(
            json.loads(record.value)["id"] for block in blocks if block.lineage for record in block.records
        )
    finally:
        cluster.stop()
    assert ends == {-9: 3, 1: 3}, "killed three times by each: by the kernel, and by itself when nothing moved"
    assert sorted(letter["stage"] for letter in letters) == ["behave", "ingest"]
    assert all("ended each time it read this record" in letter["reason"] for letter in letters)
    assert set(events) == {name for name in ids if name != KILLERS[1]}
