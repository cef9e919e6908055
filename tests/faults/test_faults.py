"""Whatever dies, each event counts once: real processes, real kill -9, and the pure pipeline as the oracle.

The short run is part of every test run. ``WARDWATCH_LONG=1`` adds the long one, and takes one rule of docs/replay.md
away after another to see that each is missed. The seed is printed; ``WARDWATCH_SEED`` replays it.
"""

from __future__ import annotations

import os
import random
import resource
from pathlib import Path

import pytest
from chaos import Day, run
from oracle import Judgement
from switches import SWITCHES

LONG = os.environ.get("WARDWATCH_LONG") == "1"
SEED = int(os.environ.get("WARDWATCH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)

pytestmark = [pytest.mark.faults, pytest.mark.elasticsearch]


def check(judgement: Judgement, day: Day, *, indexed: bool = True) -> None:
    """Nothing is wrong, and none of the comparisons that say so was empty."""
    counts = judgement.counts
    assert judgement.wrong == [], f"seed {SEED}"
    assert counts["emitted"] == day.events
    assert counts["events"] > day.events, "some were sent twice"
    assert counts["dead.letters"] == day.poisons + sum(judgement.bad.values())
    assert bool(counts["alerts of the pipeline"]) == bool(day.poisons)
    assert counts["alerts of the pipeline"] == counts["troubles of the pipeline"], "many workers and starts, one each"
    for place in ("findings of rules", "failing events", "entities", "deliveries at pager"):
        assert counts[place], f"there was nothing to compare: {place}"
    assert counts["deliveries at oncall"] == counts["stored"] == counts["alerts"] > 0
    assert not indexed or counts["indexed"] == counts["alerts"]


def test_nothing_is_lost_or_counted_twice_whatever_dies(tmp_path: Path, elasticsearch_url: str) -> None:
    print(f"seed {SEED}")
    day = Day(
        events=6000,
        poisons=300,
        seconds=22,
        kills=2,
        freezes=1,
        joins=1,
        leaves=1,
        brokers=1,
        stores=1,
        receivers=1,
        resets=1,
        wrong=("fragile_detector", "stumble=100", "tear=8"),
    )
    judgement = run(tmp_path, day, seed=SEED, elasticsearch=elasticsearch_url)
    check(judgement, day)
    assert judgement.faults.total() == 9
    assert judgement.felt["Stumbled"]
    assert judgement.felt["torn on purpose"]


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
def test_nothing_is_lost_or_counted_twice_in_a_long_bad_day(tmp_path: Path, elasticsearch_url: str) -> None:
    print(f"seed {SEED}")
    day = Day(
        events=200_000,
        poisons=10_000,
        seconds=330,
        kills=20,
        freezes=8,
        joins=5,
        leaves=5,
        brokers=2,
        stores=3,
        receivers=3,
        resets=2,
    )
    judgement = run(tmp_path, day, seed=SEED, elasticsearch=elasticsearch_url, settle=600)
    check(judgement, day)
    assert judgement.faults["kill"] == 20
    for word in ("Stumbled", "torn on purpose", "StoreUnavailable", "oncall did not take"):
        assert judgement.felt[word], f"no worker met {word}"


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
def test_nothing_is_lost_or_counted_twice_in_a_million_events_and_a_hundred_kills(tmp_path: Path) -> None:
    """``WARDWATCH_MILLION``: how many events, with a kill -9 for each ten thousand. About 35 minutes and 6 GB.

    The embedded store and two receivers take the alerts; Elasticsearch is in the days above.
    """
    print(f"seed {SEED}")
    events = int(os.environ.get("WARDWATCH_MILLION", "1000000"))
    day = Day(events=events, poisons=events // 100, seconds=events / 750, kills=events // 10_000)
    judgement = run(tmp_path, day, seed=SEED, settle=900)
    check(judgement, day, indexed=False)
    assert judgement.faults["kill"] == events // 10_000 > 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"the oracle took {peak:,.0f} MB")


#: What goes wrong within workers at the worst moments, beside what goes wrong in every run.
WORST = {
    "no_links": ("tear=6",),
    "findings_last": ("stumble=20",),
    "ack_first": ("die=150",),
    "torn_flush": ("die_in_flush=40",),
    "no_fence": ("doze=60",),
}


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
def test_nothing_is_lost_or_counted_twice_at_the_worst_moments(tmp_path: Path) -> None:
    """The faults by which rules are seen to be missed, with all rules in place."""
    print(f"seed {SEED}")
    wrong = ("fragile_detector", *(one for several in WORST.values() for one in several), "tear=60")
    judgement = run(tmp_path, _switched(*wrong, seconds=40), seed=SEED)
    assert judgement.wrong == [], f"seed {SEED}"
    assert judgement.felt["Fenced"]


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
@pytest.mark.parametrize("switch", SWITCHES)
def test_a_rule_taken_away_is_missed(tmp_path: Path, switch: str) -> None:
    """Chance decides when a fault meets a rule, so each gets several runs to be missed in."""
    wrong = ("fragile_detector", switch, *WORST.get(switch, ("stumble=60",)), "tear=60")
    for seed in range(SEED, SEED + 4):
        try:
            missed = run(tmp_path / str(seed), _switched(*wrong), seed=seed, settle=90).wrong
        except TimeoutError as exc:
            print(f"{switch}, seed {seed}: a run that does not end shows nothing: {exc}")
            continue
        if missed:
            print(f"{switch}, seed {seed}: {missed}")
            return
    pytest.fail(f"nothing went wrong without the rule that {switch} takes away")


def _switched(*wrong: str, seconds: float = 15) -> Day:
    return Day(events=4000, seconds=seconds, kills=1, freezes=1, resets=2, wrong=wrong)
