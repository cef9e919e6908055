"""Stock Faust 0.15.3, an agent that does nothing, settings that were found best for it.

python stock_faust.py BOOTSTRAP EVENTS TOPIC...
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from typing import Any

import faust
import uvloop
from meter import Meter


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
    meter = Meter(int(events), warm=2000)
    topic = app.topic(*names, key_serializer="raw", value_serializer="raw")

    async def empty(stream: Any) -> None:
        async for _ in stream:
            if meter.add(1):
                meter.finish()

    app.agent(topic)(empty)
    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
