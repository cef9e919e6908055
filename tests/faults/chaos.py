"""One run: a hospital emits, things die, and in the end everything must have counted once. The seed replays it."""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
import time
from pathlib import Path

from cluster import Cluster, Worker
from kafka import KafkaProducer
from oracle import Judgement, judge
from poison import KINDS, poison

from streams.demo.hospital import Hospital
from streams.demo.stories import STORIES
from streams.topics import DEAD_LETTERS

__all__ = ["run"]

#: Seconds of event time that a run covers: enough for windows to close and for attacks to stand out.
SPAN = 7200


class Load(threading.Thread):
    """Emits ``events`` and ``poisons`` at a steady pace, each acknowledged by the broker before the run is judged."""

    def __init__(self, bootstrap: str, *, events: int, poisons: int, seconds: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.events = events
        self.poisons = poisons
        self.seconds = seconds
        self.poisoned = 0  #: poison records sent: the first waits for a good one to be made from
        self.failures: list[str] = []
        self._servers = bootstrap
        self._seed = seed

    def run(self) -> None:
        hospital = Hospital(seed=self._seed, staff=400, patients=2000, devices=100)
        rng = random.Random(self._seed)
        producer = KafkaProducer(
            bootstrap_servers=self._servers,
            linger_ms=20,
            acks="all",
            delivery_timeout_ms=120_000,
            max_block_ms=120_000,
        )
        start = time.time()
        begin = int(start * 1000) - SPAN * 1000
        attacks = (
            story.tell(hospital, begin + (SPAN // 2 + number * SPAN // 40) * 1000)
            for number, story in enumerate(STORIES * 3)
        )
        traffic = hospital.traffic(begin, per_second=self.events / SPAN)
        merged = heapq.merge(traffic, itertools.chain.from_iterable(attacks), key=lambda emission: emission.time)
        kinds = itertools.cycle(KINDS)
        every = max(1, self.events // self.poisons) if self.poisons else self.events + 1
        template = None
        for number, emission in enumerate(itertools.islice(merged, self.events)):
            producer.send(emission.topic, json.dumps(emission.record).encode(), key=emission.key).add_errback(
                self._failed
            )
            if emission.topic == "audit.ehr":
                template = emission.record
            if template and not number % every:
                self.poisoned += 1
                key = b"%d" % rng.randrange(1 << 30)
                producer.send("audit.ehr", poison(next(kinds), template), key=key).add_errback(self._failed)
            ahead = number / self.events * self.seconds - (time.time() - start)
            if ahead > 0.05:
                time.sleep(ahead)
        producer.flush(120)
        producer.close()

    def _failed(self, exc: BaseException) -> None:
        self.failures.append(repr(exc))


def run(
    folder: Path,
    *,
    seed: int,
    events: int,
    poisons: int,
    kills: int,
    seconds: float,
    broker_restarts: int = 0,
    switches: tuple[str, ...] = (),
    settle: float = 120,
) -> Judgement:
    """Two workers under load while ``kills`` faults happen at random moments; then the judgement."""
    rng = random.Random(seed)
    cluster = Cluster(folder, switches=switches)
    cluster.start()
    frozen: list[tuple[float, Worker]] = []
    try:
        began = time.time()
        for _ in range(2):
            cluster.add_worker()
        load = Load(cluster.kafka.bootstrap, events=events, poisons=poisons, seconds=seconds, seed=seed)
        load.start()
        faults = ["kill", "freeze", "join"] * kills
        plan = rng.sample(faults, kills) + ["broker"] * broker_restarts
        rng.shuffle(plan)
        for fault in plan:
            time.sleep(seconds / (len(plan) + 1) * rng.uniform(0.5, 1.3))
            for until, worker in list(frozen):
                if time.time() >= until:
                    worker.thaw()
                    frozen.remove((until, worker))
            awake = [w for w in cluster.workers if all(w is not f for _, f in frozen)]
            if fault == "broker":
                cluster.kafka.kill()
                time.sleep(1)
                cluster.kafka.start()
            elif fault == "join" or len(awake) < 2:
                cluster.add_worker()
                if len(cluster.workers) > 3:
                    victim = rng.choice(awake)
                    cluster.drop(victim)
                    victim.stop()
            elif fault == "kill":
                victim = rng.choice(awake)
                victim.kill()
                cluster.drop(victim)
                cluster.add_worker()
            else:
                victim = rng.choice(awake)
                victim.freeze()
                frozen.append((time.time() + rng.uniform(3.5, 6), victim))
        load.join()
        print(f"{time.time() - began:.0f} s until all was emitted")
        for _, worker in frozen:
            worker.thaw()
        assert not load.failures, f"the load itself failed: {load.failures[:3]}"
        cluster.settle(seconds=settle)
        print(f"{time.time() - began:.0f} s until all was taken")
        for worker in cluster.workers:
            worker.stop()
        judgement = judge(cluster.settings)
        judgement.expect("dead letters of poison", judgement.counts[DEAD_LETTERS], load.poisoned)
        return judgement
    finally:
        cluster.stop()
