"""What each step of the way does to a record, as plain calls: no Kafka, no clock, no network.

The agents run these on what arrives, ``wardwatch detect`` on files, the tests on what lies in the topics afterwards.

- :class:`Reader`: a vendor's record in; its event and what rules found out.
- :class:`Ingest`: one raw record in; its event, the views of it, what rules found, or a dead letter out.
- :class:`Behave`: detectors that remember, one state per entity.
- :class:`Alerting`: a finding becomes an alert, one to one, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from detectors.base import Alert, Detector, EntityKind, Event, Finding, digest
from detectors.rules import RuleSet
from detectors.rules.findings import finding as rule_finding
from streams import topics
from streams.codecs import (
    Overlap,
    decode_finding,
    encode_alert,
    encode_event,
    encode_finding,
    overlap_of,
    timely_event,
)
from streams.deadletters import DeadLetters
from streams.epochs import Epochs
from streams.lineage import SCHEMA, NewerSchema, fingerprint
from streams.privacy import Pseudonyms, release
from streams.reading import parse
from streams.records import Output, RawRecord, Record
from streams.sources.base import BadRecord, Source
from streams.sources.catalog import by_name, recognise
from streams.state import PartitionState

__all__ = ["Alerting", "Behave", "Ingest", "Ingested", "Reader", "Released"]

_HOUR = 3_600_000
#: How far behind the watermark, in ms, an event still counts in its own window. Later ones are counted as late.
LATENESS = _HOUR
#: Bytes of an event and its key, so that all that is made of it fits what its topics take.
LARGEST = 1_000_000
#: Bytes of all views of one event.
LARGEST_TOGETHER = 32_000_000
#: Header an emitter sets once per event and keeps through every retry.
EVENT_ID = "event-id"
#: Header that names the source, so that nothing has to be recognised by its shape.
SOURCE = "source"


#: What tells the views of one event apart, in its fingerprint.
_KIND_BITS: Final[dict[EntityKind, int]] = {"actor": 0, "patient": 1 << 60, "device": 2 << 60, "address": 3 << 60}


#: An Output of a tuple, without a Python call for each.
_OUTPUT: Final = partial(tuple.__new__, Output)


class Released(NamedTuple):
    """What one readable record says: its event, and what rules found in it."""

    event: Event
    source: Source
    findings: tuple[Finding, ...]
    pseudonyms: Pseudonyms  #: what named the patients in it
    earlier: tuple[Event, Pseudonyms] | None = None  #: the same as the key before names it, where that differs


class Ingested(NamedTuple):
    """What one raw record becomes."""

    outputs: Sequence[Output]
    source: str = ""  #: empty on a dead letter
    clock: int = 0  #: event time less the source's lateness; 0 where it says nothing about time


class Reader:
    """Normalise, match rules, release: from a vendor's record to what may leave ingest, and what was found in it."""

    def __init__(self, rules: RuleSet, pseudonyms: Pseudonyms | Epochs) -> None:
        self._rules = rules
        self._at = pseudonyms.at

    def read(
        self, record: Mapping[str, Any], source: Source, *, fallback_id: Callable[[], str], received: int
    ) -> Released:
        """One parsed record. ``fallback_id`` is asked where it has no id; ``received``: ms. Raises BadRecord."""
        draft = source.normalise(record)
        pseudonyms, before = self._at(received)
        event = release(draft, source, pseudonyms, fallback_id=fallback_id, received=received)
        matches = self._rules.match(record, draft.fields, source.logsource)
        findings = tuple(rule_finding(match, event, source.subject) for match in matches) if matches else ()
        earlier = None
        if before is not None:
            same = release(draft, source, before, fallback_id=fallback_id, received=received)
            earlier = None if same == event else (same, before)
        return Released(event, source, findings, pseudonyms, earlier)


class Ingest:
    """One raw record becomes outputs. A pure function of the record, but for the seal of a dead letter."""

    def __init__(self, reader: Reader, dead_letters: DeadLetters, *, views: Iterable[EntityKind] = ()) -> None:
        """``views``: which entities, beside the actor, some detector is keyed by."""
        self._reader = reader
        self._dead_letters = dead_letters
        self._views = tuple((kind, _KIND_BITS[kind]) for kind in views)

    def derive(self, raw: RawRecord) -> Ingested:
        """Everything one record becomes; never raises: what cannot be read is a dead letter that says why."""
        try:
            record = parse(raw.value)
            named = raw.headers.get(SOURCE)
            source = _named(named) if named else recognise(record, raw.topic)
            given = raw.headers.get(EVENT_ID)
            fallback = partial(_event_id, given) if given else partial(digest, raw.topic, raw.partition, raw.offset)
            released = self._reader.read(record, source, fallback_id=fallback, received=raw.received)
            outputs = self._outputs(released)
        except (BadRecord, ValueError) as exc:
            reason = str(exc) if isinstance(exc, BadRecord) else f"{type(exc).__name__} while reading"
            return Ingested((self._dead_letters.output(raw, stage="ingest", reason=reason),))
        except Exception as exc:
            reason = f"{type(exc).__name__} while reading: a defect of the product, please report it"
            return Ingested((self._dead_letters.output(raw, stage="ingest", reason=reason),))
        return Ingested(
            outputs,
            source.name,
            released.event.time - source.lateness if released.event.timely else 0,
        )

    def _outputs(self, released: Released) -> list[Output]:
        if released.earlier is not None:
            return self._twice(released, *released.earlier)
        pseudonyms = released.pseudonyms
        salt = pseudonyms.salt
        event = released.event
        value = encode_event(event)
        mark = fingerprint(event.id)
        time = event.time if event.timely else 0
        size = len(value) + len(event.actor)
        if size > LARGEST:
            raise BadRecord(f"an event of {size} bytes, and the largest is {LARGEST}")
        own = mark ^ salt if salt and pseudonyms.names(event.actor) else mark
        outputs: list[Output] = [_OUTPUT((topics.EVENTS, event.actor.encode(), value, own, time))]
        for kind, name in self._views:
            keys = event.keys(kind)
            for number, key in enumerate(keys):
                view = value if len(keys) == 1 else encode_event(_about(event, key))
                size += len(view)
                if size > LARGEST_TOGETHER:
                    raise BadRecord(f"an event of {len(value)} bytes about {len(keys)} entities, too much to be taken")
                # One event is seen once for each entity, also where two of its entities share a partition.
                own = mark ^ (name + number)
                if salt and pseudonyms.names(key):
                    own ^= salt
                outputs.append(_OUTPUT((topics.VIEWS, key.encode(), view, own, time)))
        if released.findings:
            outputs.extend(map(finding_output, released.findings))
        return outputs

    def _twice(self, released: Released, earlier: Event, before: Pseudonyms) -> list[Output]:
        """As :meth:`_outputs`, while two keys overlap: see :mod:`streams.epochs`.

        An entity whose name changes with the key sees every event once under each of its two names: a mark holds what
        tells the names apart.
        """
        event, pseudonyms = released.event, released.pseudonyms
        outputs: list[Output] = []
        sizes: list[int] = []

        def put(topic: str, key: str, about: Event, mark: int, overlap: Overlap | None) -> None:
            value = encode_event(about, overlap)
            sizes.append(len(value) + len(key))
            if sizes[0] > LARGEST:
                raise BadRecord(f"an event of {sizes[0]} bytes, and the largest is {LARGEST}")
            if sum(sizes) > LARGEST_TOGETHER:
                raise BadRecord(f"an event of {sizes[0]} bytes about too many entities to be taken")
            outputs.append(Output(topic, key.encode(), value, mark, about.time if about.timely else 0))

        for topic, kind, name in ((topics.EVENTS, "actor", 0), *((topics.VIEWS, *view) for view in self._views)):
            keys = event.keys(kind)
            for number, (key, was) in enumerate(zip(keys, earlier.keys(kind), strict=True)):
                mark = name + number
                about = _about(event, key) if len(keys) > 1 else event
                put(topic, key, about, _mark(event, key, pseudonyms) ^ mark, None if key == was else "new")
                if key != was:
                    about = _about(earlier, was) if len(keys) > 1 else earlier
                    put(topic, was, about, _mark(earlier, was, before) ^ mark, "earlier")
        outputs.extend(map(finding_output, released.findings))
        return outputs


def _named(header: bytes) -> Source:
    try:
        return by_name(header.decode("utf-8", "replace"))
    except ValueError as exc:
        raise BadRecord(f"header {SOURCE}: {exc}") from None


def _event_id(header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError:
        raise BadRecord(f"header {EVENT_ID}: is not UTF-8") from None


def _mark(event: Event, key: str, pseudonyms: Pseudonyms) -> int:
    """The event's fingerprint, as the entity sees it."""
    return fingerprint(event.id) ^ (pseudonyms.salt if pseudonyms.names(key) else 0)


def _about(event: Event, patient: str) -> Event:
    """The view of one of an event's many patients: the others are not in it, or views would grow by their square."""
    fields = {**event.fields, "wardwatch.patient": [patient]}
    return event._replace(patients=(patient,), fields=fields)


def finding_output(finding: Finding) -> Output:
    return Output(topics.FINDINGS, finding.entity.encode(), encode_finding(finding), fingerprint(finding.id))


class _Entity:
    """What the detectors remember of one entity, and the place of the last record that is in it."""

    __slots__ = ("own", "states")

    def __init__(self, own: int, states: list[Any]) -> None:
        self.own = own
        self.states = states


class Behave:
    """Detectors with memory, over ``events`` or ``views``. A :class:`streams.state.KeyedStep`."""

    def __init__(self, detectors: Iterable[Detector[Any]], *, kinds: Iterable[EntityKind]) -> None:
        """``kinds``: the entities that the topic is keyed by: the actor on ``events``, the others on ``views``."""
        by_kind = {kind: [d for d in detectors if d.entity == kind] for kind in kinds}
        self._actor = by_kind.get("actor")
        self._views = {kind.encode(): found for kind, found in by_kind.items()}

    def _detectors(self, key: bytes) -> list[Detector[Any]]:
        if self._actor is not None:
            return self._actor
        return self._views.get(key.partition(b":")[0], [])

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        place, key, value, mark, time = record
        if not time:
            return ()
        watermark = state.watermarks.current
        oldest = watermark - LATENESS
        if time < oldest:
            state.counts["late"] += 1
            return ()
        state.seen.drop_before(oldest // _HOUR)
        if not fresh:
            state.counts["repeated"] += 1
            return ()
        state.seen.add(time // _HOUR, mark)
        detectors = self._detectors(key)
        entity = state.values.get(key)
        if entity is None:
            entity = _Entity(-1, [detector.new() for detector in detectors])
        if place <= entity.own:
            return ()
        event = timely_event(value, time)
        name = key.decode()
        outputs: list[Output] = []
        for detector, memory in zip(detectors, entity.states, strict=True):
            for finding in detector.inspect(event, name, memory, watermark):
                outputs.append(finding_output(finding))
        if outputs and overlap_of(value) == "new":
            outputs.clear()  # the same entity under its earlier name says it
        entity.own = place
        state.values.put(key, entity)
        return outputs

    def dump(self, key: bytes, value: _Entity) -> bytes:
        detectors = self._detectors(key)
        states = {d.name: d.save(s) for d, s in zip(detectors, value.states, strict=True)}
        return orjson.dumps([SCHEMA, value.own, states])

    def load(self, key: bytes, raw: bytes) -> _Entity:
        schema, own, saved = orjson.loads(raw)
        if schema > SCHEMA:
            raise NewerSchema(f"state of schema {schema}; this worker reads {SCHEMA}: upgrade it")
        detectors = self._detectors(key)
        return _Entity(own, [d.load(saved[d.name]) if d.name in saved else d.new() for d in detectors])


class Alerting:
    """A finding becomes an alert, one to one; the same finding again becomes nothing. A KeyedStep without values."""

    _DAY = 24 * _HOUR
    #: Days of findings whose ids are kept.
    _KEPT = 3

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        finding = decode_finding(record.value)
        if finding.timely:
            state.watermarks.observe(finding.time)
        day = (finding.time if finding.timely else state.watermarks.current) // self._DAY
        state.seen.drop_before(state.watermarks.current // self._DAY - self._KEPT)
        if not fresh:
            state.counts["repeated"] += 1
            return ()
        state.seen.add(day, record.event)
        alert = Alert(
            id=digest("alert", finding.id),
            revision=1,
            entity=finding.entity,
            severity=finding.severity,
            title=finding.title,
            reason=finding.reason,
            status="open",
            first_seen=finding.time,
            last_seen=finding.time,
            findings=(finding,),
        )
        key, value, mark = finding.entity.encode(), encode_alert(alert), fingerprint(alert.id)
        return Output(topics.ALERTS, key, value, mark), Output(topics.NOTIFICATIONS, key, value, mark)

    def dump(self, key: bytes, value: Any) -> bytes:
        raise TypeError("alerting keeps nothing by key")

    def load(self, key: bytes, raw: bytes) -> Any:
        raise TypeError("alerting keeps nothing by key")
