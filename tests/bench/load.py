"""What the benchmarks are run on: half FHIR of 2 kB, 30 % device, 20 % CloudTrail; one in a hundred is a finding."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from kafka import KafkaProducer

from streams.demo.hospital import Emission, Hospital
from streams.demo.records import iso

__all__ = ["fill", "records"]


def records(*, count: int, entities: int, begin: int, per_second: float) -> Iterator[Emission]:
    """``count`` events from ``begin`` (ms) on; staff, patients and devices are ``entities`` together, by Zipf."""
    hospital = Hospital(seed=1, staff=entities // 5, patients=entities * 7 // 10, devices=entities // 10)
    for number, emission in enumerate(itertools.islice(hospital.traffic(begin, per_second=per_second), count)):
        if not number % 100 and emission.source == "fhir":
            emission.record["purposeOfEvent"][0]["coding"][0]["code"] = "ETREAT"
        elif not number % 50 and emission.source == "device":
            emission.record.update({"event": "firmware", "action": "firmware_update", "time": iso(emission.time)})
        yield emission


def fill(bootstrap: str, emissions: Iterator[Emission], *, together: int = 1) -> dict[str, int]:
    """Send them all, ``together`` in one record, and wait for the broker; how many events went to each topic."""
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=50, batch_size=256 * 1024, acks=1, enable_idempotence=False
    )
    counts: dict[str, int] = {}
    waiting: dict[str, list[bytes]] = {}
    for emission in emissions:
        value = json.dumps(emission.record, separators=(",", ":")).encode()
        counts[emission.topic] = counts.get(emission.topic, 0) + 1
        if together == 1:
            producer.send(emission.topic, value, key=emission.key)
            continue
        values = waiting.setdefault(emission.topic, [])
        values.append(value)
        if len(values) == together:
            producer.send(emission.topic, b"[" + b",".join(values) + b"]")
            values.clear()
    for topic, values in waiting.items():
        if values:
            producer.send(topic, b"[" + b",".join(values) + b"]")
    producer.flush(300)
    producer.close()
    return counts
