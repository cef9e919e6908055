"""Wardwatch's roles on a Kafka that lets nobody do what no ACL allows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from authority import Authority
from kafka import KafkaAdminClient
from kafka.admin import ACLFilter, ACLPermissionType
from servers.secure_kafka import SecureKafka

from streams.admin import SetupError
from streams.commands import acls
from streams.emitter import DeliveryError, Emitter
from streams.permissions import Acl
from streams.refusals import Refused
from streams.settings import KafkaSecurity, Settings

__all__ = ["ACLS", "PASSWORD", "ROOT", "Secured", "emit", "refused", "wait", "without"]

ROOT = Path(__file__).parents[2]
ACLS = ROOT / "deploy" / "kafka" / "acls.toml"
PASSWORD = "synthetic-password, with=signs"


class Secured:
    """The broker, and settings for each role on it."""

    def __init__(self, folder: Path, *, session: float = 0) -> None:
        """``session``: seconds that a connection by SCRAM may last without saying anew who it is; 0: for ever."""
        self.folder = folder
        self.authority = Authority(folder)
        self.kafka = SecureKafka(folder / "kafka", self.authority, session=session)
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


def refused(do: Callable[[], object], *, seconds: float = 10) -> str:
    """What is told of it. Brokers take a moment until an ACL counts."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            do()
        except (SetupError, DeliveryError, Refused) as exc:
            return str(exc)
        assert time.monotonic() < deadline, "it was allowed"


@contextmanager
def without(administrator: Settings, principal: str, *gone: Acl) -> Iterator[None]:
    """That ACL is taken away, and given back."""
    admin = KafkaAdminClient(bootstrap_servers=administrator.kafka)
    ours = [acls._kafka(principal, acl) for acl in gone]
    admin.delete_acls(
        [ACLFilter(a.principal, None, a.operation, ACLPermissionType.ALLOW, a.resource_pattern) for a in ours]
    )
    yield
    admin.create_acls(ours)
    admin.close()
