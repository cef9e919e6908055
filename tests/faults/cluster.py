"""A broker and workers as real processes, to be killed, stopped and started as a bad day would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from streams import topics
from streams.admin import committed, create_topics
from streams.embedded.kafka import EmbeddedKafka
from streams.settings import Settings

WORKER = Path(__file__).with_name("worker.py")
ROOT = WORKER.parents[2]


class Worker:
    """One worker process."""

    def __init__(self, environment: Mapping[str, str], log: Path, switches: tuple[str, ...] = ()) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER), *switches],
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stderr=output,
                stdout=output,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Ask it to end as a deployment would; its exit code."""
        self.thaw()
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9


class Cluster:
    """One embedded broker, any number of workers, one data folder."""

    def __init__(
        self, folder: Path, *, switches: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        """``environment``: more settings for the workers."""
        self.folder = folder
        self.environment = dict(environment or {})
        self.switches = switches
        self.kafka = EmbeddedKafka(folder / "kafka", port=0)
        self.workers: list[Worker] = []
        self._started = 0

    def start(self) -> None:
        self.kafka.start()
        self.settings = Settings(
            kafka=self.kafka.bootstrap, data_dir=self.folder / "data", session_timeout=3, idle_after=2
        )
        create_topics(self.settings)

    def add_worker(self) -> Worker:
        self._started += 1
        worker = Worker(
            {
                "WARDWATCH_KAFKA": self.kafka.bootstrap,
                "WARDWATCH_DATA_DIR": str(self.folder / "data"),
                "WARDWATCH_SESSION_TIMEOUT": "3",
                "WARDWATCH_IDLE_AFTER": "2",
                **self.environment,
            },
            self.folder / f"worker-{self._started}.log",
            self.switches,
        )
        self.workers.append(worker)
        return worker

    def drop(self, worker: Worker) -> None:
        self.workers.remove(worker)

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.workers.clear()
        self.kafka.stop()

    # Progress

    def ends(self, topic: str) -> dict[int, int]:
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.bootstrap)
        try:
            tps = [TopicPartition(topic, n) for n in range(self.settings.partitions)]
            return {tp.partition: end for tp, end in consumer.end_offsets(tps).items()}
        finally:
            consumer.close()

    def commits(self) -> dict[tuple[str, int], int]:
        return committed(self.settings)

    def settle(self, *, seconds: float, then: Callable[[], None] = lambda: None) -> None:
        """Wait until every step has taken all that the steps before it derived. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        for stage in (topics.INPUTS, (topics.EVENTS, topics.VIEWS), (topics.FINDINGS,)):
            targets = {(topic, p): end for topic in stage for p, end in self.ends(topic).items() if end}
            while True:
                done = self.commits()
                left = {key: end - done.get(key, 0) for key, end in targets.items() if done.get(key, 0) < end}
                if not left:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"records not taken after {seconds:.0f} s: {left}")
                then()
                time.sleep(0.3)
