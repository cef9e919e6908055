"""A broker and workers as real processes, to be killed, stopped and started as a bad day would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError

from streams import topics
from streams.admin import committed, create_topics
from streams.embedded.kafka import EmbeddedKafka
from streams.settings import Settings

WORKER = Path(__file__).with_name("worker.py")
ROOT = WORKER.parents[2]

#: Seconds between a worker's freezing and its going on: past the session timeout, so that others own its partitions.
FROZEN = (3.5, 6.0)

#: Topics whose readers keep a position of their own.
KEYED = (topics.EVENTS, topics.VIEWS, topics.MATCHES, topics.FINDINGS, topics.NOTIFICATIONS)


#: The topics read by each step, in the order of the way.
STAGES = (
    topics.INPUTS,
    (topics.EVENTS, topics.VIEWS, topics.MATCHES),
    (topics.MATCHES,),  # what correlations tell one another
    (topics.FINDINGS,),
    (topics.ALERTS, topics.NOTIFICATIONS),
)


class Worker:
    """One worker process."""

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        *,
        wrong: Sequence[str] = (),
        number: int = 0,
        seed: int = 1,
        enter: Sequence[str] = (),
    ) -> None:
        """``wrong``: what is wrong with it, see worker.py. ``number``: which of its cluster's it is. ``enter``: a
        command that becomes it, such as one that enters another file system."""
        self.log = log
        self.frozen_at: float | None = None
        self._dozes = log.with_suffix(".dozes")
        command = [*enter, sys.executable, str(WORKER), "--seed", str(seed * 1000 + number), "--log", str(log), *wrong]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, stderr=output, stdout=output
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        self.frozen_at = time.monotonic()

    @property
    def frozen(self) -> bool:
        """Stopped from outside, or by itself."""
        if self._dozes.exists():
            self._dozes.unlink()
            self.frozen_at = time.monotonic()
        return self.frozen_at is not None

    def thaw(self) -> None:
        self.frozen_at = None
        self.process.send_signal(signal.SIGCONT)

    def ended(self) -> bool:
        return self.process.poll() is not None

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
        self,
        folder: Path,
        *,
        wrong: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        seed: int = 1,
        enter: Sequence[str] = (),
    ) -> None:
        """``wrong``: what is wrong with every worker, see worker.py. ``environment``: more settings for them.
        ``enter``: a command that becomes each."""
        self.folder = folder
        self.wrong = tuple(wrong)
        self.enter = tuple(enter)
        self.kafka = EmbeddedKafka(folder / "kafka", port=0)
        self.workers: list[Worker] = []
        self._environment = dict(environment or {})
        self._seed = seed
        self._started = 0

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kafka.start()
        self.environment = {
            "WARDWATCH_KAFKA": self.kafka.bootstrap,
            "WARDWATCH_DATA_DIR": str(self.folder / "data"),
            "WARDWATCH_SESSION_TIMEOUT": "3",
            "WARDWATCH_IDLE_AFTER": "2",
            "WARDWATCH_DEAD_LETTER_LIMIT": "0",  # poison is what they are given
            **self._environment,
        }
        with patch.dict(os.environ, self.environment):
            self.settings = Settings()
        create_topics(self.settings)

    def add_worker(self, *wrong: str, environment: Mapping[str, str] | None = None) -> Worker:
        """``wrong``, ``environment``: of this one alone."""
        self._started += 1
        log = self.folder / f"worker-{self._started}.log"
        worker = Worker(
            {**self.environment, **(environment or {})},
            log,
            wrong=(*self.wrong, *wrong),
            number=self._started,
            seed=self._seed,
            enter=self.enter,
        )
        self.workers.append(worker)
        return worker

    def stop_workers(self) -> list[int]:
        """End all of them in order; their exit codes."""
        codes = [worker.stop() for worker in self.workers]
        self.workers.clear()
        return codes

    def kill_workers(self) -> None:
        """kill -9 of all of them, as a power cut."""
        for worker in self.workers:
            worker.kill()
        self.workers.clear()

    def stop(self) -> None:
        self.stop_workers()
        self.kafka.stop()

    def watch(self) -> list[int]:
        """What a supervisor does: let the frozen go on, start anew what ended by itself. Gives their exit codes."""
        codes = []
        for worker in list(self.workers):
            if worker.ended():
                codes.append(worker.process.returncode)
                self.workers.remove(worker)
                self.add_worker()
            elif worker.frozen and worker.frozen_at is not None and time.monotonic() > worker.frozen_at + FROZEN[1]:
                worker.thaw()
        return codes

    # What Kafka holds

    def ends(self, topic: str) -> dict[int, int]:
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.bootstrap)
        try:
            tps = [TopicPartition(topic, n) for n in range(self.settings.partitions)]
            return {tp.partition: end for tp, end in consumer.end_offsets(tps).items()}
        finally:
            consumer.close()

    def commits(self) -> dict[tuple[str, int], int]:
        return committed(self.settings)

    def commit_the_ends(self, *, seconds: float = 15) -> None:
        """Commit past everything for the steps with a position, as somebody who resets the group to the latest.

        No worker may run; one that was killed is a member until its session is over.
        """
        deadline = time.monotonic() + seconds
        tps = [TopicPartition(topic, n) for topic in KEYED for n in range(self.settings.partitions)]
        while True:
            admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
            try:
                admin.reset_group_offsets(self.settings.application, dict.fromkeys(tps, OffsetSpec.LATEST))
            except KafkaError:
                pass
            finally:
                admin.close()
            done, ends = self.commits(), {topic: self.ends(topic) for topic in KEYED}
            if all(done.get((tp.topic, tp.partition), 0) == ends[tp.topic][tp.partition] for tp in tps):
                return
            if time.monotonic() > deadline:
                raise TimeoutError("the group's offsets could not be set")
            time.sleep(0.3)

    def settle(
        self,
        *,
        seconds: float,
        then: Callable[[], object] = lambda: None,
        stages: Sequence[Sequence[str]] = STAGES,
    ) -> None:
        """Wait until every step has taken all that the steps before it derived. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        for stage in stages:
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


class EventsWorker:
    """A worker that keeps events and does nothing else."""

    def __init__(self, cluster: Cluster, **environment: str) -> None:
        self._log = cluster.folder / "events.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.worker", "--only", "events"],
                cwd=cluster.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), **cluster.environment, **environment},
                stdout=log,
                stderr=log,
            )

    def wait_for(self, done: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)
