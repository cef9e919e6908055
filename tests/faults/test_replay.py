"""What a defect made dead letters counts once after the fix: refused, mended, sent again by the command, and again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from arrivals import check_emitted
from cluster import ROOT, Cluster
from defects import REFUSED, fails_on, refuses
from kafka import KafkaProducer
from oracle import Judgement, judge
from traffic import Traffic

from detectors.base import digest
from streams import topics
from streams.demo.records import device_event

pytestmark = pytest.mark.faults

NAMELESS = 12


def command(cluster: Cluster, *arguments: str) -> str:
    """Run ``wardwatch dead-letters`` as a shell does; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "dead-letters", *arguments],
        env={**os.environ, **cluster.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def emit_nameless(cluster: Cluster, time: int) -> None:
    """Device events without an id: what identifies them is where they lie."""
    producer = KafkaProducer(bootstrap_servers=cluster.kafka.bootstrap, acks="all")
    for number in range(NAMELESS):
        record = device_event(
            id="",
            time=time + number,
            device=f"infusion-pump-{number:04}",
            type="infusion-pump",
            event="command",
            action="limit_override",
            address="192.0.2.7",
        )
        del record["id"]
        producer.send("audit.iot", json.dumps(record).encode())
    producer.flush()
    producer.close()


def refused_positions(cluster: Cluster) -> set[str]:
    listed = [json.loads(line) for line in command(cluster, "list", "--json").splitlines()]
    return {letter["position"] for letter in listed if letter["reason"] == REFUSED}


def judged(cluster: Cluster, traffic: Traffic, refused: set[str], *, replays: int) -> Judgement:
    """Everything once more, with each refused record emitted once and sent again ``replays`` times."""
    cluster.settle(seconds=60)
    for worker in cluster.workers:
        assert worker.stop() == 0
    cluster.workers.clear()
    judgement = judge(
        cluster.settings,
        fragile=True,
        refused=lambda raw: f"{raw.topic}/{raw.partition}/{raw.offset}{f'.{raw.line}' if raw.line else ''}" in refused,
    )
    nameless = {digest(*position.split("/")) for position in refused if position.startswith("audit.iot")}
    assert len(nameless) == NAMELESS
    for event_id in nameless:
        assert judgement.events.pop(event_id) == replays, "it has the id that it had where it lay first"
    # Findings are about the event, so they have its id too.
    for raw in list(judgement.findings):
        if json.loads(raw)["event_ids"][0] in nameless:
            assert judgement.findings.pop(raw) == replays
            del judgement.alerts[digest("alert", json.loads(raw)["id"])]
    judgement.counted -= sum(not fails_on(event_id) for event_id in nameless)
    check_emitted(judgement, cluster.settings, traffic)
    return judgement


def test_what_a_defect_refused_counts_once_after_the_fix(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, wrong=("fragile_detector", "defective_sources"))
    cluster.start()
    try:
        traffic = Traffic(cluster.kafka.bootstrap, events=2000, poisons=0, seconds=5, seed=11, span=1800)
        cluster.add_worker()
        traffic.start()
        traffic.join()
        emit_nameless(cluster, traffic.emitted[-1].time)
        cluster.settle(seconds=60)
        assert [worker.stop() for worker in cluster.workers] == [0]
        cluster.workers.clear()
        refused = refused_positions(cluster)
        good = [emission for emission in traffic.emitted if refuses(emission.record)]
        assert len(refused) == len(good) + NAMELESS
        assert any("." in position.rpartition("/")[2] for position in refused), "none lay in an array"

        cluster.wrong = ("fragile_detector",)
        cluster.add_worker()
        assert command(cluster, "replay", *sorted(refused)) == f"{len(refused)} records sent again\n"
        once = judged(cluster, traffic, refused, replays=1)
        assert once.wrong == []
        assert once.late == 0
        assert once.counts[topics.DEAD_LETTERS] == len(refused) + sum(once.bad.values())

        traffic.emitted += good
        cluster.add_worker()
        command(cluster, "replay", *sorted(refused))
        twice = judged(cluster, traffic, refused, replays=2)
        assert twice.wrong == []
        assert twice.alerts == once.alerts
        assert twice.counted == once.counted
        assert Counter(twice.findings.keys()) == Counter(once.findings.keys())
    finally:
        cluster.stop()
