"""A log that is not what it was: a topic deleted and made again, records gone before they were taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from topic_reading import read_topic
from traffic import Traffic

from streams import topics
from streams.admin import create_topics, topic_ids
from streams.blocks import unpack
from streams.sinks.store import AlertStore
from streams.troubles import KINDS

pytestmark = pytest.mark.faults


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, environment={"WARDWATCH_TOPIC_CHECK_INTERVAL": "2"})
    made.start()
    try:
        yield made
    finally:
        made.stop()


def emit(cluster: Cluster, seed: int) -> Traffic:
    """A few hundred events, with others for each seed."""
    traffic = Traffic(cluster.kafka.bootstrap, events=400, seconds=1, poisons=0, seed=seed, span=600)
    traffic.run()
    assert not traffic.failures
    return traffic


def until(condition: Callable[[], Any], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time given"
        time.sleep(0.2)


def delete(cluster: Cluster, topic: str) -> None:
    """Delete a topic; returns when it is gone."""
    admin = KafkaAdminClient(bootstrap_servers=cluster.kafka.bootstrap)
    try:
        admin.delete_topics([topic])
        until(lambda: topic not in admin.list_topics())
    finally:
        admin.close()


def stop(cluster: Cluster) -> None:
    assert set(cluster.stop_workers()) == {0}


def test_a_step_whose_topic_was_made_again_stops_alone_and_says_what_to_do(cluster: Cluster) -> None:
    cluster.add_worker()
    emit(cluster, 1)
    cluster.settle(seconds=60)
    stop(cluster)
    delete(cluster, topics.EVENTS)
    create_topics(cluster.settings)
    worker = cluster.add_worker()
    emit(cluster, 2)
    sentence = (
        "the topic was deleted and made again since the state of behave was written: delete the topic of that state as "
        "well (behave.events.state), run wardwatch setup and start the workers again"
    )
    until(lambda: worker.log.read_text().count(sentence) >= cluster.settings.partitions)
    cluster.settle(seconds=60, stages=[topics.INPUTS, [topics.VIEWS]])
    assert not any(cluster.commits().get((topics.EVENTS, p)) for p in range(cluster.settings.partitions))
    stop(cluster)

    delete(cluster, topics.state_of(topics.EVENTS, "behave"))
    create_topics(cluster.settings)
    worker = cluster.add_worker()
    cluster.settle(seconds=60)
    assert "stopped" not in worker.log.read_text()


def test_ingest_whose_topic_was_made_again_stops_until_it_is_started_anew(cluster: Cluster) -> None:
    worker = cluster.add_worker()
    emit(cluster, 1)
    cluster.settle(seconds=60)
    delete(cluster, "audit.iot")
    create_topics(cluster.settings)
    traffic = emit(cluster, 2)
    sent = sum(emission.topic == "audit.iot" for emission in traffic.emitted)
    sentence = "the topic was deleted and made again while this worker ran: start the workers again"
    until(lambda: sentence in worker.log.read_text())
    new = topic_ids(cluster.settings)["audit.iot"]
    assert derived_from(cluster, new) == 0, "under its old name a reader would take it for a repeat"
    stop(cluster)
    cluster.add_worker()
    cluster.settle(seconds=60)
    assert derived_from(cluster, new) == sent


def derived_from(cluster: Cluster, topic_id: bytes) -> int:
    """How many records of ``events`` come from a topic."""
    blocks = [
        unpack(record) for records in read_topic(cluster.settings.kafka, topics.EVENTS).values() for record in records
    ]
    return sum(len(block.records) for block in blocks if block.lineage and block.lineage.topic == topic_id)


def test_records_gone_before_they_were_taken_are_told_with_their_number(cluster: Cluster) -> None:
    """Of an input, where all there is is the group's commit, and of a step that has a position of its own."""
    cluster.add_worker()
    emit(cluster, 1)
    cluster.settle(seconds=60)
    stop(cluster)
    taken = {topic: cluster.ends(topic)[0] for topic in ("audit.ehr", topics.EVENTS)}
    producer = KafkaProducer(bootstrap_servers=cluster.kafka.bootstrap, acks="all")
    for topic in taken:
        for _ in range(40):
            producer.send(topic, b"{}", partition=0)
    producer.flush()
    producer.close()
    admin = KafkaAdminClient(bootstrap_servers=cluster.kafka.bootstrap)
    gone = {"audit.ehr": 25, topics.EVENTS: 30}
    admin.delete_records({TopicPartition(topic, 0): taken[topic] + count for topic, count in gone.items()})
    admin.close()
    worker = cluster.add_worker()
    cluster.settle(seconds=60)
    said = worker.log.read_text()
    for step, topic in (("ingest", "audit.ehr"), ("behave", topics.EVENTS)):
        first, lost = taken[topic], gone[topic]
        line = (
            f"{step}: {lost} records from offset {first} of {topic}[0] on were deleted before they could be processed"
        )
        assert said.count(line) == 1
    until(lambda: 55 in facts(cluster, "lost"))
    until(lambda: told(cluster, KINDS["lost"].title) == 2)


def told(cluster: Cluster, title: str) -> int:
    """How many alerts of that title the page shows."""
    store = AlertStore(cluster.settings.store_path, read_only=True)
    try:
        return sum(alert["title"] == title for alert in store.alerts(limit=10_000))
    finally:
        store.close()


def facts(cluster: Cluster, name: str) -> list[Any]:
    """What workers last said of themselves."""
    store = AlertStore(cluster.settings.store_path, read_only=True)
    try:
        return [fact.get(name) for key, fact in store.facts().items() if key.startswith("worker.")]
    finally:
        store.close()
