"""Correlations over real Kafka while workers are killed: equal to the pure pipeline, and every attack is seen once."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

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
---
title: Override from an address that the device never had
correlation:
    type: new_term
    rules: [override]
    group-by: [device.id]
    field: source.ip
    timespan: 30d
    learning: 1s
---
title: Heartbeat
name: heartbeat
logsource: {category: device}
detection: {selection: {event.action: heartbeat}, condition: selection}
---
title: No heartbeat of a device
correlation:
    type: absence
    rules: [heartbeat]
    group-by: [device.id]
    timespan: 1m
"""
BUSY = 4  #: devices that are overridden six times each, all from one address
IDLE = 20  #: devices that are overridden once


def heartbeat(device: str, time: int) -> dict[str, Any]:
    said = {"type": "pump", "event": "lifecycle", "action": "heartbeat", "address": "192.0.2.9"}
    return device_event(id=f"{device}-{time}", time=time, device=device, **said)


def override(number: int, device: str, time: int, address: str) -> dict[str, Any]:
    said = {"type": "infusion-pump", "event": "command", "action": "limit_override", "address": address}
    return device_event(id=f"synthetic-{number}", time=time, device=device, **said)


def pass_time(cluster: Cluster, to: int, *, until: int) -> None:
    """An event of another device now and then, which says how late it is, until there are so many findings."""
    with Emitter(cluster.kafka.bootstrap, producer="tests") as emitter:
        for number in range(30):
            if sum(cluster.ends(topics.FINDINGS).values()) >= until:
                return
            emitter.emit(heartbeat("later", to + number), key="later")
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
            emitter.emit(heartbeat("silent", now), key="silent")
            for number, device in enumerate(devices):
                address = "192.0.2.7" if device.startswith("busy") else "192.0.2.8"
                emitter.emit(override(number, device, now + 100 * number, address), key=device)
                if number in (8, 20):
                    emitter.flush()
                    time.sleep(1)
                    cluster.kill_workers()
                    cluster.add_worker()
            emitter.emit(override(len(devices), "busy-0", now + 10_000, "192.0.2.66"), key="busy-0")
        pass_time(cluster, now + 110_000, until=1 + BUSY + IDLE + 2)
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
    assert titles["Override from an address that the device never had"] == 1
    assert titles["No heartbeat of a device"] == 1, "of the one that was silent while its worker was killed"
