"""Synthetic audit messages, as DICOM PS3.15 A.5 and as RFC 3881 write them, bare and in syslog."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from streams.reading import parse

__all__ = ["PATIENT", "coded", "message", "participant", "patient", "query", "record", "rfc3881", "syslog"]

PATIENT = "syn-0001^^^&amp;1.2.3&amp;ISO"
USER = '<ActiveParticipant UserID="synthetic-nurse" UserIsRequestor="true" UserName="A nurse"/>'


def coded(name: str, code: str, system: str = "DCM", attribute: str = "csd-code") -> str:
    return f'<{name} {attribute}="{code}" codeSystemName="{system}" originalText="a text"/>'


def participant(user: str, *roles: str, requestor: str = "true", more: str = "") -> str:
    inner = "".join(coded("RoleIDCode", role) for role in roles)
    asked = f' UserIsRequestor="{requestor}"' if requestor else ""
    return f'<ActiveParticipant UserID="{user}"{asked} {more}>{inner}</ActiveParticipant>'


def patient(number: str = PATIENT, name: str = "Synthetic^Ada", inner: str = "", role: str = "1") -> str:
    return (
        f'<ParticipantObjectIdentification ParticipantObjectID="{number}" ParticipantObjectTypeCode="1" '
        f'ParticipantObjectTypeCodeRole="{role}">{coded("ParticipantObjectIDTypeCode", "2", "RFC-3881")}'
        f"<ParticipantObjectName>{name}</ParticipantObjectName>{inner}</ParticipantObjectIdentification>"
    )


def query(text: str) -> str:
    asked = b64encode(text.encode()).decode()
    return (
        '<ParticipantObjectIdentification ParticipantObjectID="urn:uuid:14d4debf" ParticipantObjectTypeCode="2" '
        f'ParticipantObjectTypeCodeRole="24">{coded("ParticipantObjectIDTypeCode", "ITI-18", "IHE Transactions")}'
        f"<ParticipantObjectQuery>{asked}</ParticipantObjectQuery></ParticipantObjectIdentification>"
    )


def message(
    event: str = "110110",
    kind: str = "",
    *,
    action: str = "R",
    outcome: str = "0",
    time: str = "2026-01-05T08:00:00.000Z",
    people: str = USER,
    objects: str = "",
    event_inner: str = "",
) -> str:
    """DICOM's spelling of today."""
    kinds = coded("EventTypeCode", kind, "DCM") if kind else ""
    return (
        f'<AuditMessage><EventIdentification EventActionCode="{action}" EventDateTime="{time}" '
        f'EventOutcomeIndicator="{outcome}">{coded("EventID", event)}{kinds}{event_inner}</EventIdentification>{people}'
        '<AuditSourceIdentification AuditEnterpriseSiteID="synthetic-hospital" AuditSourceID="synthetic-pacs"/>'
        f"{objects}</AuditMessage>"
    )


def rfc3881(text: str) -> str:
    """The same in the spelling of RFC 3881, with its namespace's prefix."""
    older = text.replace("csd-code=", "code=").replace("originalText=", "displayName=")
    for name in ("AuditMessage", "EventIdentification", "ActiveParticipant", "EventID"):
        older = older.replace(f"<{name}", f"<rfc:{name}").replace(f"</{name}", f"</rfc:{name}")
    return older.replace("<rfc:AuditMessage", '<rfc:AuditMessage xmlns:rfc="urn:synthetic:rfc3881"', 1)


def syslog(text: str, stamp: str = "2026-01-05T09:00:00.123+01:00") -> bytes:
    return f"<85>1 {stamp} pacs.hospital.example synthetic-app 4711 IHE+DICOM - \ufeff{text}".encode()


def record(text: str) -> dict[str, Any]:
    return dict(parse(text.encode()))
