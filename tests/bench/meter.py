"""Counts what an app under measurement takes, from a warm start to its end, in one line that its runner reads."""

from __future__ import annotations

import json
import os
import resource
import time

__all__ = ["Meter", "read_meter"]

_MARK = "MEASURED "


class Meter:
    """:meth:`add` as records are taken; at the last the process prints what it took and ends."""

    def __init__(self, total: int, *, warm: int = 5000) -> None:
        self._total = total
        self._warm = warm
        self._seen = self._from = 0
        self._began = self._used = 0.0
        self.alerts = 0

    def add(self, count: int) -> bool:
        """True once ``total`` records were taken; then call :meth:`finish`."""
        self._seen += count
        if not self._began and self._seen >= self._warm:
            self._from, self._began, self._used = self._seen, time.perf_counter(), _cpu()
        return self._seen >= self._total

    def finish(self) -> None:
        seconds, used, count = time.perf_counter() - self._began, _cpu() - self._used, self._seen - self._from
        told = {
            "events_per_second": count / seconds,
            "cpu_us_per_event": used / count * 1e6,
            "alerts": self.alerts,
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(f"{_MARK}{json.dumps(told)}", flush=True)
        os._exit(0)


def read_meter(output: str) -> dict[str, float]:
    """What the meter of a process told in its ``output``; nothing where the process did not get so far."""
    for line in output.splitlines():
        if _MARK in line:
            measured: dict[str, float] = json.loads(line.partition(_MARK)[2])
            return measured
    return {}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
