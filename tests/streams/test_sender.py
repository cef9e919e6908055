"""A sender tells of every failure by the one exception that its callers send again on."""

from __future__ import annotations

import socket

import pytest

from streams.records import Control
from streams.sender import DeliveryFailed, Sender


async def test_a_broker_that_is_not_there_is_a_failed_delivery() -> None:
    """Anything else would end the task that sends watermarks, and the worker with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sender = Sender(client={"bootstrap_servers": f"127.0.0.1:{port}"}, partitions={"events": 1})
    with pytest.raises(DeliveryFailed):
        await sender.control(Control("events", "watermark", b"{}"))
    await sender.close()
