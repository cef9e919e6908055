"""An hour of a real account, half of it an attack: what the models say of it, given a quiet past of the same people."""

from __future__ import annotations

import json
import random
from pathlib import Path

from detectors.base import Event, Finding
from detectors.models.rarity import RarityDetector
from detectors.models.rate import RateDetector
from streams.privacy import Pseudonyms, release
from streams.sources.cloudtrail import CLOUDTRAIL

MINUTE = 60_000
LATENESS = 15 * MINUTE


def timeline(folder: Path) -> list[Event]:
    events = []
    for line in (folder / "cloudtrail" / "invictus_stratus_timeline.jsonl").read_text().splitlines():
        draft = CLOUDTRAIL.normalise(json.loads(line)["event"])
        events.append(
            release(draft, CLOUDTRAIL, Pseudonyms(b"0" * 32, "k"), fallback_id=str, received=draft.time + LATENESS)
        )
    return events


def past(events: list[Event], *, hours: int, per_hour: int) -> list[Event]:
    """Quiet hours of everyone in ``events``, doing what administrators always do."""
    rng = random.Random(1)
    begin = min(event.time for event in events)
    return sorted(
        (
            Event(
                id=f"synthetic-{actor}-{number}",
                time=begin - rng.randrange(1, hours * 60 * MINUTE),
                source="cloudtrail",
                actor=actor,
                fields={"event.action": rng.choice(["DescribeInstances", "ListBuckets", "GetCallerIdentity"])},
            )
            for actor in {event.actor for event in events}
            for number in range(hours * per_hour)
        ),
        key=lambda event: event.time,
    )


def run(events: list[Event]) -> list[Finding]:
    found: list[Finding] = []
    detectors = (RateDetector("actor"), RarityDetector())
    states = {(d.name, e.actor): d.new() for d in detectors for e in events}
    watermark = 0
    for event in events:
        watermark = max(watermark, event.time - LATENESS)
        for detector in detectors:
            found.extend(detector.inspect(event, event.actor, states[detector.name, event.actor], watermark))
    return found


def test_the_attack_is_seen_and_told_a_few_times(outside_data: Path) -> None:
    events = timeline(outside_data)
    found = run([*past(events, hours=24, per_hour=30), *events])
    attacker = [finding for finding in found if finding.entity.endswith("user/bert-jan")]
    assert {finding.detector for finding in attacker} == {"rate.actor", "rarity.actor"}
    assert len(attacker) <= 4, "a swarm of alerts for one attack"
    first = min(finding.time for finding in attacker)
    assert sum(event.actor.endswith("bert-jan") and event.time < first for event in events) <= 20
    # Roles that were made for the attack did new things too; nobody else is told of more than twice.
    others = [finding.entity for finding in found if finding not in attacker]
    assert all(others.count(entity) <= 2 for entity in others)


def test_who_has_no_past_is_not_unusual(outside_data: Path) -> None:
    """On the first day everybody is new: alerts about that would be alerts about everybody."""
    assert run(timeline(outside_data)) == []


def test_a_quiet_past_is_quiet(outside_data: Path) -> None:
    assert run(past(timeline(outside_data), hours=72, per_hour=30)) == []
