"""How long the partitions of a worker that was killed stand still, with a hundred thousand keys to take over.

    python tests/bench/bench_takeover.py [--keys 100000]

Two workers; one is killed with SIGKILL while events go on. Prints one JSON line, in seconds from the kill: until every
partition of events and views is taken again, and until every partition of alerts has an alert of an event that was
emitted after it. The session timeout is the product's own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")]

from cluster import Cluster  # noqa: E402
from kafka import KafkaProducer  # noqa: E402
from load import fill  # noqa: E402
from topic_reading import read_topic  # noqa: E402

from streams import topics  # noqa: E402
from streams.codecs import decode_alert  # noqa: E402
from streams.demo.hospital import Emission  # noqa: E402
from streams.demo.records import audit_event  # noqa: E402
from streams.settings import Settings  # noqa: E402

SESSION_TIMEOUT = Settings.model_fields["session_timeout"].default


def access(number: int, time_: int, *, keys: int, purpose: str = "TREAT") -> Emission:
    """Reads of as many patients as there are keys, by a hundredth as many staff."""
    staff = f"synthetic-p{number % (keys // 100):05}"
    record = audit_event(
        id=f"{purpose}-{number}",
        time=time_,
        interaction="read",
        staff=staff,
        address=f"10.{20 + number % 50}.{number // 50 % 250}.{1 + number % 250}",
        patient=f"synthetic-{number % keys:06}",
        purpose=purpose,
    )
    return Emission("audit.ehr", "fhir", staff.encode(), time_, record)


class Alarms(threading.Thread):
    """Emits an event that a rule matches every 20 ms, each of another member of staff."""

    def __init__(self, bootstrap: str, keys: int) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self._servers = bootstrap
        self._keys = keys

    def run(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._servers, linger_ms=0)
        for number in itertools.count():
            if self.done.wait(0.02):
                break
            emission = access(number, int(time.time() * 1000), keys=self._keys, purpose="ETREAT")
            producer.send(emission.topic, json.dumps(emission.record).encode(), key=emission.key)
        producer.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=100_000)
    keys = parser.parse_args().keys
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        environment = {"WARDWATCH_SESSION_TIMEOUT": str(SESSION_TIMEOUT)}
        cluster = Cluster(Path(folder), environment=environment)
        cluster.start()
        try:
            begin = int(time.time() * 1000) - 60_000
            fill(cluster.kafka.bootstrap, (access(n, begin + n // 2, keys=keys) for n in range(keys)))
            killed, _ = cluster.add_worker(), cluster.add_worker()
            cluster.settle(seconds=600)
            alarms = Alarms(cluster.kafka.bootstrap, keys)
            alarms.start()
            time.sleep(3)
            killed.kill()
            cluster.workers.remove(killed)
            at = time.time()
            result = {"keys": keys, "session_timeout": SESSION_TIMEOUT, **recovery(cluster, at)}
            alarms.done.set()
            alarms.join()
        finally:
            cluster.stop()
    print(json.dumps({name: round(value, 2) for name, value in result.items()}))


def recovery(cluster: Cluster, at: float) -> dict[str, float]:
    targets = {(t, p): end for t in (topics.EVENTS, topics.VIEWS) for p, end in cluster.ends(t).items()}
    taken = alerting = 0.0
    while not (taken and alerting):
        if time.time() - at > 300:
            raise SystemExit(f"not recovered after 300 s; taken {taken}, alerting {alerting}")
        commits = cluster.commits()
        if not taken and all(commits.get(key, 0) > end for key, end in targets.items()):
            taken = time.time() - at
        if not alerting:
            logs = read_topic(cluster.settings.kafka, topics.ALERTS)
            later = [p for p, log in logs.items() if any(decode_alert(r.value).last_seen > at * 1000 for r in log)]
            if len(later) == len(logs):
                alerting = time.time() - at
        time.sleep(0.1)
    return {"taken_again": taken, "alerting_again": alerting}


if __name__ == "__main__":
    main()
