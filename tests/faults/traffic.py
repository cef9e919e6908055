"""What services emit while things die: a hospital's day with attacks, events sent twice, and poison."""

from __future__ import annotations

import heapq
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from kafka import KafkaProducer
from poison import KINDS, poison

from streams.demo.hospital import Emission, Hospital
from streams.demo.stories import STORIES

__all__ = ["Sent", "Traffic"]

#: Seconds of event time that a run covers: enough for windows to close and for attacks to stand out.
SPAN = 7200
#: One event in so many is sent again by its service, a while later.
TWICE_EVERY = 80
#: Of so many events, the last are sent in arrays of up to a few of one topic, as services send what they have at once.
STRETCH, IN_ARRAYS, ARRAY = 200, 40, 8


class Sent(NamedTuple):
    """One record as it was emitted: as text, since a day has a million of them."""

    topic: str
    source: str
    key: bytes
    time: int  #: ms
    value: bytes

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.value)
        return record


class Traffic(threading.Thread):
    """Emits ``events`` different events and ``poisons`` at a steady pace; keeps what it emitted, to be judged by."""

    def __init__(
        self, bootstrap: str, *, events: int, poisons: int, seconds: float, seed: int, span: int = SPAN
    ) -> None:
        """``span``: seconds of event time until now that the events cover."""
        super().__init__(daemon=True)
        self.emitted: list[Sent] = []  #: every good record, as often as it was sent
        self.poisoned: Counter[bytes] = Counter()  #: every poison record
        self.failures: list[str] = []
        self.progress = 0.0  #: share of the events that was emitted
        self._events = events
        self._poisons = poisons
        self._seconds = seconds
        self._servers = bootstrap
        self._seed = seed
        self._span = span

    def run(self) -> None:
        rng = random.Random(self._seed)
        producer = KafkaProducer(
            bootstrap_servers=self._servers,
            linger_ms=20,
            acks="all",
            enable_idempotence=True,
            delivery_timeout_ms=120_000,
            max_block_ms=120_000,
        )
        kinds = itertools.cycle(KINDS)
        every = self._events // max(1, self._poisons)
        waiting: dict[str, list[Sent]] = {}
        start, template = time.time(), None
        for number, emission in enumerate(self._day(start)):
            sent = Sent(*emission[:4], json.dumps(emission.record).encode())
            if number % STRETCH < STRETCH - IN_ARRAYS:
                self._send(producer, sent)
            else:
                together = waiting.setdefault(sent.topic, [])
                together.append(sent)
                if len(together) == ARRAY:
                    self._send(producer, *waiting.pop(sent.topic))
            self.progress = (number + 1) / self._events
            if not number % TWICE_EVERY and self.emitted:
                self._send(producer, rng.choice(self.emitted[-400:]))
            if emission.topic == "audit.ehr":
                template = emission.record
            while template and self.poisoned.total() < min(self._poisons, number // every + 1):
                value, key = poison(next(kinds), template), b"%d" % rng.randrange(1 << 30)
                self.poisoned[value] += 1
                producer.send("audit.ehr", value, key=key).add_errback(self._failed)
            ahead = number / self._events * self._seconds - (time.time() - start)
            if ahead > 0.05:
                time.sleep(ahead)
        for together in waiting.values():
            self._send(producer, *together)
        producer.flush(120)
        producer.close()

    def _day(self, now: float) -> Iterator[Emission]:
        hospital = Hospital(seed=self._seed, staff=400, patients=2000, devices=100)
        begin = int(now * 1000) - self._span * 1000
        rounds = max(3, self._events // 10_000)  # of all stories, so that alerts are at stake all the time
        attacks = (
            story.tell(hospital, begin + number * self._span * 1000 // (len(STORIES) * rounds + 1))
            for number, story in enumerate(STORIES * rounds, 1)
        )
        traffic = hospital.traffic(begin, per_second=self._events / self._span)
        merged = heapq.merge(traffic, itertools.chain.from_iterable(attacks), key=lambda emission: emission.time)
        return itertools.islice(merged, self._events)

    def _send(self, producer: KafkaProducer, *sent: Sent) -> None:
        """One by itself; several, of one topic, in an array."""
        self.emitted.extend(sent)
        first = sent[0]
        value = first.value if len(sent) == 1 else b"[" + b",".join(one.value for one in sent) + b"]"
        producer.send(first.topic, value, key=first.key).add_errback(self._failed)

    def _failed(self, exc: BaseException) -> None:
        self.failures.append(repr(exc))
