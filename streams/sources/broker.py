"""What the logs of MQTT brokers have in common: which acts there are, and how an event of one is told.

A client is a device, known by its client id; who it signed in as is the actor, where the log says so. Topics may name
patients, and payloads are measurements: rules may read them, and neither is released.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

from streams.sources.base import Draft

__all__ = ["ACTS", "RELEASED", "broker_event"]

#: Each act to ECS category and type.
ACTS: Final[dict[str, tuple[str, str]]] = {
    "mqtt-authenticate": ("authentication", "start"),
    "mqtt-connect": ("network", "connection"),
    "mqtt-connection-open": ("network", "connection"),
    "mqtt-disconnect": ("network", "end"),
    "mqtt-publish": ("network", "access"),
    "mqtt-subscribe": ("network", "access"),
    "mqtt-unsubscribe": ("network", "info"),
    "mqtt-message": ("network", "info"),
    "mqtt-broker-start": ("host", "start"),
    "mqtt-broker-stop": ("host", "end"),
    "mqtt-log": ("host", "info"),
}

RELEASED: Final = frozenset(
    {
        "device.id",
        "event.action",
        "event.category",
        "event.dataset",
        "event.kind",
        "event.outcome",
        "event.reason",
        "event.type",
        "network.protocol",
        "source.ip",
        "source.port",
        "user.id",
    }
)


def broker_event(
    broker: str,
    time: int,
    act: str,
    outcome: str,
    *,
    client: str = "",
    user: str = "",
    address: str = "",
    port: int | None = None,
    reason: str = "",
    id: str = "",
) -> Draft:
    """One event of ``broker``. ``act``: one of :data:`ACTS`; ``reason``: a word of ours or of the broker's own list.

    An ``address`` that is none is left out: brokers write what a proxy told them.
    """
    category, type_ = ACTS[act]
    if type_ == "access" and outcome == "failure":
        type_ = "denied"
    fields: dict[str, Any] = {
        "event.kind": "event",
        "event.category": [category],
        "event.type": [type_],
        "event.action": act,
        "event.outcome": outcome,
        "event.dataset": f"{broker}.log",
        "network.protocol": "mqtt",
    }
    device = f"device:{client}" if client else ""
    actor = f"user:{user}" if user else device or f"service:{broker}"
    draft = Draft(id=id, time=time, actor=actor, fields=fields, device=device)
    if client:
        fields["device.id"] = client
    if user:
        fields["user.id"] = user
    if reason:
        fields["event.reason"] = reason
    try:
        known = str(ip_address(address.strip("[]")))
    except ValueError:
        return draft
    fields["source.ip"] = known
    draft.address = f"address:{known}"
    if port is not None and 0 <= port <= 65535:
        fields["source.port"] = port
    return draft
