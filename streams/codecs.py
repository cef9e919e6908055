"""Events, findings and alerts as bytes and back: JSON with the schema version in every value."""

from __future__ import annotations

from typing import Any, Literal, cast

import orjson

from detectors.base import Alert, Event, Finding
from streams.lineage import SCHEMA, NewerSchema

__all__ = [
    "Overlap",
    "alert_document",
    "decode_alert",
    "decode_event",
    "decode_finding",
    "encode_alert",
    "encode_event",
    "encode_finding",
    "finding_document",
    "overlap_of",
    "read_finding",
    "timely_event",
]

#: Of the two readings of an event while keys overlap: the one under the new key, of which detectors learn and say
#: nothing, and the one under the earlier key, which is for detectors alone and nobody else's event.
Overlap = Literal["new", "earlier"]


def _bytes(value: Any) -> bytes:
    """JSON in bytes of its own size: orjson's hold on to the buffer they were written in, which is far larger."""
    return bytes(memoryview(orjson.dumps(value)))


def encode_event(event: Event, overlap: Overlap | None = None) -> bytes:
    """``overlap``: which of two readings of one event it is, while one pseudonym key takes over from another."""
    return _bytes(
        {
            "v": SCHEMA,
            **({} if overlap is None else {"overlap": overlap}),
            "id": event.id,
            "time": event.time,
            "source": event.source,
            "actor": event.actor,
            "patients": event.patients,
            "device": event.device,
            "address": event.address,
            "timely": event.timely,
            "fields": event.fields,
        }
    )


def decode_event(raw: bytes) -> Event:
    """The event that ``raw`` holds. Raises NewerSchema on a later version, ValueError (KeyError) on else."""
    value = _load(raw)
    return Event(
        value["id"],
        value["time"],
        value["source"],
        value["actor"],
        tuple(value["patients"]),
        value["device"],
        value["address"],
        value["timely"],
        value["fields"],
    )


def overlap_of(raw: bytes) -> Overlap | None:
    """What :func:`encode_event` was told of it."""
    overlap: Overlap | None = _load(raw).get("overlap")
    return overlap


class _Unread:
    """An event whose time is known and whose rest is read when somebody asks for it: most events nobody asks about."""

    __slots__ = ("_raw", "actor", "address", "device", "fields", "id", "patients", "source", "time", "timely")

    def __init__(self, raw: bytes, time: int) -> None:
        self._raw = raw
        self.time = time
        self.timely = True

    def __getattr__(self, name: str) -> Any:
        # Only what has no value yet comes here, so this happens once.
        value = _load(self._raw)
        self.id = value["id"]
        self.source = value["source"]
        self.actor = value["actor"]
        self.patients = tuple(value["patients"])
        self.device = value["device"]
        self.address = value["address"]
        self.fields = value["fields"]
        return object.__getattribute__(self, name)

    keys = Event.keys


def timely_event(raw: bytes, time: int) -> Event:
    """The timely event of ``time`` that ``raw`` holds, read when first asked for more than its time.

    NewerSchema on a later version and ValueError (KeyError) on what :func:`encode_event` did not write are raised then.
    """
    return cast(Event, _Unread(raw, time))


def finding_document(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "detector": finding.detector,
        "entity": finding.entity,
        "time": finding.time,
        "severity": finding.severity,
        "title": finding.title,
        "reason": finding.reason,
        "source": finding.source,
        "event_ids": finding.event_ids,
        "score": finding.score,
        "techniques": finding.techniques,
        "rule": finding.rule,
        "evidence": finding.evidence,
        "timely": finding.timely,
    }


def read_finding(value: dict[str, Any]) -> Finding:
    """The inverse of :func:`finding_document`; takes ``value`` over."""
    value["event_ids"] = tuple(value["event_ids"])
    value["techniques"] = tuple(value["techniques"])
    return Finding(**value)


def encode_finding(finding: Finding) -> bytes:
    return _bytes({"v": SCHEMA, **finding_document(finding)})


def decode_finding(raw: bytes) -> Finding:
    """Raises NewerSchema on a later version, ValueError (KeyError, TypeError) on anything else not ours."""
    value = _load(raw)
    del value["v"]
    return read_finding(value)


def alert_document(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "revision": alert.revision,
        "entity": alert.entity,
        "severity": alert.severity,
        "title": alert.title,
        "reason": alert.reason,
        "status": alert.status,
        "first_seen": alert.first_seen,
        "last_seen": alert.last_seen,
        "findings": [finding_document(finding) for finding in alert.findings],
    }


def encode_alert(alert: Alert) -> bytes:
    return _bytes({"v": SCHEMA, **alert_document(alert)})


def decode_alert(raw: bytes) -> Alert:
    """Raises NewerSchema on a later version, ValueError (KeyError, TypeError) on anything else not ours."""
    value = _load(raw)
    del value["v"]
    value["findings"] = tuple(read_finding(finding) for finding in value["findings"])
    return Alert(**value)


def _load(raw: bytes) -> dict[str, Any]:
    value = orjson.loads(raw)
    if not isinstance(value, dict) or not isinstance(value.get("v"), int):
        raise ValueError("a value without its schema version")
    if value["v"] > SCHEMA:
        raise NewerSchema(f"a value of schema {value['v']}; this worker reads {SCHEMA}: upgrade it")
    return value
