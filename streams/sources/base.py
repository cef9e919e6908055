"""What a source is: one file that turns one kind of log record into a :class:`Draft`.

A draft is still inside ingest: it holds patient identifiers in clear, and the vendor's record stays whole
beside it so that rules can read it. :mod:`streams.privacy` turns it into an event that may leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

__all__ = ["BadRecord", "Draft", "LogSource", "Source"]


class BadRecord(ValueError):
    """A record that cannot be normalised. Its message says which field and why, and quotes no patient data."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """Sigma's ``logsource`` of a source: a rule is tried where each part it names is equal."""

    product: str = ""
    service: str = ""
    category: str = ""


@dataclass(slots=True)
class Draft:
    """One event before privacy. Identifiers are raw; every one that names a patient is listed."""

    id: str  #: vendor's id, or "" where the record has none
    time: int  #: ms since the epoch, UTC
    actor: str  #: raw ``kind:id``, e.g. ``user:Practitioner/7``; ``patient:…`` where the actor is a patient
    fields: dict[str, Any]  #: flat ECS names to values; may still hold identifiers
    patients: list[str] = field(default_factory=list)  #: raw ids without kind, e.g. ``Patient/123``
    device: str = ""  #: ``device:…``
    address: str = ""  #: ``address:…``
    #: Every string in the record that identifies a patient: ids, record numbers, names, contact data.
    identifiers: set[str] = field(default_factory=set)
    #: What rules see instead of the record, where names of the record's own would hide those of ECS.
    shown: Mapping[str, Any] | None = None
    logsource: LogSource | None = None  #: a constant, where the record is of another service than its source's others
    #: What rules find under a name in place of the record's own; it leaves ingest no more than the record does.
    aliases: dict[str, Any] | None = None


@runtime_checkable
class Source(Protocol):
    """One kind of log. Stateless; :func:`streams.sources.checks.check_source` holds each to the contract.

    One whose records may also be lines of text has ``lines = True`` beside this, and reads them from ``message``.
    """

    name: str  #: what ``--source`` takes, e.g. ``fhir``
    topic: str  #: the topic its records arrive on, e.g. ``audit.ehr``
    logsource: LogSource
    lateness: int  #: ms that a record of this kind may arrive after it happened
    released: frozenset[str]  #: ECS fields that may leave ingest
    subject: str  #: whom a rule's finding is about: ``actor`` or ``device``

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """True where the record's shape is this source's; used by ``auto``. Never raises."""
        ...

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        """Read one record. Raises :class:`BadRecord` with field and reason; never anything else."""
        ...
