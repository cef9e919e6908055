"""The demo's alerts are few and true: an ordinary day sets off none, and each attack is seen by what should see it."""

from __future__ import annotations

from collections import defaultdict
from itertools import takewhile

from detectors.registry import registered
from detectors.rules import starter_rules
from streams.commands.files import Memory
from streams.demo.__main__ import FIRST_STORY, NEXT_STORY, day
from streams.demo.hospital import Emission, Hospital
from streams.demo.stories import STORIES
from streams.pipeline import Reader
from streams.privacy import Pseudonyms
from streams.sources.catalog import by_name

NOW = 1_795_000_037_000


def emissions(seed: int, seconds: int) -> list[Emission]:
    hospital = Hospital(seed=seed, staff=200, patients=1000, devices=100)
    return list(takewhile(lambda e: e.time < NOW + seconds * 1000, day(hospital, now=NOW, rate=20.0)))


def test_each_attack_is_seen_and_nothing_else_is() -> None:
    rules = starter_rules()
    reader = Reader(rules, Pseudonyms(b"synthetic key of thirty-two byte", "k"))
    memory = Memory(registered(), rules.correlations)
    seen: dict[str, set[str]] = defaultdict(set)
    stories: dict[str, str] = {}
    for emission in emissions(1, FIRST_STORY + len(STORIES) * NEXT_STORY - 1):
        released = reader.read(
            emission.record, by_name(emission.source), fallback_id=lambda: "synthetic", received=emission.time
        )
        stories[released.event.id] = emission.story
        for finding in [*released.findings, *memory.inspect(released)]:
            # A correlation may tell of a story only when a later event says that time has passed.
            for story in {stories[id_] for id_ in finding.event_ids} - {""} or {""}:
                seen[story] |= {finding.title, finding.detector}
    assert seen[""] == set()
    for story in STORIES:
        assert seen[story.name] >= set(story.seen_by), story.name


def test_a_seed_is_a_day_and_another_is_another() -> None:
    first, again, other = (emissions(seed, 30) for seed in (1, 1, 2))
    assert first == again
    assert [e.record for e in first[:50]] != [e.record for e in other[:50]]
    attacked = [e for e in first if e.story]
    assert attacked
    assert min(e.time for e in attacked) < NOW + 60_000
    assert not any(e.story in str(e.record) for e in attacked), "the label is never sent"
