"""A worker's rules without the rest of it, on a broker that has every topic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from command_line import Shell

from detectors.rules.correlation import Hit
from streams.demo.records import cloudtrail
from streams.embedded.kafka import EmbeddedKafka
from streams.pipeline import Reader, Released
from streams.pseudonyms import Pseudonyms
from streams.rule_topic import RuleTopic
from streams.rule_watch import RuleWatch
from streams.settings import Settings
from streams.sources.cloudtrail import CLOUDTRAIL

__all__ = ["Worker", "emptied", "identity", "rule", "with_topics"]

RULE = """
title: {title}
id: 00000000-0000-4000-8000-0000000000{number:02}
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {name}}}, condition: s}}
{more}
"""


def rule(number: int, name: str, title: str = "Synthetic rule", more: str = "") -> str:
    return RULE.format(number=number, name=name, title=title, more=more)


def identity(number: int) -> str:
    return f"00000000-0000-4000-8000-0000000000{number:02}"


@contextmanager
def with_topics(folder: Path, home: Path) -> Iterator[str]:
    """The address of a broker of its own that has every topic."""
    broker = EmbeddedKafka(folder, port=0)
    broker.start()
    assert Shell(home, broker.bootstrap).run("setup").returncode == 0
    yield broker.bootstrap
    broker.stop()


@contextmanager
def emptied(settings: Settings) -> Iterator[RuleTopic]:
    """The topic, which is empty again afterwards: others share the broker."""
    made = RuleTopic(settings)
    yield made
    board = made.refresh()
    for name in board.files:
        made.withdraw(name)
    for name in board.quarantined:
        made.release(name)
    made.close()


class Worker:
    """What a worker does with its rules, without the rest of it."""

    def __init__(self, settings: Settings, name: str = "synthetic.1") -> None:
        self.watch = RuleWatch(settings, RuleTopic(settings), name)
        self.reader = Reader(self.watch.rules, Pseudonyms(b"0" * 32, "k"))
        self.watch.serve(self.reader)

    def found(self, name: str) -> set[str]:
        """Titles of the rules that alert of a call."""
        return {finding.title for finding in self._read(name).findings}

    def hits(self, name: str) -> Sequence[Hit]:
        """What correlations are told of a call."""
        return self._read(name).hits

    def plan(self, number: int) -> str:
        """The key of the correlation of that number."""
        return next(p.key for p in self.watch.rules.correlations.plans if p.rule.id == identity(number))

    def _read(self, name: str) -> Released:
        record = cloudtrail(
            id="c-1", time=1_767_600_000_000, name=name, service="iam", user="synthetic-a", address="192.0.2.1"
        )
        return self.reader.read(record, CLOUDTRAIL, fallback_id=lambda: "x", received=1_767_600_000_000)

    async def looks(self, times: int = 2) -> None:
        for _ in range(times):
            await self.watch.look()
