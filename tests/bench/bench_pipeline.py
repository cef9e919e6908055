"""The whole pipeline against stock Faust's empty agent, on the same topics in the same run.

    python tests/bench/bench_pipeline.py [--events 100000] [--together 1] [--profile FILE]

Prints one JSON line: CPU of the worker per source event (broker and stores apart), events per second of both, views per
event, memory. ``FILE`` gets a profile of the worker: where its time goes. With more events in one record than one,
stock Faust is left out: its empty agent would see fewer records.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")]

from cluster import Cluster  # noqa: E402
from cpu import cpu_seconds, resident_mb  # noqa: E402
from load import fill, records  # noqa: E402
from meter import read_meter  # noqa: E402
from topic_reading import read_topic  # noqa: E402

from streams import topics  # noqa: E402
from streams.blocks import unpack  # noqa: E402
from streams.sinks.store import AlertStore  # noqa: E402


def stock(cluster: Cluster, events: int) -> dict[str, float]:
    """Stock Faust with its best settings, an agent that does nothing."""
    result = subprocess.run(
        [sys.executable, str(HERE / "stock_faust.py"), cluster.kafka.bootstrap, str(events), *topics.INPUTS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    measured = read_meter(result.stdout)
    return {name: measured[name] for name in ("events_per_second", "cpu_us_per_event")}


@contextmanager
def worker(cluster: Cluster, profile: str = "") -> Iterator[int]:
    """A worker's process id, while it runs."""
    command = [sys.executable, str(HERE / "profiled_worker.py"), profile]
    if not profile:
        command = [sys.executable, "-m", "streams.worker"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT), **cluster.environment})
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def idle_memory(cluster: Cluster) -> float:
    """MB of a worker that has its partitions and nothing to do."""
    with worker(cluster) as pid:
        store = AlertStore(cluster.settings.store_path)
        while not any(fact.get("partitions") for fact in store.facts().values()):
            time.sleep(0.1)
        store.close()
        time.sleep(3)
        return resident_mb(pid)


def pipeline(cluster: Cluster, events: int, profile: str, *, together: int) -> dict[str, float]:
    peak = 0.0
    with worker(cluster, profile) as pid:
        while sum(cluster.commits().values()) == 0:
            time.sleep(0.05)
        begin, cpu = time.perf_counter(), cpu_seconds(pid)
        taken = sum(offset for (topic, _), offset in cluster.commits().items() if topic in topics.INPUTS)

        def watch() -> None:
            nonlocal peak
            peak = max(peak, resident_mb(pid))

        cluster.settle(seconds=1800, then=watch)
        seconds, used = time.perf_counter() - begin, cpu_seconds(pid) - cpu
        time.sleep(5)
        after = resident_mb(pid)
    left = events - taken * together
    return {
        "events": left,
        "events_per_second": left / seconds,
        "cpu_us_per_event": used / left * 1e6,
        "memory_mb_peak": peak,
        "memory_mb_after": after,
        "views_per_event": count_views(cluster) / events,
        "findings_per_event": sum(cluster.ends(topics.FINDINGS).values()) / events,
    }


def count_views(cluster: Cluster) -> int:
    """Views lie in blocks; watermarks between them are none."""
    logs = read_topic(cluster.settings.kafka, topics.VIEWS).values()
    return sum(len(unpack(record).records) for log in logs for record in log)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--together", type=int, default=1, help="events in one record, as emit_many sends them")
    parser.add_argument("--profile", default="")
    parser.add_argument("--skip-stock", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        cluster = Cluster(Path(folder))
        cluster.start()
        try:
            idle = idle_memory(cluster)
            span = arguments.events / 200
            begin = int((time.time() - span) * 1000)
            fill(
                cluster.kafka.bootstrap,
                records(count=arguments.events, entities=arguments.entities, begin=begin, per_second=200),
                together=arguments.together,
            )
            found = pipeline(cluster, arguments.events, arguments.profile, together=arguments.together)
            result = {"pipeline": {**found, "memory_mb_idle": idle}}
            if arguments.together == 1 and not arguments.skip_stock:
                result["stock_faust_empty_agent"] = stock(cluster, arguments.events)
                result["ratio"] = {
                    "events_per_second": result["pipeline"]["events_per_second"]
                    / result["stock_faust_empty_agent"]["events_per_second"]
                }
            print(json.dumps({k: {n: round(v, 2) for n, v in r.items()} for k, r in result.items()}))
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
