"""A worker whose broker goes away ends when told to, within seconds, and goes on by itself when the broker is back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Worker
from oracle import judge

from streams import topics
from streams.demo.hospital import Hospital
from streams.emitter import Emitter

LONG = os.environ.get("WARDWATCH_LONG") == "1"

pytestmark = pytest.mark.faults


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path)
    started.start()
    yield started
    for worker in started.workers:
        worker.kill()
    started.kafka.stop()


def emit(cluster: Cluster, count: int, *, seed: int) -> None:
    hospital = Hospital(seed=seed, staff=60, patients=300, devices=40)
    with Emitter(cluster.kafka.bootstrap, producer="tests") as emitter:
        for _, emission in zip(range(count), hospital.traffic(int(time.time() * 1000), per_second=50), strict=False):
            emitter.emit(emission.record, source=emission.source, key=emission.key.decode())


def ended(worker: Worker, *, seconds: float) -> int:
    """The exit code of a worker that was told to end."""
    return worker.process.wait(seconds)


def test_told_to_end_under_load_it_ends_at_once_and_nothing_counts_twice(cluster: Cluster) -> None:
    worker = cluster.add_worker()
    emit(cluster, 4000, seed=1)
    cluster.settle(seconds=60)
    emit(cluster, 4000, seed=2)  # it has work in hand when it is told
    worker.process.terminate()
    worker.process.terminate()
    assert ended(worker, seconds=12) == 0
    assert "Traceback" not in worker.log.read_text()
    cluster.workers.clear()
    cluster.add_worker()
    cluster.settle(seconds=60)
    cluster.stop_workers()
    assert judge(cluster.settings).wrong == []


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_told_to_end_without_a_broker_it_ends(cluster: Cluster, how: str) -> None:
    worker = cluster.add_worker()
    emit(cluster, 500, seed=1)
    cluster.settle(seconds=60)
    pid = cluster.kafka.pid
    if how == "killed":
        cluster.kafka.kill()
    else:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(3)
        worker.process.terminate()
        assert ended(worker, seconds=25) == 0
    finally:
        if how == "frozen":
            os.kill(pid, signal.SIGCONT)
    assert "KeyError" not in worker.log.read_text()
    cluster.workers.clear()


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
def test_a_broker_that_was_away_for_longer_than_any_timeout_is_found_again(cluster: Cluster) -> None:
    worker = cluster.add_worker()
    emit(cluster, 500, seed=1)
    cluster.settle(seconds=60)
    before = cluster.ends(topics.EVENTS)
    cluster.kafka.kill()
    time.sleep(100)
    assert not worker.ended()
    cluster.kafka.start()
    emit(cluster, 500, seed=2)
    cluster.settle(seconds=60)
    assert not worker.ended()
    assert sum(cluster.ends(topics.EVENTS).values()) > sum(before.values())
    assert cluster.stop_workers() == [0]
    assert judge(cluster.settings).wrong == []
