"""A broker that ends connections which do not say anew who they are (KIP-368), as clusters with tokens are set up."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from secured import ACLS, PASSWORD, Secured, wait

from streams.admin import create_topics
from streams.commands import acls
from streams.demo.records import device_event
from streams.emitter import Emitter
from streams.settings import Settings
from streams.sinks.event_store import EventStore
from streams.sinks.store import AlertStore

pytestmark = pytest.mark.kafka

SESSION = 2.0
EVENTS = 120


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kafka-python leaves sockets open
def test_events_and_alerts_go_on_while_every_connection_is_ended_again_and_again(tmp_path: Path) -> None:
    secured = Secured(tmp_path, session=SESSION)
    secured.kafka.start()
    try:
        for principals, _ in acls.read_acls(ACLS).values():
            for principal in principals:
                secured.kafka.add_user(principal.removeprefix("User:"), PASSWORD)
        acls.run(Settings(kafka=secured.kafka.bootstrap), ACLS)
        create_topics(secured.settings("setup"))
        AlertStore(secured.settings("worker").store_path).close()
        log = (tmp_path / "worker.log").open("w")
        workers = [
            subprocess.Popen([sys.executable, "-m", "streams.worker", *only], env=secured.environment(role), stderr=log)
            for role, only in (("worker", []), ("events", ["--only", "events"]))
        ]
        try:
            settings = secured.settings("emitter-iot")
            with Emitter(settings.kafka, producer="tests", security=settings.security) as emitter:
                for number in range(EVENTS):
                    emitter.emit(alarm(number))
                    time.sleep(3 * SESSION / EVENTS)
            operator = secured.settings("operator")
            wait(lambda: kept(operator) == EVENTS)
        finally:
            for process in workers:
                process.terminate()
            assert [process.wait(30) for process in workers] == [0, 0]
        told = (tmp_path / "worker.log").read_text()
        assert "stopped" not in told
    finally:
        secured.kafka.stop()


def alarm(number: int) -> dict[str, object]:
    return device_event(
        id=f"device-{number}",
        time=int(time.time() * 1000),
        device=f"pump-{number % 7}",
        type="pump",
        event="firmware",
        action="firmware_downgrade",
        address="192.0.2.8",
    )


def kept(settings: Settings) -> int:
    store = EventStore(settings.events_path, read_only=True)
    try:
        return store.count()
    finally:
        store.close()
