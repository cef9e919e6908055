"""Emits a synthetic hospital's day through the real emitter: ``python -m streams.demo``.

It begins with the last half hour, sent at full speed, so that detectors know what is usual; then
events come as they happen, with an attack in the first minute and another every two minutes. Each attack is told on
standard output as it begins, and nowhere else: no record says what it belongs to.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import time
from collections.abc import Iterator

from streams.demo.hospital import Emission, Hospital
from streams.demo.stories import STORIES
from streams.emitter import Emitter
from streams.settings import Settings

#: Seconds of quiet history before now: as many as models need to have learned, for the first alert waits for them.
HISTORY = 1800
#: Seconds until the first story, and between two.
FIRST_STORY = 8
NEXT_STORY = 120


def day(hospital: Hospital, *, now: int, rate: float) -> Iterator[Emission]:
    """History, then what happens from ``now`` (ms) on at ``rate`` events per second, attacks included, by time."""
    history = hospital.traffic(now - HISTORY * 1000, per_second=rate)
    yield from itertools.takewhile(lambda emission: emission.time < now, history)
    told = (
        story.tell(hospital, now + (FIRST_STORY + number * NEXT_STORY) * 1000)
        for number, story in enumerate(itertools.cycle(STORIES))
    )
    yield from heapq.merge(hospital.traffic(now, per_second=rate), _one_by_one(told), key=lambda e: e.time)


def _one_by_one(stories: Iterator[Iterator[Emission]]) -> Iterator[Emission]:
    for story in stories:
        yield from story


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m streams.demo", description=__doc__)
    parser.add_argument("--rate", type=float, default=20.0, help="events per second")
    parser.add_argument("--staff", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    now = int(time.time() * 1000)
    # Ids differ from run to run, or a second run's events would count as the first's.
    hospital = Hospital(
        seed=arguments.seed * 1_000_000_000 + now // 1000,
        staff=arguments.staff,
        patients=5 * arguments.staff,
        devices=max(8, arguments.staff // 2),
    )
    settings = Settings()
    with Emitter(
        settings.kafka, producer="synthetic-hospital", security=settings.security, max_block=60, linger_ms=20
    ) as emitter:
        summaries = {story.name: story.summary for story in STORIES}
        told = ""
        for emission in day(hospital, now=now, rate=arguments.rate):
            ahead = emission.time / 1000 - time.time()
            if ahead > 0:
                time.sleep(ahead)
            if emission.story not in ("", told):
                told = emission.story
                print(f"{told}: {summaries[told]}", flush=True)
            emitter.emit(emission.record, source=emission.source, key=emission.key.decode())


if __name__ == "__main__":
    main()
