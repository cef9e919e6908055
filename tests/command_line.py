"""The command line as a person runs it, and records to give it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from streams.demo.records import audit_event, cloudtrail, device_event

__all__ = ["AUDIT", "DEVICE", "NOW", "ROOT", "TRAIL", "Shell", "lines"]


ROOT = Path(__file__).parents[1]


NOW = int(time.time() * 1000)


class Shell:
    def __init__(self, home: Path, kafka: str = "127.0.0.1:9") -> None:
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "WARDWATCH_DATA_DIR": str(home),
            "WARDWATCH_KAFKA": kafka,
            "COLUMNS": "120",
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "streams.cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def run_together(self, *commands: list[str]) -> Iterator[subprocess.CompletedProcess[str]]:
        """Several at once, for those that wait for something."""
        with ThreadPoolExecutor() as pool:
            yield from pool.map(lambda command: self.run(*command), commands)


def lines(*records: Any) -> str:
    return "\n".join(r if isinstance(r, str) else json.dumps(r) for r in records)


AUDIT = audit_event(
    id="a-1",
    time=NOW,
    interaction="delete",
    staff="synthetic-p1",
    address="192.0.2.7",
    patient="synthetic-000001",
)


TRAIL = cloudtrail(
    id="c-1", time=NOW, name="StopLogging", service="cloudtrail", user="synthetic-admin", address="192.0.2.1"
)


DEVICE = device_event(
    id="d-1",
    time=NOW,
    device="pump-1",
    type="infusion-pump",
    event="telemetry",
    action="measurement",
    address="192.0.2.9",
)
