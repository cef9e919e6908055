"""Workers of two versions beside each other, while they are exchanged: the older waits, and nothing is passed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import orjson
import pytest
from arrivals import CORRELATIONS, wait_until_durable
from cluster import Cluster
from oracle import reader
from test_full_disk import until
from topic_reading import read_topic
from traffic import Traffic

from detectors.base import digest
from streams import topics
from streams.blocks import unpack
from streams.lineage import SCHEMA, Marks
from streams.occasions import DETECTOR
from streams.sinks.store import AlertStore
from streams.sources.catalog import by_name

pytestmark = pytest.mark.faults
LONG = os.environ.get("WARDWATCH_LONG") == "1"


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
def test_an_older_worker_beside_a_later_one_waits_to_be_upgraded(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, environment={"WARDWATCH_TROUBLE_AFTER": "600"})
    cluster.start()
    try:
        older = cluster.add_worker()
        before = emit(cluster, 300, seed=1)
        cluster.settle(seconds=60)
        cluster.add_worker("later_version")
        told = f"of schema {SCHEMA + 1}; this worker reads {SCHEMA}: upgrade it"
        until(lambda: told in older.log.read_text())
        after = emit(cluster, 600, seed=2)
        assert older.stop() == 0
        cluster.workers.remove(older)
        cluster.add_worker("later_version")
        cluster.settle(seconds=60)
        wait_until_durable(cluster.settings, cluster.ends, seconds=60, then=lambda: None)
        assert cluster.stop_workers() == [0, 0]
        pure = reader(cluster.settings)
        with patch.multiple("streams.lineage", SCHEMA=SCHEMA + 1), patch.multiple("streams.blocks", SCHEMA=SCHEMA + 1):
            events = Counter(value["id"] for value in taken(cluster, topics.EVENTS))
            found = list(taken(cluster, topics.FINDINGS))
            alerts = Counter(value["id"] for value in taken(cluster, topics.ALERTS))
            versions = {value["v"] for value in taken(cluster, topics.EVENTS)}
            letters = read_topic(cluster.settings.kafka, topics.DEAD_LETTERS)
    finally:
        cluster.stop()
    released = [
        pure.read(e.record, by_name(e.source), fallback_id=str, received=e.time + 3_600_000)
        for e in [*before.emitted, *after.emitted]
    ]
    assert versions == {SCHEMA, SCHEMA + 1}, "both have written"
    assert events == Counter(one.event.id for one in released)
    of_rules = (value for value in found if value["detector"] == "sigma" and value["rule"]["id"] not in CORRELATIONS)
    rules = Counter(value["id"] for value in of_rules)
    assert rules == Counter(finding.id for one in released for finding in one.findings)
    assert alerts == Counter({digest("alert", value["id"]) for value in found if value["detector"] != DETECTOR})
    assert not any(letters.values()), "what one cannot read yet is no bad record"
    store = AlertStore(cluster.settings.store_path, read_only=True)
    assert {alert["id"] for alert in store.alerts(limit=10_000)} == set(alerts)
    store.close()


def emit(cluster: Cluster, events: int, *, seed: int) -> Traffic:
    traffic = Traffic(cluster.kafka.bootstrap, events=events, poisons=0, seconds=1, seed=seed, span=900)
    traffic.run()
    assert not traffic.failures
    return traffic


def taken(cluster: Cluster, topic: str) -> Iterator[dict[str, object]]:
    """The values that a reader of ``topic`` takes, each once."""
    for records in read_topic(cluster.settings.kafka, topic).values():
        marks = Marks()
        for block in map(unpack, records):
            if block.lineage:
                for record in block.records[marks.accept(block.lineage, block.positions) :]:
                    yield orjson.loads(record.value)
