"""Synthetic AuditEvents that tests change a part of, and a draft of one."""

from __future__ import annotations

from typing import Any

from streams.demo.records import audit_event
from streams.sources.base import Draft
from streams.sources.fhir import FHIR

__all__ = ["DCM", "by", "dicom", "event"]

DCM = "http://dicom.nema.org/resources/ontology/DCM"


def event(**over: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "id": "synthetic-1",
        "time": 1_767_600_000_123,
        "interaction": "read",
        "staff": "p-001",
        "address": "192.0.2.7",
        "patient": "synthetic-0001",
    }
    return audit_event(**(arguments | over))


def dicom(type_code: str, subtype: str, **over: Any) -> dict[str, Any]:
    return event(type_code=type_code, subtype=(DCM, subtype, ""), **over)


def by(agent: dict[str, Any], **over: Any) -> Draft:
    """The draft of a record whose requestor is ``agent``."""
    record = event(**over)
    record["agent"][1] = {"requestor": True} | agent
    return FHIR.normalise(record)
