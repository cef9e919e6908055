"""A disk that is really full: under the stores of a worker, under a whole installation with its Kafka.

What is told is one sentence each; once there is room, everything goes on by itself; and then all is there once. An
emitter's spool on a full disk is in tests/streams/test_emitter_spool.py, and a store by itself beside its other tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from arrivals import check_arrivals, check_emitted, wait_until_durable
from cluster import ROOT, STAGES, Cluster
from oracle import Judgement, judge
from receiving import Receiver, receiving
from small_disk import SmallDisk
from traffic import Traffic

from streams import topics
from streams.admin import committed
from streams.embedded.java import free_port, port_is_free
from streams.embedded.kafka import EmbeddedKafka
from streams.keys import load_keys
from streams.settings import Settings
from streams.sinks.event_store import EventStore
from streams.sinks.store import AlertStore
from streams.troubles import KINDS

pytestmark = pytest.mark.faults

LONG = os.environ.get("WARDWATCH_LONG") == "1"
EVENTS = 1200
#: What a store says, after its name.
NO_ROOM = "has no room: free some of its disk, and what waits is written by itself"

Disks = Callable[[Path, int], SmallDisk]


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time given"
        time.sleep(0.1)


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
def test_stores_on_a_full_disk_hold_alerts_back_and_nobody_else(tmp_path: Path, small_disk: Disks) -> None:
    """Receivers are told meanwhile, also by a worker that is killed and started on the full disk."""
    folder = tmp_path / "cluster"
    load_keys(folder / "data")
    disk = small_disk(folder / "disk", 16)
    load_keys(disk.seen)
    for file in (folder / "data" / "keys").iterdir():
        (disk.seen / "keys" / file.name).write_bytes(file.read_bytes())
    with receiving() as oncall:
        cluster = Cluster(
            folder,
            enter=disk.enter,
            environment={
                "WARDWATCH_PRIVATE_HOSTS": '["127.0.0.1"]',
                "WARDWATCH_TROUBLE_AFTER": "2",
                "WARDWATCH_RECEIVERS__ONCALL__URL": oncall.url,
                "WARDWATCH_RECEIVERS__ONCALL__MINIMUM_SEVERITY": "informational",
            },
        )
        cluster.start()
        there = {"WARDWATCH_DATA_DIR": str(folder / "disk")}
        try:
            worker = cluster.add_worker(environment=there)
            events = cluster.add_worker("--only", "events", environment=there)
            traffic = Traffic(cluster.kafka.bootstrap, events=EVENTS, poisons=0, seconds=4, seed=5, span=1200)
            traffic.start()
            until(
                lambda: (disk.seen / "events.sqlite").exists() and titles(oncall) and len(traffic.emitted) > EVENTS // 3
            )
            disk.fill()
            until(lambda: f"alerts.sqlite {NO_ROOM}" in worker.log.read_text())
            until(lambda: f"events.sqlite {NO_ROOM}" in events.log.read_text())
            until(lambda: KINDS["store"].title in titles(oncall))
            worker.kill()
            cluster.workers.remove(worker)
            cluster.add_worker(environment=there)
            traffic.join()
            cluster.settle(seconds=60, stages=[*STAGES[:3], [topics.NOTIFICATIONS]])
            disk.free()
            cluster.settle(seconds=60)
            wait_until_durable(cluster.settings, cluster.ends, seconds=60, then=lambda: None)
            until(lambda: behind(cluster) == 0)
            assert cluster.stop_workers() == [0, 0]
            disk.copy_out(folder / "data")
            judgement = judge(cluster.settings)
            check_arrivals(
                judgement, cluster.settings, traffic, receivers={"oncall": oncall}, elasticsearch="", fragile=False
            )
            check_events(judgement, cluster)
        finally:
            cluster.stop()
    assert judgement.wrong == []
    assert judgement.counts["emitted"] == EVENTS
    assert judgement.counts["stored"] == judgement.counts["deliveries at oncall"] > 1


def free_pair() -> int:
    """A port that is free like the one after it, which Kafka takes."""
    while not port_is_free((port := free_port()) + 1):
        pass
    return port


def titles(receiver: Receiver) -> set[str]:
    return {orjson.loads(got.body)["data"]["title"] for got in list(receiver.received)}


def check_events(judgement: Judgement, cluster: Cluster) -> None:
    """Each event lies in the events' own store, once."""
    kept = EventStore(cluster.settings.events_path, read_only=True)
    judgement.expect("events kept", kept.count(), len(judgement.events))
    kept.close()


def behind(cluster: Cluster) -> int:
    """Kafka records that the events' own worker has not taken."""
    settings = cluster.settings.model_copy(update={"application": f"{cluster.settings.application}.events"})
    done = committed(settings)
    return sum(end - done.get((topics.EVENTS, p), 0) for p, end in cluster.ends(topics.EVENTS).items())


UP = """
import sys
from pathlib import Path
from streams.commands import up
from streams.embedded import kafka
kafka.DISK_NEEDED = up.DISK_NEEDED = 16 * 1024 * 1024  # of a disk of 64
raise SystemExit(up.run(Path(sys.argv[1]), port=int(sys.argv[2]), demo=None))
"""


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
def test_an_installation_on_a_full_disk_goes_on_once_there_is_room(tmp_path: Path, small_disk: Disks) -> None:
    """Kafka and the stores on one disk: Kafka stops, and ``up`` starts it again."""
    folder, port = tmp_path / "data", free_pair()
    disk = small_disk(folder, 64)
    cluster = Cluster(tmp_path)
    cluster.kafka = EmbeddedKafka(tmp_path / "nothing", port=port + 1)
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [*disk.enter, sys.executable, "-c", UP, str(folder), str(port)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "WARDWATCH_SESSION_TIMEOUT": "3", "WARDWATCH_IDLE_AFTER": "2"},
            stdout=output,
            stderr=output,
        )
    try:
        until(lambda: "Alerts as they come" in log.read_text())
        traffic = Traffic(cluster.kafka.bootstrap, events=EVENTS, poisons=0, seconds=4, seed=6, span=1200)
        traffic.start()
        until(lambda: len(traffic.emitted) > EVENTS // 3)
        disk.fill()
        told = f"the disk under {folder} is full: Kafka stopped, and goes on once 16 MB are free; make room"
        until(lambda: told in log.read_text())
        disk.free()
        until(lambda: "there is room again: Kafka goes on" in log.read_text())
        traffic.join()
        assert not traffic.failures
        shutil.copytree(disk.seen / "keys", tmp_path / "copy" / "keys")
        cluster.settings = Settings(kafka=cluster.kafka.bootstrap, data_dir=tmp_path / "copy")
        cluster.settle(seconds=90)
        wait_until_durable(cluster.settings, cluster.ends, seconds=60, then=lambda: None)
        until(lambda: behind(cluster) == 0)
        judgement = judge(cluster.settings)
        check_emitted(judgement, cluster.settings, traffic, fragile=False)
        up.terminate()
        assert up.wait(40) == 0
    finally:
        up.kill()
        up.wait()
    disk.copy_out(tmp_path / "copy")
    store = AlertStore(cluster.settings.store_path, read_only=True)
    judgement.expect("alerts stored", {a["id"] for a in store.alerts(limit=10_000)}, set(judgement.alerts))
    store.close()
    check_events(judgement, cluster)
    assert judgement.wrong == []
    assert judgement.counts["emitted"] == EVENTS
    assert len(judgement.alerts) > 1
