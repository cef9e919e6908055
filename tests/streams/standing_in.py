"""What stands for Kafka where a test is about what a step does with it: a changelog and a sender in memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from streams.crashes import CrashJournal
from streams.lineage import HEADER, NO_POSITION, Lineage, Position
from streams.records import Output
from streams.transport import Batch

__all__ = ["NO_JOURNAL", "TOPIC", "Memory", "Sent", "batch_of", "derived"]

TOPIC = b"\x07" * 16
#: One on a disk that takes nothing, which is no reason to stop.
NO_JOURNAL = CrashJournal(Path(os.devnull))


class Memory:
    """Stands for the changelog: keeps what was committed, so that a second handler finds it."""

    topic = "step.topic.state"

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}
        self.failures: list[Exception] = []  #: raised by the next commits, one each

    async def open(self, on_record: Callable[[bytes, bytes | None], None]) -> None:
        for key, value in self.held.items():
            on_record(key, value)

    async def commit(self, changes: dict[bytes, bytes | None]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        for key, value in changes.items():
            if value is None:
                self.held.pop(key, None)
            else:
                self.held[key] = value

    async def close(self) -> None:
        pass


class Sent:
    """Stands for the sender: keeps what was sent, and in how many calls."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.calls = 0

    async def send(
        self, topic_id: bytes, partition: int, derived: Sequence[tuple[int, Sequence[Output]]]
    ) -> dict[str, int]:
        self.calls += 1
        counts: Counter[str] = Counter()
        for _, outputs in derived:
            self.outputs += outputs
            counts.update(output.topic for output in outputs)
        return counts


def derived(offset: int, value: bytes, *, key: bytes = b"k", event: int = 1) -> Any:
    """One record of ours as aiokafka gives it, derived from the record at the same offset of a topic before."""
    header = Lineage(TOPIC, 0, Position(offset, 0), NO_POSITION, event).pack()
    return SimpleNamespace(offset=offset, key=key, value=value, headers=[(HEADER, header)], partition=0, timestamp=0)


class _Consumer:
    def on_batch_acked(self, tp: Any) -> None:
        pass


def batch_of(topic: str, records: list[Any]) -> Batch:
    return Batch(SimpleNamespace(topic=topic, partition=0), records, _Consumer())  # type: ignore[arg-type]
