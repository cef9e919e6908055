"""Updates of groups of correlations per second of CPU, on one core.

    python tests/bench/bench_correlate.py

The baseline is what anybody would write first: a dict of deques of times, in the same run. As many groups as a worker
keeps decoded are hit by turns. ``memory`` is all that a hit costs without Kafka; ``changelog`` is the step of the
stream over records as they lie in the topic, with every changed group and the partition encoded as before each flush.
Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "detectors" / "rules" / "correlation")]

from correlating import HOUR, hit_of, linked  # noqa: E402
from windows_reference import Seen  # noqa: E402

from detectors.rules.correlation import Correlations, Hit, Memory  # noqa: E402
from streams.blocks import Block  # noqa: E402
from streams.correlate import Correlate  # noqa: E402
from streams.handlers import FLUSH_BATCHES  # noqa: E402
from streams.hits import hit_output  # noqa: E402
from streams.lineage import NO_POSITION, Lineage, Position  # noqa: E402
from streams.records import Record  # noqa: E402
from streams.state import PartitionState  # noqa: E402

HITS, GROUPS, BATCH = 200_000, 2_000, 500
SPAN = 300_000
SECTIONS: dict[str, dict[str, Any]] = {
    "event_count": {"condition": {"gte": 50}},
    "value_count": {"condition": {"gte": 50, "field": "x"}},
    "value_sum": {"condition": {"gt": 10**9, "field": "x"}},
    "temporal_ordered": {"rules": ["b", "a"]},
}


class Loaded:
    """A rule set of nothing but correlations."""

    def __init__(self, correlations: Correlations) -> None:
        self.correlations = correlations
        self.version = ""


def hits_for(correlations: Correlations) -> list[Hit]:
    """Groups by turns; the rule that would come last in an order comes alone."""
    first = hit_of(correlations, Seen(0, "a", 0), 0)
    return [
        first._replace(
            time=1_700_000_000_000 + n * 10, group=f"g{n % GROUPS}", event=f"event-{n}", value=n // GROUPS % 20
        )
        for n in range(HITS)
    ]


def bare(hits: Sequence[Hit]) -> float:
    groups: dict[tuple[str, str], deque[int]] = {}
    fired = 0
    began = time.process_time()
    for hit in hits:
        key = hit.plan, hit.group
        times = groups.get(key)
        if times is None:
            times = groups[key] = deque()
        times.append(hit.time)
        while times[0] < hit.time - SPAN:
            times.popleft()
        fired += len(times) >= 50
    return HITS / (time.process_time() - began)


def in_memory(correlations: Correlations, hits: Sequence[Hit]) -> float:
    memory = Memory(correlations, lateness=HOUR)
    began = time.process_time()
    for start in range(0, HITS, BATCH):
        memory.take(hits[start : start + BATCH], hits[start].time - 1000)
    assert len(memory) == GROUPS
    return HITS / (time.process_time() - began)


def with_changelog(correlations: Correlations, hits: Sequence[Hit]) -> float:
    blocks = []
    for start in range(0, HITS, BATCH):
        records, positions = [], []
        for number, output in enumerate(map(hit_output, hits[start : start + BATCH]), start):
            records.append(Record(start * 2**20 + number - start, output.key, output.value, output.event, output.time))
            positions.append(Position(number, 0))
        lineage = Lineage(b"t" * 16, 0, positions[-1], NO_POSITION, 1)
        blocks.append(Block(start // BATCH, lineage, positions, records))
    state = PartitionState(Correlate(Loaded(correlations)))  # type: ignore[arg-type]
    written = 0
    began = time.process_time()
    for number, block in enumerate(blocks, 1):
        state.fold([block], {})
        if not number % FLUSH_BATCHES:
            written += sum(len(key) + len(value or b"") for key, value in state.changes().items())
            state.flushed()
    took = time.process_time() - began
    assert written
    return HITS / took


def main() -> None:
    result: dict[str, Any] = {}
    for kind, more in SECTIONS.items():
        section = {"type": kind, "rules": ["a"], "group-by": ["user"], "timespan": "5m", **more}
        correlations = linked(section)
        hits = hits_for(correlations)
        rates = {
            "baseline": bare(hits),
            "memory": in_memory(correlations, hits),
            "changelog": with_changelog(correlations, hits),
        }
        rounded: dict[str, Any] = {name: round(rate) for name, rate in rates.items()}
        rounded["ratio"] = round(rates["memory"] / rates["baseline"], 3)
        result[kind] = rounded
    print(json.dumps(result))


if __name__ == "__main__":
    main()
