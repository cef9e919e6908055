"""The work of bench_driver.py in Faust: ``python app_faust.py stock|tuned|driver BOOTSTRAP EVENTS``.

``stock``: faust-streaming's own driver and settings. ``tuned``: the settings that were found best for it. ``driver``:
the product's batch driver.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import uuid
from typing import Any

import faust
import orjson
import uvloop
from meter import Meter

from streams.transport import BatchApp, BatchSchema

mode, bootstrap, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
meter = Meter(events)
settings: dict[str, Any] = {
    "broker": f"aiokafka://{bootstrap}",
    "store": "memory://",
    "web_enabled": False,
    "topic_disable_leader": True,
    "topic_allow_declare": False,
    "datadir": tempfile.mkdtemp(),
    "broker_session_timeout": 10,
}
if mode != "stock":
    uvloop.install()
    settings |= {"stream_buffer_maxsize": 65536, "producer_linger": 0.02}
app = (BatchApp if mode == "driver" else faust.App)(f"bench-{uuid.uuid4().hex[:8]}", **settings)
alerts = app.topic("alerts", key_serializer="raw", value_serializer="raw")


async def one_by_one(stream: Any) -> None:
    async for value in stream:
        if orjson.loads(value)["event"]["action"] == "EXPORT":
            meter.alerts += 1
            await alerts.send(key=b"k", value=value)
        if meter.add(1):
            meter.finish()


async def by_batch(stream: Any) -> None:
    settling: set[asyncio.Task[None]] = set()
    async for batch in stream.noack():
        found = [r.value for r in batch.records if orjson.loads(r.value)["event"]["action"] == "EXPORT"]
        meter.alerts += len(found)
        sent = [await alerts.send(key=b"k", value=value) for value in found]
        task = asyncio.create_task(_settle(batch, sent))
        settling.add(task)
        task.add_done_callback(settling.discard)
        if meter.add(len(batch)):
            await asyncio.gather(*settling)
            meter.finish()


async def _settle(batch: Any, sent: list[Any]) -> None:
    """Acknowledged once what it gave is: more than stock Faust promises."""
    await asyncio.gather(*sent)
    batch.ack()


if mode == "driver":
    gc.set_threshold(50_000, 20, 100)  # as the product's worker does
    app.agent(app.topic("work", schema=BatchSchema(max_records=1000, max_inflight=8), maxsize=32))(by_batch)
else:
    app.agent(app.topic("work", key_serializer="raw", value_serializer="raw"))(one_by_one)

if __name__ == "__main__":
    faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()
