"""The types every part speaks: events in, findings and alerts out, detectors between.

Frozen; made once at the edge and never validated again. Times are milliseconds since the
Unix epoch, UTC. An entity is named by one string, ``kind:id``: ``user:Practitioner/7``,
``patient:k1.mfzwg…`` (a pseudonym), ``device:pump-12``, ``address:192.0.2.7``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

__all__ = [
    "SEVERITIES",
    "Alert",
    "Detector",
    "EntityKind",
    "Event",
    "Finding",
    "Severity",
    "digest",
]

Severity = Literal["informational", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("informational", "low", "medium", "high", "critical")

#: What an event can be keyed by. Each but ``actor`` is a view: the same event again under another key.
EntityKind = Literal["actor", "patient", "device", "address"]


_NO_FIELDS: Final[Mapping[str, Any]] = {}


class Event(NamedTuple):
    """One normal event, as it leaves ingest: allow-listed ECS fields, patients as pseudonyms."""

    id: str  #: domain id: the vendor's own where there is one; a repeated event repeats it
    time: int
    source: str  #: name of the source that read it, as in :mod:`streams.sources.catalog`
    actor: str  #: entity that acted; never empty
    patients: tuple[str, ...] = ()
    device: str = ""
    address: str = ""
    #: False when ``time`` lies in the future or outside the accepted range: no window opens or closes on it.
    timely: bool = True
    fields: Mapping[str, Any] = _NO_FIELDS  #: flat ECS names to values

    def keys(self, kind: EntityKind) -> tuple[str, ...]:
        """The entities of one kind that this event is about; empty where it names none."""
        if kind == "actor":
            return (self.actor,)
        if kind == "patient":
            return self.patients
        one = self.device if kind == "device" else self.address
        return (one,) if one else ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a detector saw. Created once; neither its id nor its content ever changes."""

    id: str  #: :func:`digest` of what it is about (detector, entity, window or event); no versions in it
    detector: str  #: ``sigma`` for rules, else the detector's name
    entity: str  #: who it is about; findings are grouped by it
    time: int  #: event time of what fired
    severity: Severity
    title: str
    reason: str  #: why it fired, in words; no patient data
    source: str
    event_ids: tuple[str, ...] = ()
    score: float = 1.0  #: 0 to 1
    techniques: tuple[str, ...] = ()  #: ATT&CK ids, e.g. ``T1078``
    rule: Mapping[str, Any] = field(default_factory=dict)  #: ``rule.*``: id, name, author, version, ...
    evidence: Mapping[str, Any] = field(default_factory=dict)  #: flat ECS names to values
    timely: bool = True


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person is shown. It changes, so it has a revision; an older revision never replaces a newer."""

    id: str
    revision: int
    entity: str
    severity: Severity
    title: str
    reason: str
    status: Literal["open", "recovered", "closed"]  #: recovered: what it tells of is over, by itself
    first_seen: int
    last_seen: int
    findings: tuple[Finding, ...]


State = TypeVar("State")


@runtime_checkable
class Detector(Protocol[State]):
    """A detector is configuration; all it remembers of an entity is in that entity's state.

    It is deterministic: the same states and events give the same findings, bit for bit, on any worker. It scores
    before it learns, takes time from the event alone, keeps a state bounded in size and nothing beside it, and says
    why it fired. A finding has the key as its entity and the time, source and id of the event that fired; its evidence
    is what that event said, and its reason quotes none of it. Its id has the entity in it, and no version, count or
    score. :func:`detectors.checks.check_detector` holds every registered detector to that.
    """

    name: str
    entity: EntityKind

    def new(self) -> State:
        """The state of an entity never seen before."""
        ...

    def inspect(self, event: Event, key: str, state: State, watermark: int) -> Iterable[Finding]:
        """Score ``event`` for entity ``key``, then learn from it by changing ``state`` in place.

        ``watermark``: event time (ms) up to which everything has arrived; 0 before it is known. A window that ends at
        or before it is complete.
        """
        ...

    def save(self, state: State) -> list[Any]:
        """The state as JSON numbers, strings and lists, so that nothing read back can run code."""
        ...

    def load(self, saved: list[Any]) -> State:
        """The inverse of :meth:`save`, exact to the bit. Raises ValueError on anything it did not write."""
        ...


def digest(*parts: object) -> str:
    """Id of what ``parts`` name: 128 bits of BLAKE2b in hex, so the same thing has the same id anywhere."""
    text = "\x1f".join(str(part) for part in parts)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
