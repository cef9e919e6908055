"""Whatever dies, each event counts once: real processes, real kill -9, and the pure pipeline as the oracle.

The short run is part of every test run. ``WARDWATCH_LONG=1`` adds the long one, and takes one rule of docs/replay.md
away after another to see that each is missed. The seed is printed; ``WARDWATCH_SEED`` replays it.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from chaos import run
from worker import SWITCHES

LONG = os.environ.get("WARDWATCH_LONG") == "1"
SEED = int(os.environ.get("WARDWATCH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)

pytestmark = pytest.mark.faults


def test_nothing_is_lost_or_counted_twice_whatever_dies(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    judgement = run(tmp_path, seed=SEED, events=6000, poisons=600, kills=4, seconds=25, broker_restarts=1)
    assert judgement.wrong == [], f"seed {SEED}"
    assert judgement.counts["events"] == 6000
    assert judgement.counts["dead.letters"] > 590
    assert judgement.counts["alerts"] > 0


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
def test_nothing_is_lost_or_counted_twice_in_a_long_bad_day(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    judgement = run(
        tmp_path, seed=SEED, events=200_000, poisons=10_000, kills=20, seconds=300, broker_restarts=2, settle=600
    )
    assert judgement.wrong == [], f"seed {SEED}"
    assert judgement.counts["events"] == 200_000


@pytest.mark.skipif(not LONG, reason="WARDWATCH_LONG=1 runs it")
@pytest.mark.parametrize("switch", sorted(SWITCHES))
def test_a_rule_taken_away_is_missed(tmp_path: Path, switch: str) -> None:
    """Chance decides when a fault meets a rule, so each gets several runs to be missed in."""
    for seed in range(SEED, SEED + 6):
        judgement = run(
            tmp_path / str(seed),
            seed=seed,
            events=20_000,
            poisons=0,
            kills=12,
            seconds=40,
            broker_restarts=1,
            switches=(switch,),
        )
        if judgement.wrong:
            print(switch, seed, judgement.wrong)
            return
    pytest.fail(f"nothing went wrong without the rule that {switch} takes away")
