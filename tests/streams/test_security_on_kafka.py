"""The product on Kafka as it is in production: TLS, SCRAM, and an authorizer with the ACLs of ``deploy/kafka``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.certificates import Authority
from servers.secure_kafka import SecureKafka

from streams import topics
from streams.admin import create_topics
from streams.commands import acls
from streams.commands.letters import envelopes, replay
from streams.commands.status import read_status
from streams.demo.records import audit_event, cloudtrail, device_event
from streams.emitter import Emitter
from streams.keys import load_keys
from streams.security import Security
from streams.settings import KafkaSecurity, Settings
from streams.sinks.store import AlertStore

ROOT = Path(__file__).parents[2]
ACLS = ROOT / "deploy" / "kafka" / "acls.toml"
PASSWORD = "synthetic-password, with=signs"

pytestmark = pytest.mark.kafka


class Secured:
    """The broker, and settings for each role on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.kafka = SecureKafka(folder / "kafka", self.authority)
        (folder / "password").write_text(f"{PASSWORD}\n")

    def scram(self, role: str, **changes: Any) -> KafkaSecurity:
        given = {
            "protocol": "SASL_SSL",
            "ca_file": str(self.authority.file),
            "username": f"wardwatch-{role}",
            "password_file": str(self.folder / "password"),
        }
        return KafkaSecurity(**{**given, **changes})

    def settings(self, role: str) -> Settings:
        return Settings(
            kafka=self.kafka.at("SASL_SSL"),
            kafka_security=self.scram(role),
            partitions=1,
            data_dir=self.folder / "data",
        )

    def environment(self, role: str) -> dict[str, str]:
        settings = self.settings(role)
        security = {k: v for k, v in dict(settings.kafka_security).items() if isinstance(v, str) and v}
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "WARDWATCH_KAFKA": settings.kafka,
            "WARDWATCH_DATA_DIR": str(settings.home),
            "WARDWATCH_PARTITIONS": "1",
            "WARDWATCH_IDLE_AFTER": "1",
            **{f"WARDWATCH_KAFKA_SECURITY__{name.upper()}": value for name, value in security.items()},
        }


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("secured"))
    made.kafka.start()
    for principals, _ in acls.read_acls(ACLS).values():
        for principal in principals:
            made.kafka.add_user(principal.removeprefix("User:"), PASSWORD)
    yield made
    made.kafka.stop()


@pytest.fixture(scope="module")
def administrator(secured: Secured) -> Settings:
    return Settings(kafka=secured.kafka.bootstrap)


def emit(secured: Secured, role: str, *events: dict[str, Any], source: str) -> None:
    settings = secured.settings(role)
    with Emitter(settings.kafka, producer=role, security=settings.security) as emitter:
        for event in events:
            emitter.emit(event, source=source)


def wait(condition: Any, *, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return found


NOW = int(time.time() * 1000)
BAD = {"nothing": "in it"}
TRAIL = cloudtrail(
    id="synthetic-trail",
    time=NOW,
    name="StopLogging",
    service="cloudtrail",
    user="synthetic-user",
    address="192.0.2.1",
)
DEVICE = device_event(
    id="synthetic-device",
    time=NOW,
    device="pump-1",
    type="infusion-pump",
    event="alarm",
    action="occlusion",
    address="192.0.2.2",
    patient="Patient/synthetic-1",
)


def test_the_whole_way_needs_each_of_the_acls_and_no_other(secured: Secured, administrator: Settings) -> None:
    """What the authorizer allowed it allowed by an ACL of the file, every ACL of the file was one by which it allowed
    something, and nothing was denied."""
    assert acls.run(administrator, ACLS, only_look=True)[1] is False
    acls.run(administrator, ACLS)
    lines, as_told = acls.run(administrator, ACLS, only_look=True)
    assert as_told, lines
    secured.kafka.decisions()

    assert len(create_topics(secured.settings("setup"))) == len(topics.ALL)
    worker = subprocess.Popen([sys.executable, "-m", "streams.worker"], env=secured.environment("worker"))
    try:
        emit(secured, "emitter-ehr", BAD, source="fhir")
        emit(secured, "emitter-iot", BAD, DEVICE, source="device")
        emit(secured, "emitter-cloud", BAD, TRAIL, source="cloudtrail")
        operator = secured.settings("operator")
        wait(lambda: len(list(envelopes(operator))) == 3)
        store = AlertStore(operator.store_path, read_only=True)
        wait(lambda: store.alerts(after=0, limit=1))
        store.close()
        assert len(replay(operator, load_keys(operator.home).dead_letter_private(), lambda _: True).sent) == 3
        status = wait(lambda: (s := read_status(secured.settings("console"))) and not any(s.lag.values()) and s)
        assert status.last_alert["findings"]
    finally:
        worker.terminate()
        assert worker.wait(30) == 0

    decisions = secured.kafka.decisions()
    assert [decision for decision in decisions if not decision.allowed] == []
    assert sorted({(d.principal, *d.rule) for d in decisions if d.rule}) == sorted(
        (principal, acl.resource, acl.name, acl.operation)
        for principals, given in acls.read_acls(ACLS).values()
        for principal in principals
        for acl in given
    )
