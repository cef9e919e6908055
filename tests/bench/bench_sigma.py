"""``wardwatch detect`` on recorded CloudTrail against RSigma, the fastest Sigma evaluator known, on the same core.

    WARDWATCH_TEST_DATA=… python tests/bench/bench_sigma.py [--events 100000] [--rounds 3] [--loading]

RSigma (``cargo install rsigma --locked``) is looked for on the path or named by ``WARDWATCH_RSIGMA``. Both are whole
processes: they load rules, read a file and write findings. What loading takes is measured apart, with an empty file,
and taken off. Long numbers in events are varied, so that no cache sees a line twice.

Prints one JSON line: lines per second of CPU, ratios, and the most memory that ``detect`` took, by set of rules
(``cloud``: the public ones, ``large``: 3,132) and file (``attacks``: one line in ten is found, ``harmless``: one in a
hundred). Then what loading the large set takes without a cache and with one, beside pySigma, the reference
implementation, on the same files; with ``--loading`` that and nothing else, for which RSigma is not needed.
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
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from sigma_load import harmless, many_rules, varied  # noqa: E402

LARGE = 3132
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


#: Starts a process from a small one: what a process is said to have taken begins with what started it had.
LAUNCHER = """
import json, os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]), file=sys.stderr)
"""

LOAD = """
import sys, time
from pathlib import Path
from detectors.rules import load
began = time.process_time()
rules = load([Path(sys.argv[1])], cache=Path(sys.argv[2]))
print(time.process_time() - began, len(rules.rules))
"""
PYSIGMA = """
import sys, time
from sigma.collection import SigmaCollection
began = time.process_time()
rules = SigmaCollection.load_ruleset([sys.argv[1]], collect_errors=True)
print(time.process_time() - began, len(rules.rules))
"""


class Used(NamedTuple):
    """What a whole process took."""

    seconds: float  #: of CPU
    megabytes: float  #: at most, at one time


def used(command: list[str], out: Path) -> Used:
    """Run ``command`` on one core."""
    core = str(sorted(os.sched_getaffinity(0))[-1])
    told = out.with_suffix(".used")
    with out.open("wb") as stream, told.open("wb") as errors:
        launched = [sys.executable, "-S", "-E", "-c", LAUNCHER, "taskset", "-c", core, *command]
        subprocess.run(launched, stdout=stream, stderr=errors, env=ENVIRONMENT, check=True)
    return Used(*json.loads(told.read_text().splitlines()[-1]))


def seconds(command: list[str], out: Path) -> float:
    return used(command, out).seconds


def loading(large: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of CPU in which the large set is loaded; each round without a cache, then with the one it left."""
    kinds: dict[str, list[float]] = {"cold": [], "cached": [], "pysigma": []}
    for number in range(rounds):
        cache = str(folder / f"{number}.cache")
        for name, script in (("cold", LOAD), ("cached", LOAD), ("pysigma", PYSIGMA)):
            out = folder / "loading.out"
            used([sys.executable, "-c", script, str(large), cache], out)
            took, count = out.read_text().split()
            assert int(count) == LARGE, f"{name} loaded {count} rules"
            kinds[name].append(float(took))
    medians = {name: statistics.median(values) for name, values in kinds.items()}
    ratios = {name: round(medians["pysigma"] / medians[name], 1) for name in ("cold", "cached")}
    return {"seconds": {name: round(value, 2) for name, value in medians.items()}, "ratio": ratios}


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
    options.add_argument("--loading", action="store_true")
    chosen = options.parse_args()
    data = Path(os.environ["WARDWATCH_TEST_DATA"])
    rsigma = os.environ.get("WARDWATCH_RSIGMA") or shutil.which("rsigma")
    if rsigma is None and not chosen.loading:
        raise SystemExit("rsigma is neither on the path nor named by WARDWATCH_RSIGMA: cargo install rsigma --locked")
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        large, empty = folder / "large", folder / "empty.jsonl"
        large.mkdir()
        many_rules(data, large, LARGE)
        empty.write_bytes(b"")
        if chosen.loading:
            print(json.dumps({"loading": loading(large, folder, chosen.rounds)}))
            return
        assert rsigma is not None
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
        result: dict[str, Any] = {}
        for rules_name, rules in sets.items():
            for file_name, file in files.items():
                count = sum(1 for _ in file.open("rb"))
                rates: dict[str, list[float]] = {"wardwatch": [], "rsigma": []}
                loads: dict[str, float] = {}
                peaks: dict[str, float] = {}
                for _ in range(chosen.rounds):
                    for name, measured in rates.items():
                        command = [ours(rules, file), ours(rules, empty)]
                        if name == "rsigma":
                            command = [theirs(rsigma, rules, file), theirs(rsigma, rules, empty)]
                        whole, alone = (used(one, folder / f"{name}.out") for one in command)
                        loads[name], peaks[name] = alone.seconds, whole.megabytes
                        measured.append(count / (whole.seconds - alone.seconds))
                medians = {name: round(statistics.median(values)) for name, values in rates.items()}
                result[f"{rules_name}/{file_name}"] = {
                    **medians,
                    "ratio": round(medians["wardwatch"] / medians["rsigma"], 2),
                    "load_seconds": {name: round(value, 2) for name, value in loads.items()},
                    "megabytes": {name: round(value) for name, value in peaks.items()},
                }
                print(rules_name, file_name, result[f"{rules_name}/{file_name}"], file=sys.stderr, flush=True)
        result["loading"] = loading(large, folder, chosen.rounds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
