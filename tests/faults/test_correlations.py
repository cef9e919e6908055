"""Correlations over real Kafka while workers are killed: equal to the pure pipeline, and every attack is seen once."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from cluster import Cluster
from oracle import judge

from streams import topics
from streams.demo.records import device_event
from streams.emitter import Emitter

pytestmark = pytest.mark.faults

RULES = """\
title: Override of a limit
id: synthetic-override
name: override
logsource: {category: device}
detection: {selection: {event.action: limit_override}, condition: selection}
level: low
---
title: Many overrides of one device
name: many
correlation:
    type: event_count
    rules: [override]
    group-by: [device.id]
    timespan: 1m
    condition: {gte: 5}
---
title: Overrides of many devices from one address
correlation:
    type: value_count
    rules: [many]
    group-by: [source.ip]
    timespan: 10m
    condition: {field: device.id, gte: 3}
level: high
---
title: Few overrides
correlation:
    type: event_count
    rules: [override]
    group-by: [device.id]
    timespan: 1m
    condition: {lte: 2}
level: low
"""
BUSY = 4  #: devices that are overridden six times each, all from one address
IDLE = 20  #: devices that are overridden once


def pass_time(cluster: Cluster, to: int, *, until: int) -> None:
    """An event of another device now and then, which says how late it is, until there are so many findings."""
    with Emitter(cluster.kafka.bootstrap, producer="tests") as emitter:
        for number in range(30):
            if sum(cluster.ends(topics.FINDINGS).values()) >= until:
                return
            beat = {"type": "pump", "event": "lifecycle", "action": "heartbeat", "address": "192.0.2.9"}
            emitter.emit(device_event(id=f"later-{number}", time=to + number, device="later", **beat), key="later")
            emitter.flush()
            time.sleep(0.5)


def test_kills_change_nothing_that_correlations_find(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    cluster = Cluster(
        tmp_path / "run", environment={"WARDWATCH_RULES": json.dumps([str(path)]), "WARDWATCH_SESSION_TIMEOUT": "1.5"}
    )
    cluster.start()
    try:
        cluster.add_worker()
        now = int(time.time() * 1000) // 60_000 * 60_000 - 120_000
        devices = [f"busy-{n}" for n in range(BUSY)] * 6 + [f"idle-{n}" for n in range(IDLE)]
        with Emitter(cluster.kafka.bootstrap, producer="tests") as emitter:
            for number, device in enumerate(devices):
                record = device_event(
                    id=f"synthetic-{number}",
                    time=now + 100 * number,
                    device=device,
                    type="infusion-pump",
                    event="command",
                    action="limit_override",
                    address="192.0.2.7" if device.startswith("busy") else "192.0.2.8",
                )
                emitter.emit(record, key=device)
                if number in (8, 20):
                    emitter.flush()
                    time.sleep(1)
                    cluster.kill_workers()
                    cluster.add_worker()
        pass_time(cluster, now + 110_000, until=1 + BUSY + IDLE)
        cluster.settle(seconds=60)
        assert [worker.stop() for worker in cluster.workers] == [0]
        cluster.workers.clear()
        judgement = judge(cluster.settings)
    finally:
        cluster.stop()
    assert judgement.wrong == []
    titles = Counter(json.loads(value)["title"] for value in judgement.findings.elements())
    assert titles["Override of a limit"] == titles["Many overrides of one device"] == 0, "they are asked for by others"
    assert titles["Overrides of many devices from one address"] == 1
    assert titles["Few overrides"] == BUSY + IDLE, "the first two of a busy device are few as well"
