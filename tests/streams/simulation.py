"""A randomised world of kills, zombies and bad sends around the product's own state, to see that each event counts
once.

Actors are generators; every ``yield`` is a point where a kill, a takeover or another actor may come in. ``World``
takes switches that take one rule of ``docs/replay.md`` away each; the tests see that every one of them is missed.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson

from streams.blocks import Block
from streams.lineage import NO_POSITION, Lineage, Marks, Position
from streams.records import Output, Record
from streams.state import PartitionState

TOPIC = b"\x01" * 16
FINDING_EVERY = 3


class Counting:
    """A keyed step whose state is the list of event ids applied to a key; every third one is a finding."""

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        applied = state.values.get(record.key) or []
        applied.append(int(record.value))
        state.values.put(record.key, applied)
        if len(applied) % FINDING_EVERY:
            return ()
        name = b"%s/%d" % (record.key, len(applied))
        return (Output("findings", name, orjson.dumps(applied)),)

    def dump(self, key: bytes, value: list[int]) -> bytes:
        return orjson.dumps(value)

    def load(self, key: bytes, raw: bytes) -> list[int]:
        value: list[int] = orjson.loads(raw)
        return value


class AcceptAll(Marks):
    """Takes every record, however often it comes."""

    def accept(self, lineage: Lineage, positions: Sequence[tuple[int, int]]) -> int:
        return 0


@dataclass(frozen=True)
class Rules:
    """Which rules hold; all do in the product."""

    marks: bool = True  #: readers take a position once
    link: bool = True  #: records name the one before them
    ack_check: bool = True  #: acked offsets must rise
    findings_first: bool = True  #: findings are acknowledged before the flush
    atomic: bool = True  #: a flush is one transaction
    fence: bool = True  #: an old owner cannot write


@dataclass
class Partition:
    log: list[Block] = field(default_factory=list)
    state: dict[bytes, bytes] = field(default_factory=dict)
    epoch: int = 0


class World:
    def __init__(
        self, seed: int, rules: Rules, *, faults: bool = True, bad_sends: bool = False, records: int = 8
    ) -> None:
        self.random = random.Random(seed)
        self.rules = rules
        self.faults = faults
        self.bad_sends = bad_sends
        self.sources: list[list[tuple[int, list[bytes]]]] = []
        event = 0
        for _ in range(2):
            source = []
            for _ in range(records):
                source.append((event, [b"k%d" % k for k in self._some_keys()]))
                event += 1
            self.sources.append(source)
        self.partitions = [Partition(), Partition()]
        self.commits = [0, 0]
        self.generation: Counter[tuple[str, int]] = Counter()
        self.findings: dict[bytes, bytes] = {}
        self.late: list[tuple[int, Block]] = []
        self.idle: set[tuple[str, int]] = set()

    def _some_keys(self) -> list[int]:
        return [self.random.randrange(3) for _ in range(self.random.choice((0, 1, 1, 2, 3)))]

    # Actors

    def ingest(self, source: int, generation: int) -> Iterator[str]:
        position = self.commits[source]
        while True:
            end = min(position + self.random.randint(1, 4), len(self.sources[source]))
            queues: dict[int, list[tuple[Position, Block]]] = defaultdict(list)
            previous: dict[int, Position] = {}
            for offset in range(position, end):
                event, keys = self.sources[source][offset]
                for index, key in enumerate(keys):
                    target = int(key[1:]) % len(self.partitions)
                    here = Position(offset, index)
                    link = previous.get(target, NO_POSITION) if self.rules.link else NO_POSITION
                    lineage = Lineage(TOPIC, source, here, link, event + 1)
                    record = Record(0, key, b"%d" % event, event + 1)
                    queues[target].append((here, Block(0, lineage, (here,), (record,))))
                    previous[target] = here
            failed = yield from self._send(queues)
            position = min(failed, default=end)
            if generation == self.generation["ingest", source]:
                self.commits[source] = position
            yield "idle" if position >= len(self.sources[source]) else ""

    def _send(self, queues: dict[int, list[tuple[Position, Block]]]) -> Iterator[Any]:
        failed: list[int] = []
        acked: dict[int, list[tuple[Position, int]]] = defaultdict(list)
        while any(queues.values()):
            yield ""
            target = self.random.choice([t for t, queue in queues.items() if queue])
            queue = queues[target]
            if self.bad_sends and len(queue) > 1 and self.random.random() < 0.25:
                queue[0], queue[1] = queue[1], queue[0]
            position, block = queue.pop(0)
            if self.bad_sends and self.random.random() < 0.12:
                failed.append(position.offset)
                if self.random.random() < 0.3:
                    self.late.append((target, block))
                continue
            acked[target].append((position, self._append(target, block)))
            if self.bad_sends and self.random.random() < 0.2:
                self.late.append((target, block))
        if self.rules.ack_check:
            for deliveries in acked.values():
                deliveries.sort()
                for (_, before), (position, after) in pairwise(deliveries):
                    if after < before:
                        failed.append(min(position.offset, deliveries[0][0].offset))
        return failed

    def _append(self, target: int, block: Block) -> int:
        log = self.partitions[target].log
        log.append(block._replace(offset=len(log)))
        self.idle.clear()
        return len(log) - 1

    def behave(self, number: int, generation: int) -> Iterator[str]:
        partition = self.partitions[number]
        partition.epoch += 1
        epoch = partition.epoch
        yield ""
        state = self.recover(number)
        yield ""
        at = state.position
        pending: list[Output] = []
        while True:
            records = partition.log[at : at + self.random.randint(1, 4)]
            for _, outputs in state.fold(records, {}):
                pending.extend(outputs)
            at += len(records)
            yield ""
            if self.rules.findings_first:
                yield from self._find(pending)
            if self.random.random() < 0.5 or not records:
                changes = state.changes()
                if self.rules.fence and epoch != partition.epoch:
                    return
                if self.rules.atomic:
                    partition.state.update({k: v for k, v in changes.items() if v is not None})
                else:
                    for key in sorted(changes, reverse=True):
                        yield ""
                        if self.rules.fence and epoch != partition.epoch:
                            return
                        partition.state[key] = changes[key] or b""
                state.flushed()
                yield from self._find(pending)
            yield "idle" if at == len(partition.log) and not pending and not state.changes() else ""

    def _find(self, pending: list[Output]) -> Iterator[str]:
        while pending:
            yield ""
            found = pending.pop(0)
            self.findings.setdefault(found.key, found.value)

    def recover(self, number: int) -> PartitionState:
        state = PartitionState(Counting())
        for key, value in self.partitions[number].state.items():
            state.restore(key, value)
        if not self.rules.marks:
            state.marks = AcceptAll()
        state.restored()
        return state

    # Schedule

    def start(self, kind: str, number: int) -> Iterator[str]:
        self.generation[kind, number] += 1
        actor = self.ingest if kind == "ingest" else self.behave
        return actor(number, self.generation[kind, number])

    def run(self) -> None:
        names = [(kind, number) for kind in ("ingest", "behave") for number in (0, 1)]
        actors = {name: self.start(*name) for name in names}
        zombies: list[tuple[int, Iterator[str]]] = []
        budget, idle = (5 if self.faults else 0), self.idle
        while True:
            if budget and self.random.random() < 0.04:
                budget, name = budget - 1, self.random.choice(names)
                if self.random.random() < 0.5:
                    zombies.append((self.random.randint(3, 50), actors[name]))
                actors[name] = self.start(*name)
                idle.clear()
            if self.late and self.random.random() < 0.1:
                self._append(*self.late.pop(self.random.randrange(len(self.late))))
            choice = self.random.choice([*names, *range(len(zombies))])
            if isinstance(choice, int):
                left, actor = zombies.pop(choice)
                if next(actor, "dead") != "dead" and left:
                    zombies.append((left - 1, actor))
                continue
            result = next(actors[choice], "dead")
            if result == "dead":
                actors[choice] = self.start(*choice)
            if result == "idle":
                idle.add(choice)
            else:
                idle.discard(choice)
            done = all(at == len(source) for at, source in zip(self.commits, self.sources, strict=True))
            if done and len(idle) == len(names) and not zombies and not self.late:
                return

    # Judgement

    def violations(self) -> set[str]:
        """What went wrong: ``lost``, ``twice``, ``findings``, ``payloads``."""
        bad: set[str] = set()
        want: dict[bytes, Counter[int]] = defaultdict(Counter)
        for source in self.sources:
            for event, keys in source:
                for key in keys:
                    want[key][event] += 1
        got: dict[bytes, Counter[int]] = defaultdict(Counter)
        for number in range(len(self.partitions)):
            for key, value in self.recover(number).values.items():
                got[key] = Counter(value)
        for key, expected in want.items():
            if expected - got[key]:
                bad.add("lost")
            if got[key] - expected:
                bad.add("twice")
        oracle: dict[bytes, bytes] = {}
        for partition in self.partitions:
            for _, outputs in PartitionState(Counting()).fold(partition.log, {}):
                oracle.update((output.key, output.value) for output in outputs)
        if set(oracle) != set(self.findings):
            bad.add("findings")
        elif oracle != self.findings:
            bad.add("payloads")
        return bad
