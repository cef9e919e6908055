"""The levels of the shipped rules are honest: in a hospital of 5,000 staff without an attack few alerts are above low.

Ten days are simulated: everyday trouble at its full rates, which is what rules look at, and of the ordinary traffic
between a sample, spread over the days. With WARDWATCH_LONG=1 four hundred times as much of it.
"""

from __future__ import annotations

import os
from collections import Counter
from heapq import merge
from itertools import takewhile

from detectors.rules import starter_rules
from detectors.rules.correlation import Memory
from streams.demo.everyday import everyday
from streams.demo.hospital import Hospital
from streams.pipeline import LATENESS, Reader
from streams.privacy import Pseudonyms
from streams.sources.catalog import by_name

BEGIN = 1_795_000_000_000
DAYS = 10
#: Ordinary events a second.
SAMPLE = 2.0 if os.environ.get("WARDWATCH_LONG") else 0.005
QUIET = ("informational", "low")


def test_ten_days_without_an_attack_bring_few_alerts_above_low() -> None:
    hospital = Hospital(seed=7, staff=5000, patients=25_000, devices=2000)
    rules = starter_rules()
    reader = Reader(rules, Pseudonyms(bytes(range(32)), "k1"))
    memory = Memory(rules.correlations, lateness=LATENESS)
    end = BEGIN + DAYS * 86_400_000
    ordinary = takewhile(lambda e: e.time < end, hospital.traffic(BEGIN, per_second=SAMPLE))
    events: Counter[str] = Counter()
    alerts: Counter[tuple[str, str]] = Counter()
    for emission in merge(ordinary, everyday(hospital, BEGIN, DAYS), key=lambda e: e.time):
        source = by_name(emission.source)
        released = reader.read(emission.record, source, fallback_id=lambda: "synthetic", received=emission.time)
        events[emission.source] += 1
        told = [*released.findings, *memory.take(released.hits, released.event.time - source.lateness)]
        alerts.update((finding.severity, finding.title) for finding in told)
    alerts.update((finding.severity, finding.title) for finding in memory.settle())
    loud = {title: count for (severity, title), count in alerts.items() if severity not in QUIET}
    assert events.total() > 20_000
    assert len(alerts) > 25, "everyday trouble is what rules look at"
    assert loud, "some of it is worth a look"
    assert sum(loud.values()) / DAYS < 10, loud
    assert not [title for severity, title in alerts if severity in ("high", "critical")]
