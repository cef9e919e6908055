"""Says in the stream what a person did with Wardwatch, before they get what they asked for.

The event goes the way of every service's: through the emitter to ``audit.ehr``, and returns as an event, a finding, an
alert. Who it was is taken from the operating system, and from no variable that the person could set.
"""

from __future__ import annotations

import os
import pwd
import socket
import uuid
from datetime import UTC, datetime

from kafka.errors import KafkaTimeoutError

from streams.admin import SetupError
from streams.emitter import BufferFull, DeliveryError, Emitter
from streams.settings import Settings
from streams.sources.own import SCHEMA

__all__ = ["operator", "tell"]

#: How long no broker may answer before a person is told, in ms, and how long it may take to acknowledge, in s.
_PATIENCE_MS = 10_000
_ACKNOWLEDGED = 30.0


def operator() -> str:
    """Who runs this: the user of the real user id. Root through sudo is told as both."""
    through = os.environ.get("SUDO_UID", "") if os.getuid() == 0 else ""
    behind = _name(int(through)) if through.isdecimal() else ""
    return f"{behind} as root" if behind not in ("", "root") else _name(os.getuid())


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"


def tell(settings: Settings, action: str, *, outcome: str = "success", **said: str) -> None:
    """Emit one event, and return once the brokers have it. Raises SetupError where they do not.

    ``said``: what else the event holds: ``reason``, ``patient``, ``subject``, ``key``. What is empty is left out.
    """
    record = {
        "schema": SCHEMA,
        "id": str(uuid.uuid4()),
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "action": action,
        "outcome": outcome,
        "operator": operator(),
        "host": socket.gethostname(),
        **{name: value for name, value in said.items() if value},
    }
    try:
        emitter = Emitter(
            settings.kafka, producer="wardwatch", security=settings.security, bootstrap_timeout_ms=_PATIENCE_MS
        )
    except KafkaTimeoutError as exc:
        raise SetupError(f"no Kafka answers at {settings.kafka}: start it, or name another in WARDWATCH_KAFKA") from exc
    try:
        with emitter:
            emitter.emit(record, source="wardwatch")
            emitter.flush(_ACKNOWLEDGED)
    except (BufferFull, DeliveryError, TimeoutError) as exc:
        raise SetupError(
            f"that you asked could not be written to audit.ehr ({type(exc).__name__}), so nothing is shown: mend Kafka"
        ) from exc
