"""The emitter, one event at a time and many, against bare kafka-python that sends the same bytes.

    python tests/bench/bench_emitter.py [--events 100000] [--rounds 3]

One thread emits device events of 400 bytes to four partitions on real Kafka; the producer's own thread is counted in.
Prints one JSON line: medians of interleaved rounds, ratios, and what ``emit()`` costs above kafka-python's ``send()``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from kafka import KafkaAdminClient, KafkaProducer  # noqa: E402
from kafka.admin import NewTopic  # noqa: E402

from streams.embedded.kafka import EmbeddedKafka  # noqa: E402
from streams.emitter import Emitter  # noqa: E402

TOPIC = "audit.iot"
PARTITIONS = 4
EVENT = {
    "schema": "wardwatch.device/1",
    "id": "5f0c1a52-7a3e-4a0e-9d5c-0a8f2f6b1c77",
    "time": "2026-03-01T08:00:00.000Z",
    "device": {"id": "pump-12", "type": "infusion-pump"},
    "event": "telemetry",
    "action": "measurement",
    "outcome": "success",
    "patient": "Patient/synthetic-123",
    "measurements": [{"name": "8867-4", "value": 72.5, "unit": "/min"}] * 3,
}
VALUE = json.dumps(EVENT, separators=(",", ":")).encode()
HEADERS = [("event-id", EVENT["id"].encode()), ("source", b"device"), ("producer", b"bench")]  # type: ignore[attr-defined]


def measure(count: int, send: Callable[[], Any], flush: Callable[[], Any]) -> dict[str, float]:
    """Until all of it is acknowledged: events per second, and microseconds of CPU for each."""
    send()
    flush()
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        send()
    flush()
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"events_per_second": count / elapsed, "cpu_us_per_event": cpu / count * 1e6}


def bare(kafka: str, count: int, settings: dict[str, Any]) -> dict[str, float]:
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all", **settings)
    found = measure(count, lambda: producer.send(TOPIC, VALUE, headers=HEADERS), producer.flush)
    producer.close()
    return found


def emitting(kafka: str, count: int) -> dict[str, float]:
    with Emitter(kafka, producer="bench") as emitter:
        return measure(count, lambda: emitter.emit(EVENT), emitter.flush)


def emitting_many(kafka: str, count: int) -> dict[str, float]:
    together = 500
    with Emitter(kafka, producer="bench") as emitter:
        events = [EVENT] * together
        found = measure(count // together, lambda: emitter.emit_many(events), emitter.flush)
    return {
        "events_per_second": found["events_per_second"] * together,
        "cpu_us_per_event": found["cpu_us_per_event"] / together,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broker = EmbeddedKafka(Path(folder), port=0)
        broker.start()
        try:
            admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
            admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
            admin.close()
            with Emitter(broker.bootstrap, producer="bench") as emitter:
                config = emitter._outbox.open().config
            same = {name: config[name] for name in ("linger_ms", "batch_size", "max_request_size")}
            runs: dict[str, list[dict[str, float]]] = {
                "emit_many": [],
                "emitter": [],
                "kafka_python": [],
                "kafka_python_defaults": [],
            }
            for _ in range(arguments.rounds):
                runs["emit_many"].append(emitting_many(broker.bootstrap, arguments.events))
                runs["emitter"].append(emitting(broker.bootstrap, arguments.events))
                runs["kafka_python"].append(bare(broker.bootstrap, arguments.events, same))
                runs["kafka_python_defaults"].append(bare(broker.bootstrap, arguments.events, {}))
        finally:
            broker.stop()
    found: dict[str, Any] = {
        name: {key: round(statistics.median(run[key] for run in rounds), 1) for key in rounds[0]}
        for name, rounds in runs.items()
    }
    ours, theirs = found["emitter"], found["kafka_python"]
    found["ratio"] = round(ours["events_per_second"] / theirs["events_per_second"], 2)
    found["many_ratio"] = round(found["emit_many"]["events_per_second"] / theirs["events_per_second"], 2)
    found["cpu_ratio"] = round(theirs["cpu_us_per_event"] / ours["cpu_us_per_event"], 2)
    found["own_cpu_us"] = round(ours["cpu_us_per_event"] - theirs["cpu_us_per_event"], 1)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
