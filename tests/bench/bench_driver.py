"""Faust with the batch driver, stock Faust and bytewax on one topic.

JSON of 533 bytes in 6 partitions; each record is parsed and checked, one in a hundred is sent on.

    python tests/bench/bench_driver.py [--events 300000] [--rounds 3] [--bytewax PYTHON]

Prints one JSON line: medians of interleaved rounds, and ratios. ``PYTHON``: an interpreter that has bytewax and orjson;
without it an environment with bytewax 0.21.1 is made for the run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT)]

from kafka import KafkaAdminClient, KafkaProducer  # noqa: E402
from kafka.admin import NewTopic  # noqa: E402
from meter import read_meter  # noqa: E402

from streams.embedded.kafka import EmbeddedKafka  # noqa: E402

PARTITIONS = 6
#: Stock Faust is so slow that a tenth of the events measures it as well.
SHARE = {"stock_faust": 0.1, "tuned_faust": 0.1, "driver": 1.0, "bytewax": 1.0}


def records(count: int) -> Iterator[bytes]:
    for number in range(count):
        record = {
            "@timestamp": f"2026-03-01T10:{number // 60 % 60:02}:{number % 60:02}.000Z",
            "event": {"id": f"synthetic-{number:09}", "action": "READ" if number % 100 else "EXPORT", "kind": "event"},
            "user": {"id": f"synthetic-p{number % 5000:05}", "roles": ["nurse"]},
            "patient": {"id": f"synthetic-{number % 70000:06}"},
            "source": {"ip": f"10.20.{number % 250}.{number % 199}"},
        }
        text = json.dumps(record, separators=(",", ":"))
        yield (text[:-1] + f',"message":"{"x" * (533 - len(text) - 13)}"' + "}").encode()


def fill(bootstrap: str, events: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic("work", PARTITIONS, 1), NewTopic("alerts", PARTITIONS, 1)])
    admin.close()
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=50, batch_size=256 * 1024, acks=1, enable_idempotence=False
    )
    for number, value in enumerate(records(events)):
        producer.send("work", value, partition=number % PARTITIONS)
    producer.flush(300)
    producer.close()


def measure(app: str, bootstrap: str, events: int, bytewax: str) -> dict[str, float]:
    count = int(events * SHARE[app])
    command = [sys.executable, "app_faust.py", {"stock_faust": "stock", "tuned_faust": "tuned"}.get(app, app)]
    command += [bootstrap, str(count)]
    if app == "bytewax":
        command = [bytewax, "-m", "bytewax.run", "app_bytewax"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), str(ROOT)))}
    environment |= {"BOOTSTRAP": bootstrap, "EVENTS": str(count)}
    result = subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    if measured := read_meter(result.stdout):
        return measured
    raise SystemExit(f"{app} measured nothing: {result.stderr[-2000:]}")


def with_bytewax(folder: Path) -> str:
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "bytewax==0.21.1", "orjson", "confluent-kafka"], check=True)
    return str(python)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bytewax", default="")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bytewax = arguments.bytewax or with_bytewax(Path(folder) / "bytewax")
        broker = EmbeddedKafka(Path(folder) / "kafka", port=0, heap="512m")
        broker.start()
        try:
            fill(broker.bootstrap, arguments.events)
            rounds: dict[str, list[dict[str, float]]] = {app: [] for app in SHARE}
            for _ in range(arguments.rounds):
                for app, measured in rounds.items():
                    measured.append(measure(app, broker.bootstrap, arguments.events, bytewax))
        finally:
            broker.stop()
    medians = {
        app: {name: statistics.median(one[name] for one in measured) for name in measured[0]}
        for app, measured in rounds.items()
    }
    speed = {app: found["events_per_second"] for app, found in medians.items()}
    result = {**medians, "ratio": {app: speed["driver"] / rate for app, rate in speed.items() if app != "driver"}}
    print(json.dumps({k: {n: round(v, 2) for n, v in r.items()} for k, r in result.items()}))


if __name__ == "__main__":
    main()
