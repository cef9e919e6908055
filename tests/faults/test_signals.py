"""What an operator may send a worker by mistake: it tells where it is, in no values, and goes on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from cluster import Cluster
from kafka import KafkaProducer

from streams.demo.records import audit_event

pytestmark = pytest.mark.faults


def test_a_worker_goes_on_and_says_nothing_of_patients(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.start()
    try:
        worker = cluster.add_worker()
        producer = KafkaProducer(bootstrap_servers=cluster.kafka.bootstrap)
        for number in range(40):
            record = audit_event(
                id=f"synthetic-{number}",
                time=int(time.time() * 1000),
                interaction="read",
                staff="synthetic-p1",
                address="192.0.2.7",
                patient="synthetic-000001",
            )
            producer.send("audit.ehr", json.dumps(record).encode())
            if number == 20:
                producer.flush()
                cluster.settle(seconds=60)  # it runs by now, and holds records
                for sent in (signal.SIGUSR1, signal.SIGUSR2):
                    worker.process.send_signal(sent)
        producer.close()
        cluster.settle(seconds=60)
        assert worker.stop() == 0
    finally:
        cluster.stop()
    told = worker.log.read_text()
    assert "most recent call first" in told
    assert "SIGUSR2 means nothing here" in told
    assert "synthetic-000001" not in told
