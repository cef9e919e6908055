"""What stands for Kafka in the simulated world: a log, its changelog, and the points where others come in."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import NamedTuple

from simulated_rules import Rules

from streams.changelog import Fenced

__all__ = ["Changelog", "Logged", "Partition", "Pause"]


class Pause:
    """Lets others in. ``idle`` where the actor has nothing left to do."""

    def __init__(self, word: str = "") -> None:
        self._word = word

    def __await__(self) -> Generator[str, None, None]:
        yield self._word


class Logged(NamedTuple):
    """A record as a consumer gives it: a block."""

    offset: int
    key: None
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass
class Partition:
    log: list[Logged] = field(default_factory=list)
    state: dict[bytes, bytes] = field(default_factory=dict)
    epoch: int = 0
    commit: int = 0  #: what the group committed: a hint


class Changelog:
    """What :mod:`streams.changelog` promises, over one partition of the world."""

    def __init__(self, partition: Partition, rules: Rules) -> None:
        self._partition = partition
        self._rules = rules
        self._epoch = 0

    async def open(self, on_record: Callable[[bytes, bytes | None], None]) -> None:
        self._partition.epoch += 1
        self._epoch = self._partition.epoch
        await Pause()
        for key, value in self._partition.state.items():
            on_record(key, value)
        await Pause()

    async def commit(self, changes: dict[bytes, bytes | None]) -> None:
        writes = [changes] if self._rules.atomic else [{key: changes[key]} for key in sorted(changes, reverse=True)]
        for write in writes:
            await Pause()
            if self._rules.fence and self._epoch != self._partition.epoch:
                raise Fenced("another owner")
            for key, value in write.items():
                if value is None:
                    self._partition.state.pop(key, None)
                else:
                    self._partition.state[key] = value

    async def close(self) -> None:
        """Ownership ends when the next owner opens."""
