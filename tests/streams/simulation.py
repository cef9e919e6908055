"""A randomised world of kills, zombies and bad sends around the product's own handler and state, to see that each event
counts once.

Actors are coroutines; every :class:`Pause` is a point where a kill, a takeover or another actor may come in. ``Rules``
takes rules of ``docs/replay.md`` away; the tests see that every one of them is missed.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

from faust.types import TP
from nacl.public import PrivateKey
from simulated_kafka import Changelog, Logged, Partition, Pause
from simulated_rules import FindingsLast, Rules
from simulated_step import Counting, fold, is_bad
from standing_in import NO_JOURNAL

from streams import topics
from streams.blocks import address, pack
from streams.changelog import Fenced
from streams.deadletters import DeadLetters
from streams.handlers import KeyedHandler
from streams.lineage import BLOCK, NO_POSITION, Lineage, Position, fingerprint
from streams.records import Output
from streams.sender import DeliveryFailed
from streams.state import BadDerived, PartitionState
from streams.tallies import Tally
from streams.transport import Batch

TOPIC = b"\x01" * 16
#: The share of events that their service sends twice.
TWICE = 0.2

LETTERS = DeadLetters(bytes(PrivateKey.generate().public_key))

Actor = Coroutine[str, None, None]


@dataclass
class Zombie:
    """An owner that was stopped, and goes on later without knowing that another took its place."""

    asleep: int  #: turns until it wakes
    left: int  #: turns until it finds out
    actor: Actor

    def live(self) -> bool:
        """One turn. True when it was its last."""
        if self.asleep:
            self.asleep -= 1
        elif self.left:
            self.left -= 1
            self.actor.send(None)
        else:
            self.actor.close()
            return True
        return False


class World:
    def __init__(
        self, seed: int, rules: Rules, *, faults: bool = True, bad_sends: bool = False, records: int = 8
    ) -> None:
        self.random = random.Random(seed)
        self.rules = rules
        self.faults = faults
        self.bad_sends = bad_sends
        self.sources: list[list[tuple[int, list[bytes]]]] = []
        events = [(event, self._some_keys()) for event in range(2 * records)]
        for _ in range(2):
            source = [events.pop() for _ in range(records)]
            source += [self.random.choice(source) for _ in source if self.random.random() < TWICE]
            self.random.shuffle(source)
            self.sources.append(source)
        self.partitions = [Partition(), Partition()]
        self.commits = [0, 0]
        self.generation: Counter[tuple[str, int]] = Counter()
        self.findings: dict[bytes, bytes] = {}
        self.letters: set[bytes] = set()
        self.late: list[tuple[int, Logged]] = []
        self.idle: set[tuple[str, int]] = set()

    def _some_keys(self) -> list[bytes]:
        return [b"k%d" % k for k in self.random.sample(range(4), self.random.choice((0, 1, 1, 2, 3)))]

    # Actors

    async def ingest(self, source: int) -> None:
        generation = self.generation["ingest", source]
        position = self.commits[source]
        while True:
            end = min(position + self.random.randint(1, 4), len(self.sources[source]))
            if not self.rules.durable_first:
                self.commits[source] = end
            failed = await self._send(self._derive(source, position, end))
            position = min(failed, default=end) if self.rules.stop else end
            if generation == self.generation["ingest", source]:
                self.commits[source] = position
            await Pause("idle" if position >= len(self.sources[source]) else "")

    def _derive(self, source: int, begin: int, end: int) -> dict[int, list[tuple[Position, Logged]]]:
        queues: dict[int, list[tuple[Position, bytes, int]]] = defaultdict(list)
        for offset in range(begin, end):
            event, keys = self.sources[source][offset]
            if not self.rules.pure:
                keys = self.random.sample(keys, len(keys))
            for index, key in enumerate(keys):
                here = Position(offset, index if self.rules.output else 0)
                queues[int(key[1:]) % len(self.partitions)].append((here, key, event))
        linked: dict[int, list[tuple[Position, Logged]]] = {}
        for target, queue in queues.items():
            if not self.rules.order:
                self.random.shuffle(queue)
            previous, linked[target] = NO_POSITION, []
            while queue:
                lines = [queue.pop(0) for _ in range(min(len(queue), self.random.randint(1, 3)))]
                rows = [(*at, fingerprint(f"{event} {key.decode()}"), 0, key.decode()) for at, key, event in lines]
                first, last = lines[0][0], lines[-1][0]
                lineage = Lineage(TOPIC, source, last, previous if self.rules.link else NO_POSITION, 0)
                value = pack(rows, [b"%d" % event for _, _, event in lines])
                linked[target].append((first, Logged(0, None, value, [(BLOCK, lineage.pack())])))
                previous = last
        return linked

    async def _send(self, queues: dict[int, list[tuple[Position, Logged]]]) -> list[int]:
        failed: list[int] = []
        acked: dict[int, list[tuple[Position, int]]] = defaultdict(list)
        while any(queues.values()):
            await Pause()
            target = self.random.choice([t for t, queue in queues.items() if queue])
            queue = queues[target]
            if self.bad_sends and len(queue) > 1 and self.random.random() < 0.25:
                queue[0], queue[1] = queue[1], queue[0]
            position, record = queue.pop(0)
            if self.bad_sends and self.random.random() < 0.12:
                failed.append(position.offset)
                if self.random.random() < 0.3:
                    self.late.append((target, record))
                continue
            acked[target].append((position, self._append(target, record)))
            if self.bad_sends and self.random.random() < 0.2:
                self.late.append((target, record))
        if self.rules.ack_check and self.rules.order:
            for deliveries in acked.values():
                deliveries.sort()
                for (_, before), (position, after) in pairwise(deliveries):
                    if after < before:
                        failed.append(min(position.offset, deliveries[0][0].offset))
        return failed

    def _append(self, target: int, record: Logged) -> int:
        log = self.partitions[target].log
        log.append(record._replace(offset=len(log)))
        self.idle.clear()
        return len(log) - 1

    async def behave(self, number: int) -> None:
        """A lane around the product's handler: what failed is opened again, or passed over where the rule is off."""
        partition = self.partitions[number]
        handler = self._handler(number)
        position = None
        while True:
            try:
                if position is None:
                    position = await handler.open()
                    if not self.rules.seek:
                        position = partition.commit
                await Pause()
                records = partition.log[position : position + self.random.randint(1, 4)]
                position += len(records)
                if not records:
                    await handler.flush()
                    partition.commit = position
                elif await handler.process(Batch(TP("views", number), records, None)):  # type: ignore[arg-type]
                    partition.commit = position
                at_end = position == len(partition.log)
                await Pause("idle" if at_end and not handler.state.changes() else "")
            except (Fenced, DeliveryFailed) as exc:
                await Pause()
                if self.rules.stop or isinstance(exc, Fenced):
                    position = None
                else:
                    handler._sound = True
            except BadDerived:
                if self.rules.stop:
                    raise
                position = None

    def _handler(self, number: int) -> KeyedHandler:
        kind = KeyedHandler if self.rules.findings_first else FindingsLast
        clock = count()
        return kind(
            Counting(),
            self,  # type: ignore[arg-type]
            Changelog(self.partitions[number], self.rules),  # type: ignore[arg-type]
            LETTERS,
            journal=NO_JOURNAL,
            stage="behave",
            topic_id=TOPIC,
            now=lambda: next(clock) * 0.1,
            tally=Tally(),
        )

    async def send(self, topic_id: bytes, partition: int, derived: Iterable[tuple[int, Sequence[Output]]]) -> None:
        """The handler's sender: findings are created once, in whatever state the world is. Raises DeliveryFailed."""
        for _, outputs in derived:
            for output in outputs:
                await Pause()
                if self.faults and self.random.random() < 0.04:
                    raise DeliveryFailed("as a broker that went away")
                if output.topic == topics.DEAD_LETTERS:
                    self.letters.add(output.key)
                else:
                    self.findings.setdefault(output.key, output.value)

    # Schedule

    def start(self, kind: str, number: int) -> Actor:
        self.generation[kind, number] += 1
        actor = self.ingest if kind == "ingest" else self.behave
        return actor(number)

    def run(self) -> None:
        names = [(kind, number) for kind in ("ingest", "behave") for number in (0, 1)]
        actors = {name: self.start(*name) for name in names}
        zombies: list[Zombie] = []
        with self.rules.broken():
            self._run(names, actors, zombies)
        for actor in actors.values():
            actor.close()

    def _run(self, names: list[tuple[str, int]], actors: dict[tuple[str, int], Actor], zombies: list[Zombie]) -> None:
        budget, idle = (5 if self.faults else 0), self.idle
        while True:
            if budget and self.random.random() < 0.04:
                budget, name = budget - 1, self.random.choice(names)
                if self.random.random() < 0.5:
                    zombies.append(Zombie(self.random.randint(0, 40), self.random.randint(3, 20), actors[name]))
                else:
                    actors[name].close()
                if self.random.random() < 0.3:
                    reset = self.partitions[name[1]]  # somebody resets the group, to the latest
                    reset.commit = len(reset.log)
                actors[name] = self.start(*name)
                idle.clear()
            if self.late and self.random.random() < 0.1:
                self._append(*self.late.pop(self.random.randrange(len(self.late))))
            choice = self.random.choice([*names, *range(len(zombies))])
            if isinstance(choice, int):
                zombie = zombies[choice]
                if zombie.live():
                    zombies.remove(zombie)
                    idle.clear()  # it may have fenced whoever is there
                continue
            if actors[choice].send(None) == "idle":
                idle.add(choice)
            else:
                idle.discard(choice)
            done = all(at == len(source) for at, source in zip(self.commits, self.sources, strict=True))
            if done and len(idle) == len(names) and not zombies and not self.late:
                return

    # Judgement

    def violations(self) -> set[str]:
        """What went wrong: ``lost``, ``twice``, ``findings``, ``payloads``, ``letters``."""
        bad: set[str] = set()
        want: dict[bytes, Counter[int]] = defaultdict(Counter)
        for source in self.sources:
            for event, keys in source:
                for key in keys:
                    if not is_bad(event):
                        want[key][event] = 1
        got: dict[bytes, Counter[int]] = defaultdict(Counter)
        for partition in self.partitions:
            state = PartitionState(Counting())
            for key, value in partition.state.items():
                state.restore(key, value)
            for key, value in state.values.items():
                got[key] = Counter(value)
        for key in {*want, *got}:
            if want[key] - got[key]:
                bad.add("lost")
            if got[key] - want[key]:
                bad.add("twice")
        oracle: dict[bytes, bytes] = {}
        letters: set[bytes] = set()
        for number, partition in enumerate(self.partitions):
            derived, refused = fold(partition.log)
            oracle.update((output.key, output.value) for _, outputs in derived for output in outputs)
            for offset, line in map(address, refused):
                letters.add(b"views/%d/%d" % (number, offset) + (b".%d" % line if line else b""))
        if set(oracle) != set(self.findings):
            bad.add("findings")
        elif oracle != self.findings:
            bad.add("payloads")
        if letters != self.letters:
            bad.add("letters")
        return bad
