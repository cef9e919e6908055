"""Events, findings and alerts as bytes and back: JSON with the schema version in every value."""

from __future__ import annotations

from typing import Any

import orjson

from detectors.base import Alert, Event, Finding
from streams.lineage import SCHEMA, NewerSchema

__all__ = [
    "alert_document",
    "decode_alert",
    "decode_event",
    "decode_finding",
    "encode_alert",
    "encode_event",
    "encode_finding",
    "finding_document",
]


def encode_event(event: Event) -> bytes:
    return orjson.dumps(
        {
            "v": SCHEMA,
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
    """Raises NewerSchema on a later version, ValueError (KeyError) on what :func:`encode_event` did not write."""
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


def _finding(value: dict[str, Any]) -> Finding:
    value["event_ids"] = tuple(value["event_ids"])
    value["techniques"] = tuple(value["techniques"])
    return Finding(**value)


def encode_finding(finding: Finding) -> bytes:
    return orjson.dumps({"v": SCHEMA, **finding_document(finding)})


def decode_finding(raw: bytes) -> Finding:
    """Raises NewerSchema on a later version, ValueError (KeyError, TypeError) on anything else not ours."""
    value = _load(raw)
    del value["v"]
    return _finding(value)


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
    return orjson.dumps({"v": SCHEMA, **alert_document(alert)})


def decode_alert(raw: bytes) -> Alert:
    """Raises NewerSchema on a later version, ValueError (KeyError, TypeError) on anything else not ours."""
    value = _load(raw)
    del value["v"]
    value["findings"] = tuple(_finding(finding) for finding in value["findings"])
    return Alert(**value)


def _load(raw: bytes) -> dict[str, Any]:
    value = orjson.loads(raw)
    if not isinstance(value, dict) or not isinstance(value.get("v"), int):
        raise ValueError("a value without its schema version")
    if value["v"] > SCHEMA:
        raise NewerSchema(f"a value of schema {value['v']}; this worker reads {SCHEMA}: upgrade it")
    return value
