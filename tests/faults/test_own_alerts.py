"""The pipeline's own trouble reaches the pager: once, from two workers, and without Kafka; and so does its end.

That their deaths change nothing of it is seen in test_faults.py, where workers die of everything.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from cluster import Cluster, EventsWorker
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from receiving import Receiver, receiving
from topic_reading import read_topic

from streams import topics
from streams.admin import committed, connect
from streams.codecs import decode_alert
from streams.demo.records import audit_event
from streams.emitter import Emitter
from streams.installation import Installation
from streams.occasions import ENOUGH, SUBJECT, looking
from streams.records import OWN
from streams.sinks.store import AlertStore
from streams.troubles import KINDS

pytestmark = pytest.mark.faults

LETTERS, STORE, KAFKA = (KINDS[kind].title for kind in ("dead_letters", "store", "kafka"))
VAULT, ROTATION, UNKEPT = (KINDS[kind].title for kind in ("vault", "rotation", "unkept"))


def test_the_pager_is_told_once_of_each_trouble(tmp_path: Path) -> None:
    with receiving() as pager, receiving() as heart:
        cluster = Cluster(
            tmp_path,
            environment={
                "WARDWATCH_PRIVATE_HOSTS": '["127.0.0.1"]',
                "WARDWATCH_RECEIVERS__ONCALL__URL": pager.url,
                "WARDWATCH_HEARTBEAT_URL": heart.url,
                "WARDWATCH_ELASTICSEARCH": "http://127.0.0.1:9",
                "WARDWATCH_TROUBLE_AFTER": "2",
                "WARDWATCH_TOPIC_CHECK_INTERVAL": "1",
                "WARDWATCH_DEAD_LETTER_LIMIT": "20",
            },
        )
        cluster.start()
        try:
            for _ in range(2):
                cluster.add_worker()
            keeper = EventsWorker(cluster)
            send_garbage(cluster, 400)
            until(lambda: {LETTERS, STORE} <= set(paged(pager)))
            until(lambda: len(heart.received) >= 2)  # each worker's when it starts; all is well then
            assert not {VAULT, ROTATION, UNKEPT} & set(paged(pager))

            installation = Installation(cluster.settings)
            installation.write(epoch={"key": "deadbeef", "notice": 3_600_000, "overlap": 0})
            shut_vault(cluster)
            send_access(cluster)
            until(lambda: committed(cluster.settings.of_events))  # it has kept some
            keeper.process.kill()
            keeper.process.wait()
            until(lambda: {VAULT, ROTATION, UNKEPT} <= set(paged(pager)))
            shut_vault(cluster, open_again=True)
            until(lambda: records(cluster, topics.VAULT))

            cluster.kafka.kill()
            until(lambda: KAFKA in paged(pager))
            cluster.kafka.start()
            until(lambda: KAFKA in [alert.title for alert in alerts(cluster)])
            # A busy machine may have had a step stuck for as long: that is one trouble as well.
            told = Counter((alert.title, alert.findings[0].evidence[SUBJECT]) for alert in alerts(cluster))
            assert {title for title, _ in told} >= {LETTERS, STORE, KAFKA, VAULT, ROTATION, UNKEPT}
            assert set(told.values()) == {1}, told
            # Others may wait behind one of these, which Elasticsearch does not take.
            first = {alert.id for alert in alerts(cluster) if alert.title in (LETTERS, STORE, KAFKA)}
            until(lambda: first <= shown(cluster))
            until(lambda: {alert.id for alert in alerts(cluster)} <= set().union(*paged(pager).values()))
            assert [len(paged(pager)[title]) for title in (LETTERS, STORE, VAULT, ROTATION, UNKEPT)] == [1] * 5
            assert len(paged(pager)[KAFKA]) <= 2, "two, where a ten-minute mark lies between two workers' words"

            until(lambda: look(cluster) or paged(pager)[KAFKA] <= ended(pager))
        finally:
            cluster.stop()


def send_garbage(cluster: Cluster, count: int) -> None:
    producer = KafkaProducer(bootstrap_servers=cluster.kafka.bootstrap, acks="all")
    for number in range(count):
        producer.send("audit.ehr", b"{", partition=number % cluster.settings.partitions)
    producer.flush()
    producer.close()


def send_access(cluster: Cluster) -> None:
    """Of a patient whom ingest has not seen."""
    with Emitter(cluster.kafka.bootstrap, producer="tests") as emitter:
        emitter.emit(
            audit_event(
                id="read-1",
                time=int(time.time() * 1000),
                interaction="read",
                staff="synthetic-p1",
                address="192.0.2.7",
                patient="synthetic-000001",
            )
        )


def shut_vault(cluster: Cluster, *, open_again: bool = False) -> None:
    """Let the brokers take no entry of the vault: none is so small."""
    admin = connect(cluster.settings)
    (vault,) = (topic for topic in topics.ALL if topic.name == topics.VAULT)
    config = vault.config() if open_again else {**vault.config(), "max.message.bytes": "64"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, vault.name, config)])
    admin.close()


def paged(pager: Receiver) -> dict[str, set[str]]:
    """Ids of the alerts that the pager was sent, by title."""
    found: dict[str, set[str]] = {}
    for got in list(pager.received):
        alert = orjson.loads(got.body)["data"]
        found.setdefault(alert["title"], set()).add(alert["id"])
    return found


def look(cluster: Cluster) -> None:
    """Say in a moment what a worker that looks says in ten minutes and one."""
    producer = KafkaProducer(bootstrap_servers=cluster.kafka.bootstrap, acks="all")
    for _ in range(ENOUGH + 1):
        for partition in range(cluster.settings.partitions):
            producer.send(topics.FINDINGS, looking("synthetic"), partition=partition, headers=[(OWN, b"")])
    producer.flush()
    producer.close()


def ended(pager: Receiver) -> set[str]:
    """Ids of the alerts that the pager was told are over."""
    told = [orjson.loads(got.body) for got in list(pager.received)]
    return {message["data"]["id"] for message in told if message["type"] == "alert.resolved"}


def alerts(cluster: Cluster) -> list[Any]:
    """Those in the topic; one that a killed worker wrote may lie there twice, and is taken once."""
    made = [decode_alert(record.value) for record in records(cluster, topics.ALERTS)]
    return list({alert.id: alert for alert in made}.values())


def records(cluster: Cluster, topic: str) -> list[Any]:
    return [record for several in read_topic(cluster.settings.kafka, topic).values() for record in several]


def shown(cluster: Cluster) -> set[str]:
    """Ids of the alerts on the page, which the embedded store has while Elasticsearch is away."""
    store = AlertStore(cluster.settings.store_path, read_only=True)
    try:
        return {alert["id"] for alert in store.alerts()}
    finally:
        store.close()


def until(condition: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time given"
        time.sleep(0.2)
