"""The emitter for asyncio and for logging, on a real broker: what they take arrives, and they hold nobody up."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaTimeoutError, TopicAlreadyExistsError
from topic_reading import read_topic

from streams import refusals
from streams.async_emitter import AsyncEmitter
from streams.emitter import TOPICS, AuditEvent, DeviceEvent, Emitter
from streams.log_handler import WardwatchHandler

pytestmark = pytest.mark.kafka

AUDIT = AuditEvent(
    interaction="read",
    practitioner="Practitioner/synthetic-1",
    patient="Patient/synthetic-1",
    resource="Observation/1",
    observer="synthetic-ehr",
)


@pytest.fixture
def topics(kafka: str) -> str:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    for name in set(TOPICS.values()) - set(admin.list_topics()):
        with suppress(TopicAlreadyExistsError):
            admin.create_topics([NewTopic(name, 2, 1)])
    admin.close()
    return kafka


def found(kafka: str, topic: str, unique: str) -> list[tuple[str, str, str]]:
    """Event id, source and key of the records whose id begins like this, in order."""
    records = [(dict(r.headers), r.key or b"") for some in read_topic(kafka, topic).values() for r in some]
    told = [(h["event-id"].decode(), h["source"].decode(), key.decode()) for h, key in records]
    return [one for one in told if one[0].startswith(unique)]


def device(event_id: str) -> dict[str, Any]:
    return DeviceEvent(device="pump-1", type="infusion-pump", event="alarm", action="occlusion", id=event_id).record()


async def test_tasks_emit_in_order_and_what_is_no_event_raises_where_it_was_emitted(topics: str, unique: str) -> None:
    async with AsyncEmitter(topics, producer="tests") as emitter:
        for number in range(50):
            assert await emitter.emit(device(f"{unique}-{number:02}"), key="pump-1") == f"{unique}-{number:02}"
        with pytest.raises(ValueError, match="no known shape of event"):
            await emitter.emit({"hello": "world"})
        await emitter.flush()
        assert found(topics, "audit.iot", unique) == [(f"{unique}-{n:02}", "device", "pump-1") for n in range(50)]


async def test_the_event_loop_goes_on_while_no_broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is open and says nothing."""
    monkeypatch.setattr(refusals, "_PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        emitter = AsyncEmitter(
            f"127.0.0.1:{silent.getsockname()[1]}", producer="tests", bootstrap_timeout_ms=500, request_timeout_ms=400
        )
        opening = asyncio.create_task(emitter.emit(AUDIT))
        longest, last = 0.0, time.monotonic()
        while not opening.done():
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        with pytest.raises(KafkaTimeoutError):
            await opening
        assert longest < 0.4
        await emitter.close()


@pytest.fixture
def audit(unique: str) -> Iterator[logging.Logger]:
    logger = logging.getLogger(f"audit.{unique}")
    yield logger
    logger.handlers.clear()


def test_a_log_record_s_event_is_emitted_and_others_pass(topics: str, unique: str, audit: logging.Logger) -> None:
    audit.setLevel(logging.INFO)
    with Emitter(topics, producer="tests") as emitter:
        handler = WardwatchHandler(emitter)
        audit.addHandler(handler)
        audit.info("opened", extra={"event": AUDIT, "event_id": f"{unique}-1", "key": "k"})
        audit.info(device(f"{unique}-2"))
        audit.info("nothing to send, %s", "really")
        audit.debug("below the level", extra={"event": AUDIT, "event_id": f"{unique}-3"})
    assert handler.refused == 0
    assert found(topics, "audit.ehr", unique) == [(f"{unique}-1", "fhir", "k")]
    assert found(topics, "audit.iot", unique) == [(f"{unique}-2", "device", "")]


def test_a_log_call_never_fails_and_what_was_not_taken_is_told(
    topics: str, audit: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    with Emitter(topics, producer="tests") as emitter:
        handler = WardwatchHandler(emitter)
        audit.addHandler(handler)
        audit.error("opened", extra={"event": {"no": "event"}})
        audit.error("opened", extra={"event": AUDIT, "source": "fax"})
    assert handler.refused == 1, "a typed event knows its source"
    assert "no known shape of event" in capsys.readouterr().err
