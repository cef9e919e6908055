"""Stock Faust 0.15.3, an agent that does nothing, settings that were found best for it.

python stock_faust.py BOOTSTRAP EVENTS TOPIC...
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
import uuid
from typing import Any

import faust
import uvloop

WARM = 2000


def main() -> None:
    bootstrap, events, *names = sys.argv[1:]
    uvloop.install()
    app = faust.App(
        f"stock-{uuid.uuid4().hex[:8]}",
        broker=f"aiokafka://{bootstrap}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_buffer_maxsize=65536,
        producer_linger=0.02,
        datadir=tempfile.mkdtemp(),
    )
    seen, began, cpu = 0, 0.0, 0.0
    topic = app.topic(*names, key_serializer="raw", value_serializer="raw")

    async def empty(stream: Any) -> None:
        nonlocal seen, began, cpu
        async for _ in stream:
            seen += 1
            if seen == WARM:
                began, cpu = time.perf_counter(), _cpu()
            elif seen == int(events):
                seconds, used, count = time.perf_counter() - began, _cpu() - cpu, seen - WARM
                print(
                    json.dumps({"events_per_second": count / seconds, "cpu_us_per_event": used / count * 1e6}),
                    flush=True,
                )
                os._exit(0)

    app.agent(topic)(empty)
    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
