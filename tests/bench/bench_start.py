"""How long ``./wardwatch up`` takes until it is ready, on an installation that is there: first start, and second.

    python tests/bench/bench_start.py

Prints one JSON line, in seconds from the command to the line that says so.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from streams.embedded.java import free_port  # noqa: E402


def start(folder: str) -> float:
    began = time.perf_counter()
    command = [ROOT / "wardwatch", "up", "--data-dir", folder, "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        for line in up.stdout:
            if line.startswith("ready after"):
                took = time.perf_counter() - began
                up.send_signal(signal.SIGINT)
                up.stdout.read()
                return took
    raise SystemExit("it did not get ready")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = {"first": start(folder), "second": start(folder)}
    print(json.dumps({name: round(value, 1) for name, value in result.items()}))


if __name__ == "__main__":
    main()
