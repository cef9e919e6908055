"""Records that hold other records, as services of the clouds hand logs on: one in, many events out.

==================================  =====================================================================
``[...]``                           an array, as the emitter sends many at once; its members are objects,
                                    or the text of records that are no JSON
``{"Records": [...]}``              CloudTrail, as it lies in S3
``{"records": [...]}``              Azure Monitor, as Event Hubs and storage accounts have it
``{"detail": {...}}``               EventBridge
``{"logEvents": [...]}``            CloudWatch Logs, a subscription; each message is JSON or a flow line
``{"kind": "…List", "items": []}``  Kubernetes' audit webhook; the Reports API of Google Workspace
``{"events": [...]}``               one activity of Google Workspace: a record for each of its events
``{"properties": {"log": "{…}"}}``  Kubernetes' audit log of AKS, through Azure Monitor
``{"AuditData": …}``                Microsoft 365, as exported by a search
``{"value": [...]}``                Microsoft Graph, a page of sign-ins or audits
``{"message": "{…}"}``              what a shipper made of a line
==================================  =====================================================================

A record is looked into only where no source reads it as it stands, so what is not wrapped costs nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from streams.sources.base import BadRecord
from streams.sources.vpc_flow import flow_header, flow_line

__all__ = ["DEEPEST", "MOST", "contents", "unwrap", "written"]

#: How many wrappers may lie in one another: CloudTrail in EventBridge in CloudWatch Logs in a shipper's line.
DEEPEST: Final = 4
#: Records in one: as many as a megabyte holds, and as few as there are positions for what is made of them.
MOST: Final = 10_000

_LISTS: Final = ("Records", "records", "items", "value", "logEvents", "events")


def unwrap(record: Mapping[str, Any]) -> list[Any] | None:
    """What one wrapper holds, in order; None where ``record`` is none that is known here.

    Members that are no objects are given as they are, so that each of them is told of.
    """
    for name in _LISTS:
        members = record.get(name)
        if isinstance(members, list) and _holds(name, record):
            return list(_members(name, members, record))
    detail = record.get("detail")
    if isinstance(detail, dict) and ("detail-type" in record or "detailType" in record):
        return [detail]
    for name in ("AuditData", "auditData", "message", "Message"):
        inside = record.get(name)
        found = _parsed(inside) if isinstance(inside, str) else inside
        if isinstance(found, dict):
            return [found]
    properties = record.get("properties")
    if isinstance(properties, dict) and isinstance(properties.get("log"), str):
        return [_parsed(properties["log"])]
    return None


def contents(raw: bytes) -> list[Any] | None:
    """What the bytes of one record hold, in order; None where they are one record, or nothing that is known here."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _flow_lines(raw)
    except RecursionError:
        return None
    if isinstance(value, list):
        return value or None
    return unwrap(value) if isinstance(value, dict) else None


def written(member: Any) -> bytes:
    """The bytes of one of :func:`contents`, as if it lay there by itself. Raises BadRecord on one nested too deeply."""
    if isinstance(member, str):
        return member.encode()
    try:
        return orjson.dumps(member)
    except TypeError:  # it reads four times as deep as it writes
        try:
            return json.dumps(member, separators=(",", ":")).encode()
        except RecursionError:
            raise BadRecord("a record in it is nested too deeply") from None


def _flow_lines(raw: bytes) -> list[Any] | None:
    """The records of a value that is lines of VPC flow logs, with or without their header; None where it is not."""
    try:
        lines = raw.decode("ascii").splitlines()
    except UnicodeDecodeError:
        return None
    names = flow_header(lines[0]) if lines else None
    records = [flow_line(line, names or ()) for line in (lines[1:] if names else lines) if line.strip()]
    if not records:
        return [] if names else None
    found = [record for record in records if record is not None]
    return list(found) if len(found) == len(records) else None


def _holds(name: str, record: Mapping[str, Any]) -> bool:
    """True where a list of that name holds records, and is no part of one."""
    members = record[name]
    if members and not any(isinstance(member, dict) for member in members):
        return False
    if name == "items":
        return str(record.get("kind")) in ("EventList", "admin#reports#activities")
    if name == "events":
        return isinstance(record.get("id"), dict)
    return True


def _members(name: str, members: list[Any], record: Mapping[str, Any]) -> Iterator[Any]:
    if name == "events":
        shared = {key: value for key, value in record.items() if key != "events"}
        for number, event in enumerate(members):
            yield {**shared, **event, "event_number": number} if isinstance(event, dict) else event
    elif name == "logEvents":
        if record.get("messageType") != "CONTROL_MESSAGE":
            for event in members:
                yield _message(event)
    else:
        yield from members


def _message(event: Any) -> Any:
    """The record in one event of CloudWatch Logs."""
    said = event.get("message") if isinstance(event, dict) else None
    if not isinstance(said, str):
        return said
    line = flow_line(said)
    return line if line is not None else _parsed(said)


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        return None
