"""The step before deliveries: an alert for a receiver becomes a pending delivery, or joins a group that is open.

That an alert is over is a delivery too, and goes after the one that told of it. What the pipeline says of itself joins
no group: it is said once, and each ends by itself.

What is pending is the step's state; :mod:`streams.deliveries` sends it. Bodies are fixed here, as webhooks carry them;
other kinds of receivers read them (:mod:`streams.sinks.messages`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from detectors.base import Alert
from streams import topics
from streams.codecs import alert_document, decode_alert
from streams.deadletters import DeadLetters
from streams.holding import Held, group_of, held_key
from streams.lineage import SCHEMA, NewerSchema
from streams.occasions import DETECTOR
from streams.receivers import Receiver
from streams.records import Output, RawRecord, Record
from streams.state import PartitionState

__all__ = ["Delivery", "Notify", "alert_body", "count_more", "groups", "letter", "pending", "webhook_id"]

#: Deliveries that may wait for one receiver; more go to dead letters.
MAX_PENDING = 20_000
#: Groups that one receiver may have open; alerts beyond them come one by one.
MAX_GROUPS = 2000
#: Bytes of a request's body; a longer one goes without evidence, and says so.
MAX_BODY = 256 * 1024


@dataclass(slots=True)
class Delivery:
    """One alert on its way to one receiver."""

    receiver: str
    webhook_id: str
    body: bytes
    attempts: int = 0
    due: int = 0  #: ms since the epoch; 0 is at once
    admitted: bool = False  #: within its receiver's cap, and counted; only asked where there is one
    end: bytes = b""  #: body that says that it is over, which goes once this went

    def follower(self) -> Delivery:
        """The delivery of its :attr:`end`. It calls nobody, so no cap holds it back."""
        told = orjson.loads(self.end)["data"]
        name = _webhook_id(told["id"], told["revision"], self.receiver)
        return Delivery(self.receiver, name, self.end, admitted=True)


class Notify:
    """The step: a pure function of the alert. What is pending is the state. A record's key names its receiver."""

    def __init__(self, receivers: Mapping[str, Receiver], dead_letters: DeadLetters, *, public_url: str = "") -> None:
        """``public_url``: of the web page, for links; empty: none."""
        self._groups = {name: receiver.group_minutes for name, receiver in receivers.items()}
        self._dead_letters = dead_letters
        self._public_url = public_url

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        alert = decode_alert(record.value)
        name = record.key.decode()
        delivery = Delivery(name, webhook_id(alert, name), b"")
        minutes = self._groups.get(name)
        if minutes is None:
            return self._refused(alert, delivery, "its receiver is no longer in the settings")
        over = alert.status == "recovered"
        if over:
            told = state.values.get(_webhook_id(alert.id, alert.revision - 1, name).encode())
            if told is not None:
                told.end = alert_body(alert, "", self._public_url)
                state.values.put(told.webhook_id.encode(), told)
                return ()
        group = group_of(alert, minutes) if minutes and alert.findings[0].detector != DETECTOR else ""
        held = state.values.get(held_key(name, group)) if group else None
        if held is not None:
            held.add(delivery.webhook_id, _message(alert))
            state.values.put(held_key(name, group), held)
            return ()
        waiting = state.counts.get(pending(name), 0)
        if waiting >= MAX_PENDING:
            return self._refused(alert, delivery, f"{waiting} deliveries to {name} wait already")
        count_more(state, pending(name), 1)
        if group and state.counts.get(groups(name), 0) < MAX_GROUPS:
            count_more(state, groups(name), 1)
            state.values.put(held_key(name, group), Held(name, group))
        delivery.body, delivery.admitted = alert_body(alert, group, self._public_url), over
        state.values.put(delivery.webhook_id.encode(), delivery)
        return ()

    def _refused(self, alert: Alert, delivery: Delivery, reason: str) -> list[Output]:
        delivery.body = alert_body(alert, "", self._public_url)
        return [letter(self._dead_letters, delivery, reason, received=alert.last_seen)]

    def dump(self, key: bytes, value: Delivery | Held) -> bytes:
        if isinstance(value, Held):
            return orjson.dumps([SCHEMA, "held", *value.save()])
        saved = [value.receiver, value.body.decode(), value.attempts, value.due, value.admitted, value.end.decode()]
        return orjson.dumps([SCHEMA, *saved])

    def load(self, key: bytes, raw: bytes) -> Delivery | Held:
        schema, *saved = orjson.loads(raw)
        if schema > SCHEMA:
            raise NewerSchema(f"a delivery of schema {schema}; this worker reads {SCHEMA}: upgrade it")
        if key.startswith(b"held."):
            return Held(*saved[1:])
        receiver, body, attempts, due, admitted, *more = saved  # a worker before this one kept no end
        return Delivery(receiver, key.decode(), body.encode(), attempts, due, admitted, *(end.encode() for end in more))


def letter(dead_letters: DeadLetters, delivery: Delivery, reason: str, *, received: int) -> Output:
    """The dead letter of a delivery that will not be tried again."""
    raw = RawRecord(topics.NOTIFICATIONS, 0, 0, received, delivery.body, {"webhook-id": delivery.webhook_id.encode()})
    output = dead_letters.output(raw, stage="notify", reason=reason)
    return output._replace(key=delivery.webhook_id.encode())


def pending(receiver: str) -> str:
    """Name of the count of what waits for a receiver."""
    return f"pending.{receiver}"


def groups(receiver: str) -> str:
    """Name of the count of groups that are open for a receiver."""
    return f"groups.{receiver}"


def count_more(state: PartitionState, name: str, change: int) -> None:
    state.counts[name] = state.counts.get(name, 0) + change


def _type(alert: Alert) -> str:
    if alert.status == "recovered":
        return "alert.resolved"
    return "alert.opened" if alert.revision == 1 else "alert.updated"


def _message(alert: Alert) -> dict[str, Any]:
    return {
        "type": _type(alert),
        "timestamp": alert.last_seen,
        "data": alert_document(alert),
    }


def webhook_id(alert: Alert, receiver: str) -> str:
    """The same at every attempt, whoever makes it: by it a receiver knows a repeat."""
    return _webhook_id(alert.id, alert.revision, receiver)


def _webhook_id(alert_id: str, revision: int, receiver: str) -> str:
    return f"{alert_id}.{revision}.{receiver}"


def alert_body(alert: Alert, group: str = "", public_url: str = "") -> bytes:
    """What a delivery of ``alert`` carries: that of a webhook, MAX_BODY bytes at most."""
    message = _message(alert)
    if group:
        message["group"] = group
    if public_url:
        message["url"] = f"{public_url}#{alert.id}"
    body = orjson.dumps(message)
    if len(body) > MAX_BODY:
        for finding in message["data"]["findings"]:
            finding |= {"evidence": {}, "event_ids": finding["event_ids"][:10]}
        body = orjson.dumps({**message, "truncated": True})
    return body
