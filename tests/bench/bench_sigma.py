"""``wardwatch detect`` on recorded CloudTrail against RSigma, the fastest Sigma evaluator known, on the same core.

    WARDWATCH_TEST_DATA=… python tests/bench/bench_sigma.py [--events 100000] [--rounds 3]

RSigma (``cargo install rsigma --locked``) is looked for on the path or named by ``WARDWATCH_RSIGMA``. Both are whole
processes: they load rules, read a file and write findings. What loading takes is measured apart, with an empty file,
and taken off. Long numbers in events are varied, so that no cache sees a line twice.

Prints one JSON line: lines per second of CPU, and ratios, by set of rules (``cloud``: the public ones, ``large``:
3,132) and file (``attacks``: one line in ten is found, ``harmless``: one in a hundred).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from sigma_load import harmless, many_rules, varied  # noqa: E402

LARGE = 3132
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def seconds(command: list[str], out: Path) -> float:
    """CPU of a whole process, on one core."""
    core = str(sorted(os.sched_getaffinity(0))[-1])
    with out.open("wb") as stream:
        process = subprocess.Popen(
            ["taskset", "-c", core, *command], stdout=stream, stderr=subprocess.DEVNULL, env=ENVIRONMENT
        )
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    return used.ru_utime + used.ru_stime


def ours(rules: Path, file: Path) -> list[str]:
    arguments = ["detect", "--source", "auto", "--only-rules", "--rules", str(rules), str(file)]
    return [sys.executable, "-m", "streams.cli", *arguments]


def theirs(rsigma: str, rules: Path, file: Path) -> list[str]:
    quiet = ["--quiet", "--no-stats", "--input-format", "json", "--output-format", "ndjson"]
    return [rsigma, "engine", "eval", "--rules", str(rules), "--event", f"@{file}", *quiet[:2], *quiet[2:]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    data = Path(os.environ["WARDWATCH_TEST_DATA"])
    rsigma = os.environ.get("WARDWATCH_RSIGMA") or shutil.which("rsigma")
    if rsigma is None:
        raise SystemExit("rsigma is neither on the path nor named by WARDWATCH_RSIGMA: cargo install rsigma --locked")
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        large, empty = folder / "large", folder / "empty.jsonl"
        large.mkdir()
        many_rules(data, large, LARGE)
        empty.write_bytes(b"")
        sets = {"cloud": data / "sigma_rules", "large": large}
        attacks = folder / "attacks.jsonl"
        with attacks.open("wb") as stream:
            stream.writelines(varied(data, chosen.events))
        found = folder / "found.jsonl"
        seconds(ours(sets["cloud"], attacks), found)
        lines = attacks.read_bytes().splitlines()
        suspicious = {json.loads(lines[json.loads(told)["line"] - 1])["eventName"] for told in found.open()}
        files = {"attacks": attacks, "harmless": folder / "harmless.jsonl"}
        with files["harmless"].open("wb") as stream:
            stream.writelines(harmless(varied(data, chosen.events, seed=2), frozenset(suspicious), 0.01))
        result = {}
        for rules_name, rules in sets.items():
            for file_name, file in files.items():
                count = sum(1 for _ in file.open("rb"))
                rates: dict[str, list[float]] = {"wardwatch": [], "rsigma": []}
                loads: dict[str, float] = {}
                for _ in range(chosen.rounds):
                    for name, measured in rates.items():
                        command = [ours(rules, file), ours(rules, empty)]
                        if name == "rsigma":
                            command = [theirs(rsigma, rules, file), theirs(rsigma, rules, empty)]
                        whole, loads[name] = (seconds(one, folder / f"{name}.out") for one in command)
                        measured.append(count / (whole - loads[name]))
                medians = {name: round(statistics.median(values)) for name, values in rates.items()}
                result[f"{rules_name}/{file_name}"] = {
                    **medians,
                    "ratio": round(medians["wardwatch"] / medians["rsigma"], 2),
                    "load_seconds": {name: round(value, 2) for name, value in loads.items()},
                }
                print(rules_name, file_name, result[f"{rules_name}/{file_name}"], file=sys.stderr, flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
