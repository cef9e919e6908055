"""What each step of the way does to a record, as plain calls: no Kafka, no clock, no network.

The agents run these on what arrives, ``wardwatch detect`` on files, the tests on what lies in the topics afterwards.

- :class:`Reader`: a vendor's record in; its event and what rules found out.
- :class:`Ingest`: one raw record in; its event, the views of it, what rules found, or a dead letter out.
- :class:`Behave`: detectors that remember, one state per entity.

The steps after them are as plain: what rules found becomes what correlations say in :mod:`streams.correlate`, findings
become alerts in :mod:`streams.alerting`, alerts become deliveries in :mod:`streams.notify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from detectors.base import Detector, EntityKind, Event, Finding, digest
from detectors.rules import Links, Match, RuleSet
from detectors.rules.correlation import Hit
from detectors.rules.findings import finding as rule_finding
from streams import topics
from streams.codecs import (
    encode_event,
    encode_finding,
    overlap_of,
    timely_event,
)
from streams.deadletters import DeadLetters
from streams.epochs import Epochs
from streams.hits import hit_output, hits_of
from streams.lineage import SCHEMA, NewerSchema, fingerprint
from streams.numbering import FOUND, MOST_FINDINGS, MOST_OTHERS
from streams.privacy import Pseudonyms, release
from streams.reading import parse, record_of
from streams.records import Output, RawRecord, Record
from streams.sources.base import BadRecord, Source
from streams.sources.known import CATALOG, Sources
from streams.state import PartitionState
from streams.views import LARGEST, LARGEST_TOGETHER, about_one, told_twice
from streams.wrappers import DEEPEST, MOST, contents, written

__all__ = ["Behave", "Ingest", "Ingested", "Reader", "Released"]

_HOUR = 3_600_000
#: How far behind the watermark, in ms, an event still counts in its own window. Later ones are counted as late.
LATENESS = _HOUR
#: A record that lies in another is named by its number there: one digit of this base for each record around it.
_DIGITS: Final = MOST + 1
_DEEPEST_LINE: Final = _DIGITS ** (DEEPEST - 1)
#: Header an emitter sets once per event and keeps through every retry.
EVENT_ID = "event-id"
#: Header that names the source, so that nothing has to be recognised by its shape.
SOURCE = "source"


#: What tells the views of one event apart, in its fingerprint.
_KIND_BITS: Final[dict[EntityKind, int]] = {"actor": 0, "patient": 1 << 60, "device": 2 << 60, "address": 3 << 60}


#: An Output of a tuple, without a Python call for each.
_OUTPUT: Final = partial(tuple.__new__, Output)


_NO_LINKS: Final = Links()


class Released(NamedTuple):
    """What one readable record says: its event, and what rules found in it."""

    event: Event
    source: Source
    matches: Sequence[Match]  #: of rules that alert by themselves
    pseudonyms: Pseudonyms  #: what named the patients in it
    earlier: tuple[Event, Pseudonyms] | None = None  #: the same as the key before names it, where that differs
    hits: Sequence[Hit] = ()  #: what correlations are told of it
    links: Links = _NO_LINKS  #: where people read the rules

    @property
    def findings(self) -> list[Finding]:
        """What rules found, as it may leave ingest."""
        return [rule_finding(match, self.event, self.source.subject, self.links) for match in self.matches]


class Ingested(NamedTuple):
    """What one raw record becomes."""

    outputs: Sequence[Output]
    source: str = ""  #: empty on a dead letter
    clock: int = 0  #: event time less the source's lateness; 0 where it says nothing about time
    again: int = 0  #: events among the outputs that are there a second time, for detectors alone
    clocks: Mapping[str, int] | None = None  #: the same by source, where the record held many of them
    records: int = 1  #: how many they are, where the record held others


class Reader:
    """Normalise, match rules, release: from a vendor's record to what may leave ingest, and what was found in it."""

    def __init__(self, rules: RuleSet, pseudonyms: Pseudonyms | Epochs, links: Links = _NO_LINKS) -> None:
        """``links``: where people read a rule, for its findings."""
        self._links = links
        self._at = pseudonyms.at
        self.take(rules)

    def take(self, rules: RuleSet, quiet: Set[str] = frozenset(), stopped: Set[str] = frozenset()) -> None:
        """Go on with these rules from the next record on; those whose ids are ``quiet`` alert nobody.

        Those ``stopped`` feed no correlation either.
        """
        self._rules = rules
        self._quiet = quiet | rules.correlations.silent
        self._stopped = stopped

    def read(
        self, record: Mapping[str, Any], source: Source, *, fallback_id: Callable[[], str], received: int
    ) -> Released:
        """One parsed record. ``fallback_id`` is asked where it has no id; ``received``: ms. Raises BadRecord."""
        draft = source.normalise(record)
        pseudonyms, before = self._at(received)
        event = release(draft, source, pseudonyms, fallback_id=fallback_id, received=received)
        seen = record if draft.shown is None else draft.shown
        if draft.aliases is not None:
            seen = {**seen, **draft.aliases}
        # A time that cannot be trusted makes no indicator expire.
        time = event.time if event.timely else None
        matches = self._rules.match(seen, draft.fields, draft.logsource or source.logsource, time)
        if matches and self._stopped:
            matches = [match for match in matches if match.rule.id not in self._stopped]
        hits: list[Hit] = []
        correlations = self._rules.correlations
        if matches and correlations:
            hits.extend(hits_of(correlations, matches, draft, source, event, pseudonyms, quiet=before is not None))
        earlier = None
        if before is not None:
            same = release(draft, source, before, fallback_id=fallback_id, received=received)
            earlier = None if same == event else (same, before)
            if hits:
                hits.extend(hits_of(correlations, matches, draft, source, same, before, earlier=True))
        if matches and self._quiet:
            matches = [match for match in matches if match.rule.id not in self._quiet]
        return Released(event, source, matches, pseudonyms, earlier, hits, self._links)


class Ingest:
    """One raw record becomes outputs. A pure function of the record, but for the seal of a dead letter."""

    def __init__(
        self,
        reader: Reader,
        dead_letters: DeadLetters,
        *,
        views: Iterable[EntityKind] = (),
        sources: Sources = CATALOG,
    ) -> None:
        """``views``: which entities, beside the actor, some detector is keyed by. ``sources``: what is read."""
        self.sources = sources
        self._reader = reader
        self._dead_letters = dead_letters
        self._views = tuple((kind, _KIND_BITS[kind]) for kind in views)

    def derive(self, raw: RawRecord) -> Ingested:
        """Everything one record becomes; never raises: what cannot be read is a dead letter that says why."""
        try:
            return self._derive(raw)
        except BadRecord as exc:
            return self.refuse(raw, str(exc))
        except Exception as exc:
            return self.refuse(raw, f"{type(exc).__name__} while reading: a defect of the product, please report it")

    def _derive(self, raw: RawRecord) -> Ingested:
        within = raw.line < _DEEPEST_LINE
        if within and raw.value[:1] == b"[" and (held := contents(raw.value)) is not None:
            return self._several(raw, held)
        try:
            named = raw.headers.get(SOURCE)
            source = _named(named, self.sources) if named else None
            return self._one(raw, parse(raw.value) if source is None else record_of(raw.value, source), source)
        except (BadRecord, ValueError) as exc:
            if within and (held := contents(raw.value)) is not None:
                return self._several(raw, held)
            if isinstance(exc, BadRecord):
                raise
            return self.refuse(raw, f"{type(exc).__name__} while reading")

    def _one(self, raw: RawRecord, record: Mapping[str, Any], source: Source | None) -> Ingested:
        """What is in ``record``, which lay in ``raw``; ``source`` where it was named. Raises on what cannot be read."""
        if source is None:
            source = self.sources.recognise(record, raw.topic)
        given = raw.headers.get(EVENT_ID)
        fallback = partial(_event_id, given) if given else partial(digest, raw.topic, raw.partition, raw.offset)
        released = self._reader.read(record, source, fallback_id=fallback, received=raw.received)
        return Ingested(
            self._outputs(released),
            source.name,
            released.event.time - source.lateness if released.event.timely else 0,
            1 if released.earlier is not None and released.earlier[0].actor != released.event.actor else 0,
        )

    def _several(self, raw: RawRecord, held: Sequence[Any]) -> Ingested:
        """A record that no source reads, and that holds others: each is derived as if it lay there by itself.

        Their ids lie in its header, a line each, or are made of its own and their numbers. A bad one costs itself: its
        dead letter holds it alone, under the id with which it counts once when it is sent again.
        """
        if len(held) > MOST:
            return self.refuse(raw, f"{len(held)} records in one: send at most {MOST} at a time")
        given = raw.headers.get(EVENT_ID, b"")
        ids: Sequence[bytes] = given.split(b"\n")
        if len(ids) != len(held) or not all(ids):
            base = given.decode("utf-8", "replace") if given else digest(raw.topic, raw.partition, raw.offset)
            ids = [digest(base, number).encode() for number in range(1, len(held) + 1)]
        outputs: list[Output] = []
        findings: list[Output] = []
        clocks: dict[str, int] = {}
        again = records = size = 0
        line = raw.line * _DIGITS
        for number, (event_id, member) in enumerate(zip(ids, held, strict=True), 1):
            inner = self._member(raw._replace(headers={**raw.headers, EVENT_ID: event_id}, line=line + number), member)
            for output in inner.outputs:
                (findings if output.topic in FOUND else outputs).append(output)
                size += len(output.value)
            if size > LARGEST_TOGETHER:
                return self.refuse(
                    raw, f"{len(held)} records in one become more than {LARGEST_TOGETHER} bytes: send fewer at a time"
                )
            again += inner.again
            records += inner.records
            for source, clock in (inner.clocks or {inner.source: inner.clock}).items():
                if clock > clocks.get(source, 0):
                    clocks[source] = clock
        if len(outputs) > MOST_OTHERS or len(findings) > MOST_FINDINGS:
            became = f"{len(outputs)} outputs and {len(findings)} findings"
            return self.refuse(raw, f"{len(held)} records in one become {became}: send fewer at a time")
        return Ingested([*outputs, *findings], again=again, clocks=clocks, records=records)

    def _member(self, one: RawRecord, member: Any) -> Ingested:
        """As :meth:`derive` of its bytes, which are made only where something is amiss; texts are records as well."""
        if isinstance(member, dict):
            try:
                named = one.headers.get(SOURCE)
                return self._one(one, member, _named(named, self.sources) if named else None)
            except Exception:  # noqa: S110  told of below, where its dead letter needs its bytes
                pass
        return self.derive(one._replace(value=written(member)))

    def refuse(self, raw: RawRecord, reason: str) -> Ingested:
        """A dead letter instead of all that the record would become."""
        return Ingested((self._dead_letters.output(raw, stage="ingest", reason=reason),))

    def _outputs(self, released: Released) -> list[Output]:
        if released.earlier is not None:
            twice = told_twice(released.event, released.pseudonyms, *released.earlier, self._views)
            return [*twice, *map(finding_output, released.findings), *map(hit_output, released.hits)]
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
                view = value if len(keys) == 1 else encode_event(about_one(event, key))
                size += len(view)
                if size > LARGEST_TOGETHER:
                    raise BadRecord(f"an event of {len(value)} bytes about {len(keys)} entities, too much to be taken")
                # One event is seen once for each entity, also where two of its entities share a partition.
                own = mark ^ (name + number)
                if salt and pseudonyms.names(key):
                    own ^= salt
                outputs.append(_OUTPUT((topics.VIEWS, key.encode(), view, own, time)))
        if released.matches:
            outputs.extend(map(finding_output, released.findings))
        if released.hits:
            outputs.extend(map(hit_output, released.hits))
        return outputs


def _named(header: bytes, sources: Sources) -> Source:
    try:
        return sources.by_name(header.decode("utf-8", "replace"))
    except ValueError as exc:
        raise BadRecord(f"header {SOURCE}: {exc}") from None


def _event_id(header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError:
        raise BadRecord(f"header {EVENT_ID}: is not UTF-8") from None


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
            state.counts["untimely"] += 1
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
        schema, *rest = orjson.loads(raw)
        if schema > SCHEMA:
            raise NewerSchema(f"state of schema {schema}; this worker reads {SCHEMA}: upgrade it")
        own, saved = rest
        detectors = self._detectors(key)
        return _Entity(own, [d.load(saved[d.name]) if d.name in saved else d.new() for d in detectors])
