"""A worker process for the fault tests: the product's own, with what the command line asks to go wrong.

``worker.py --seed 7 --log FILE no_marks fragile_detector die=300``: without the marks, with a defect, killing itself
once in 300 chances.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from defects import DEFECTS
from mishaps import MISHAPS, Chance
from switches import SWITCHES

from streams.settings import Settings
from streams.sinks import attempts
from streams.worker import run

#: Seconds between attempts at a receiver: those of days, so short that a run sees many of them.
RETRIES = (0.5, *[1.0] * 200)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("wrong", nargs="*")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    attempts.RETRIES = RETRIES  # type: ignore[assignment]
    for number, wrong in enumerate(options.wrong):
        name, _, every = wrong.partition("=")
        if every:
            MISHAPS[name](Chance(options.seed * 100 + number, int(every), options.log))
        else:
            (SWITCHES | DEFECTS)[name]()
    return run(Settings(), only=options.only)


if __name__ == "__main__":
    raise SystemExit(main())
