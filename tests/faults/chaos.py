"""One run: a hospital emits, things die, and in the end everything must have counted once. The seed replays it."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from arrivals import check_arrivals, clear_elasticsearch, wait_until_durable
from cluster import FROZEN, Cluster
from oracle import Judgement, judge
from outages import Link
from receiving import receiving
from traffic import Traffic

from streams.sinks.elasticsearch import Elasticsearch

__all__ = ["Day", "run"]


#: Seconds after the last event in which an outage may still be met.
UNMET = 60.0
#: What workers say of faults they met.
SAID = ("Stumbled", "torn on purpose", "StoreUnavailable", "oncall did not take", "Fenced", "Traceback")


@dataclass(frozen=True, kw_only=True)
class Day:
    """How much of everything."""

    events: int
    poisons: int = 0
    seconds: float  #: that the traffic takes at least
    kills: int = 0  #: kill -9 of a worker, at a random moment
    freezes: int = 0  #: SIGSTOP past the session timeout, then SIGCONT
    joins: int = 0
    leaves: int = 0
    brokers: int = 0  #: the broker killed and started again
    stores: int = 0  #: Elasticsearch away and back
    receivers: int = 0  #: a webhook receiver away and back
    resets: int = 0  #: the group's commits lost, to past everything
    wrong: tuple[str, ...] = ("fragile_detector", "stumble=150", "tear=60")  #: with every worker, see worker.py


class Chaos:
    """The day's faults at random moments, and a supervisor that never sleeps.

    Moments are told by how much of the day was emitted, and an outage lasts until somebody met it: a machine that is
    busy with something else has a longer day, and no other.
    """

    def __init__(
        self, cluster: Cluster, day: Day, rng: random.Random, links: dict[str, Link], progress: Callable[[], float]
    ) -> None:
        """``progress``: share of the day that was emitted."""
        self.done: Counter[str] = Counter()
        self.ended: Counter[int] = Counter()  #: exit codes of workers that ended by themselves
        self._cluster = cluster
        self._random = rng
        self._links = links
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._outages: dict[str, tuple[int, float]] = {}  #: how often each was met before, and when it may end
        self._progress = progress
        faults: list[tuple[int, Callable[[], None]]] = [
            (day.kills, self.kill),
            (day.freezes, self.freeze),
            (day.joins, self.join),
            (day.leaves, self.leave),
            (day.brokers, self.broker),
            (day.stores, self.store),
            (day.receivers, self.receiver),
            (day.resets, self.reset),
        ]
        plan = [fault for count, fault in faults for _ in range(count)]
        rng.shuffle(plan)
        step = 0.85 / max(1, len(plan))
        self._plan = [(0.05 + (number + rng.random()) * step, fault) for number, fault in enumerate(plan)]

    def watch(self) -> None:
        """One look at everything: what is due happens, what ended is started."""
        now = time.monotonic()
        for entry in [entry for entry in self._later if entry[0] <= now]:
            self._later.remove(entry)
            entry[1]()
        for name, (met, until) in list(self._outages.items()):
            if self._links[name].met > met and now >= until:
                self._links[name].mend()
                del self._outages[name]
        self.ended.update(self._cluster.watch())

    def happen(self, alive: Callable[[], bool]) -> None:
        """Let the plan happen, and go on watching while ``alive``, and a while longer until every outage was met."""
        patience = math.inf
        while self._plan or alive() or (self._outages and time.monotonic() < patience):
            if not alive() and patience == math.inf:
                patience = time.monotonic() + UNMET
            if self._plan and self._progress() >= self._plan[0][0]:
                _, fault = self._plan.pop(0)
                self.done[fault.__name__] += 1
                fault()
            self.watch()
            time.sleep(0.05)

    def mend(self) -> None:
        """Whatever is away comes back, and whoever is frozen goes on."""
        for _, action in self._later:
            action()
        self._later.clear()
        for link in self._links.values():
            link.mend()
        for worker in self._cluster.workers:
            worker.thaw()

    def _after(self, seconds: float, action: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, action))

    def _victim(self) -> int | None:
        awake = [number for number, worker in enumerate(self._cluster.workers) if not worker.frozen]
        return self._random.choice(awake) if awake else None

    # Faults

    def kill(self) -> None:
        """kill -9, of a frozen one where no other is left."""
        number = self._victim()
        victim = self._cluster.workers.pop(number if number is not None else 0)
        victim.kill()
        self._cluster.add_worker()

    def freeze(self) -> None:
        number = self._victim()
        if number is not None:
            victim = self._cluster.workers[number]
            victim.freeze()
            self._after(self._random.uniform(*FROZEN), lambda: victim.ended() or victim.thaw())

    def join(self) -> None:
        self._cluster.add_worker()

    def leave(self) -> None:
        if len(self._cluster.workers) > 1:
            number = self._victim()
            if number is not None:
                self._cluster.workers.pop(number).stop()

    def broker(self) -> None:
        self._cluster.kafka.kill()
        time.sleep(self._random.uniform(0.5, 2))
        self._cluster.kafka.start()

    def store(self) -> None:
        self._away("store")

    def receiver(self) -> None:
        self._away("receiver")

    def _away(self, name: str) -> None:
        link = self._links[name]
        self._outages[name] = link.met, time.monotonic() + self._random.uniform(2, 5)
        link.cut()

    def reset(self) -> None:
        """Every worker is killed at once; then somebody sets the group's commits past everything."""
        self._cluster.kill_workers()
        self._cluster.commit_the_ends()
        for _ in range(2):
            self._cluster.add_worker()


def run(folder: Path, day: Day, *, seed: int, elasticsearch: str = "", settle: float = 120) -> Judgement:
    """Two workers and more under load while the day's faults happen; then the judgement."""
    rng = random.Random(seed)
    began = time.monotonic()
    with ExitStack() as stack:
        oncall, pager = stack.enter_context(receiving()), stack.enter_context(receiving())
        links = {"receiver": stack.enter_context(closing(Link(*oncall.server.server_address[:2])))}
        environment = {
            "WARDWATCH_PRIVATE_HOSTS": '["127.0.0.1"]',
            # Early in the day, so that the pipeline's own alert of it is among those that must count once.
            "WARDWATCH_DEAD_LETTER_LIMIT": "20",
            # The day is told from two hours ago on, and as fast as the machine takes it.
            "WARDWATCH_SKEW_LIMIT": "0",
            "WARDWATCH_LAG_LIMIT": "0",
            "WARDWATCH_RECEIVERS__ONCALL__URL": f"http://127.0.0.1:{links['receiver'].port}/hook",
            "WARDWATCH_RECEIVERS__ONCALL__MINIMUM_SEVERITY": "informational",
            "WARDWATCH_RECEIVERS__PAGER__URL": pager.url,
            "WARDWATCH_RECEIVERS__PAGER__MINIMUM_SEVERITY": "high",
        }
        if elasticsearch:
            clear_elasticsearch(elasticsearch)
            asyncio.run(_set_up(elasticsearch))
            server = urlsplit(elasticsearch)
            links["store"] = stack.enter_context(closing(Link(server.hostname or "", server.port or 0)))
            environment["WARDWATCH_ELASTICSEARCH"] = f"http://127.0.0.1:{links['store'].port}"
        cluster = Cluster(folder, wrong=day.wrong, environment=environment, seed=seed)
        stack.callback(cluster.stop)
        cluster.start()
        for _ in range(2):
            cluster.add_worker()
        traffic = Traffic(
            cluster.kafka.bootstrap, events=day.events, poisons=day.poisons, seconds=day.seconds, seed=seed
        )
        traffic.start()
        chaos = Chaos(cluster, day, rng, links, lambda: traffic.progress)
        chaos.happen(traffic.is_alive)
        _say(began, f"all emitted; {_listed(chaos.done)}")
        assert not traffic.failures, f"the load itself failed: {traffic.failures[:3]}"
        chaos.mend()
        cluster.settle(seconds=settle, then=chaos.watch)
        _say(began, f"all taken; workers that ended by themselves, by exit code: {_listed(chaos.ended)}")
        wait_until_durable(cluster.settings, cluster.ends, seconds=settle, then=chaos.watch)
        _say(began, "all durable and delivered")
        cluster.stop_workers()
        fragile = "fragile_detector" in day.wrong
        judgement = judge(cluster.settings, fragile=fragile)
        check_arrivals(
            judgement,
            cluster.settings,
            traffic,
            receivers={"oncall": oncall, "pager": pager},
            elasticsearch=elasticsearch,
            fragile=fragile,
        )
        judgement.faults = chaos.done
        judgement.felt = _felt(folder)
        _say(began, f"workers said: {_listed(judgement.felt)}")
        _say(began, f"judged; {_listed(judgement.counts)}")
        return judgement


async def _set_up(elasticsearch: str) -> None:
    store = Elasticsearch(elasticsearch)
    await store.set_up()
    await store.close()


def _felt(folder: Path) -> Counter[str]:
    """How often workers said that something was wrong, by what it was."""
    said = "\n".join(log.read_text(errors="replace") for log in folder.glob("worker-*.log"))
    return Counter({word: said.count(word) for word in SAID})


def _say(began: float, what: str) -> None:
    print(f"{time.monotonic() - began:.0f} s: {what}", flush=True)


def _listed(counts: Counter[str] | Counter[int] | dict[str, int] | Sequence[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in dict(counts).items()) or "none"  # type: ignore[call-overload]
