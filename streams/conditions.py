"""What can go wrong with the pipeline itself, when that is worth a person's time, and what the person is told.

A pure judgement of what a worker sees of itself: no clock, no Kafka, no network. :mod:`streams.watch` looks and tells.
Nothing that is said here quotes a record: an exception is named, and its words only where they are all ours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from detectors.base import Finding, digest
from streams import topics
from streams.epochs import Epoch, MissingKey
from streams.lanes import LaneStatus, Loss
from streams.lineage import NewerSchema, TopicReplaced
from streams.occasions import DETECTOR, GAP, SUBJECT, span
from streams.rule_conduct import Counts
from streams.settings import Settings
from streams.sinks.database import StoreError
from streams.sinks.elasticsearch import StoreUnavailable
from streams.sources.own import OWN
from streams.troubles import KINDS
from streams.vault import VaultWaits

__all__ = ["Conditions", "Look"]

#: Seconds after which what lasts is said again, so that a restart finds it said of late.
AGAIN: Final = 60.0
#: Seconds in which dead letters are counted.
BURST: Final = 300.0
#: Seconds of silence after which a source is no longer one of this installation.
GONE: Final = 7 * 24 * 3600.0

_STORES = (StoreUnavailable, StoreError)
#: What keys are missing from, as alerts name it.
_KEYS: Final = f"topic:{topics.INSTALLATION}"
#: The step that keeps events. No alert waits for it, so its trouble is another than that of the rest.
_KEEPS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a worker sees of itself at one time."""

    lanes: Sequence[LaneStatus] = ()
    lag: Mapping[tuple[str, str], int] = field(default_factory=dict)  #: records behind, by step and topic
    dead: Mapping[tuple[str, str], int] = field(default_factory=dict)  #: letters so far, by step and topic
    losses: Sequence[Loss] = ()  #: since the look before
    silent: Mapping[str, float] = field(default_factory=dict)  #: seconds, by source; by one worker of all
    skew: Mapping[str, float] = field(default_factory=dict)  #: seconds ahead, by source heard since the look before
    clock: Mapping[str, float] = field(default_factory=dict)  #: seconds ahead of the broker's, by host: this one's
    store: str = ""  #: the exception's name where a store was tried in vain
    kafka: str = ""  #: our own sentence where Kafka was asked in vain
    vault_waits: bool = False  #: ingest waits for the vault at this moment
    lacking: Epoch | None = None  #: the first announced epoch whose key is not on this host
    quarantined: Mapping[str, str] = field(default_factory=dict)  #: rules that may not alert, by id: title, and why
    unread_rules: Mapping[str, int] = field(default_factory=dict)  #: what a later version wrote: key, and its format
    rules: Mapping[str, Counts] = field(default_factory=dict)  #: what each rule did so far, by id
    unkept: str = ""  #: our own sentence where the worker that keeps events does not move


class _Trouble(NamedTuple):
    kind: str
    subject: str  #: what it is about, as occasions tell it apart
    entity: str
    happened: str
    lasting: bool = True  #: told only once it has lasted


@dataclass(slots=True)
class _Skew:
    first: float
    last: float
    seconds: float


class Conditions:
    """What was seen before, to tell what lasts. One for each worker; :meth:`judge` at every look."""

    def __init__(self, limits: Settings, host: str = "") -> None:
        """``host``: what keys are missing on."""
        self._limits = limits
        self._host = host
        self._since: dict[tuple[str, str], float] = {}
        self._said: dict[tuple[str, str], float] = {}
        self._positions: dict[tuple[str, str, int], tuple[int, float]] = {}
        self._letters: dict[tuple[str, str], deque[tuple[float, int]]] = {}
        self._skews: dict[str, _Skew] = {}

    def judge(self, look: Look, *, now: float) -> list[Finding]:
        """What is to be told of ``look``, taken at ``now`` (seconds since the epoch). Each is said every AGAIN."""
        found: list[Finding] = []
        troubles = list(self._troubles(look, now))
        current = {(trouble.kind, trouble.subject) for trouble in troubles}
        for memory in (self._since, self._said):
            for key in memory.keys() - current:
                del memory[key]
        for trouble in troubles:
            key = trouble.kind, trouble.subject
            since = self._since.setdefault(key, now)
            lasted = not trouble.lasting or now - since >= self._limits.trouble_after
            if lasted and now - self._said.get(key, -AGAIN) >= AGAIN:
                self._said[key] = now
                found.append(_finding(trouble, now))
        return found

    @property
    def lasting(self) -> set[str]:
        """The kinds that have lasted and last still."""
        return {kind for kind, _ in self._said}

    def _troubles(self, look: Look, now: float) -> Iterator[_Trouble]:
        if look.kafka:
            name = self._limits.application
            yield _Trouble("kafka", name, f"worker:{name}", f"{look.kafka}.")
            self._positions.clear()  # every step waits for it, and begins to count when it is back
        else:
            yield from self._stuck(look, now)
        yield from self._behind(look)
        if look.lacking is not None:
            name, start = look.lacking.key, _date(look.lacking.start)
            told = f"{self._host} lacks the pseudonym key {name}, which names patients from {start} on."
            yield _Trouble("rotation", f"{name} {self._host}", _KEYS, told, lasting=False)
        if look.unkept:
            yield _Trouble("unkept", _KEEPS, f"topic:{topics.EVENTS}", look.unkept)
        for loss in look.losses:
            place = f"{loss.topic}[{loss.partition}]"
            yield _Trouble(
                "lost_events" if loss.step == _KEEPS else "lost",
                f"{loss.step} {place} {loss.first}",
                f"topic:{loss.topic}",
                f"{loss.records} records of {place} from offset {loss.first} on were gone before {loss.step} came.",
                lasting=False,
            )
        for rule, told in look.quarantined.items():
            yield _Trouble("quarantine", rule, f"rule:{rule}", told, lasting=False)
        for key, version in look.unread_rules.items():
            told = f"{key} of the topic {topics.RULES} is of format {version}, which this worker does not read."
            yield _Trouble("rules", key, f"topic:{topics.RULES}", told, lasting=False)
        yield from self._bursts(look, now)
        for source, seconds in look.silent.items():
            if source != OWN.name and 0 < self._limits.quiet_after <= seconds < GONE:
                yield _Trouble(
                    "quiet", source, f"source:{source}", f"Nothing has come from {source} for {span(seconds)}."
                )
        yield from self._skewed(look, now)
        for host, seconds in look.clock.items():
            if 0 < self._limits.skew_limit <= abs(seconds):
                way = "ahead of" if seconds > 0 else "behind"
                told = f"The clock of {host} is {span(abs(seconds))} {way} the broker's."
                yield _Trouble("clock", host, f"worker:{self._limits.application}", told)

    def _stuck(self, look: Look, now: float) -> Iterator[_Trouble]:
        """Lanes that hold something, or are stopped, and come no further; those of one step are one trouble."""
        stuck: dict[tuple[str, str, str], list[LaneStatus]] = {}
        stores = False
        for lane in look.lanes:
            key = lane.step, lane.topic, lane.partition
            position, since = self._positions.get(key, (lane.position, now))
            if not (lane.stopped or lane.holding) or lane.position > position:
                self._positions.pop(key, None)
                continue
            self._positions[key] = position, since
            if now - since < self._limits.trouble_after:
                continue
            kind = _kind(lane, look)
            if kind == "store":
                stores = True
            else:
                place = (lane.step, lane.topic) if kind == "stuck" else ("", "")
                stuck.setdefault((kind, *place), []).append(lane)
        ours = {(lane.step, lane.topic, lane.partition) for lane in look.lanes}
        for gone in self._positions.keys() - ours:
            del self._positions[gone]
        if stores or look.store:
            told = f"Alerts cannot be written ({look.store or 'the worker says why in its log'})."
            yield _Trouble("store", "alerts", "topic:alerts", told, lasting=not stores)
        for (kind, step, topic), lanes in stuck.items():
            where = ", ".join(f"{lane.topic}[{lane.partition}]" for lane in lanes)
            partitions = ", ".join(str(lane.partition) for lane in lanes)
            subject, entity, told = {
                "stuck": (f"{step} {topic}", f"topic:{topic}", f"{step} of {topic}, partition {partitions}, comes no"),
                "vault": ("vault", f"topic:{topics.VAULT}", f"ingest of {where} comes no"),
                "key": (f"key {self._host}", _KEYS, f"ingest of {where} at {self._host} comes no"),
                "unkept": (_KEEPS, f"topic:{topics.EVENTS}", f"keeping {where} comes no"),
            }[kind]
            told = f"{told} further: {_why(lanes[0])}."
            yield _Trouble(kind, subject, entity, told, lasting=False)  # its lanes have lasted

    def _behind(self, look: Look) -> Iterator[_Trouble]:
        for (step, topic), records in look.lag.items():
            if 0 < self._limits.lag_limit < records:
                kind, subject = ("unkept", _KEEPS) if step == _KEEPS else ("lag", f"{step} {topic}")
                yield _Trouble(kind, subject, f"topic:{topic}", f"{step} is {records:,} records of {topic} behind.")

    def _bursts(self, look: Look, now: float) -> Iterator[_Trouble]:
        for (step, topic), letters in look.dead.items():
            seen = self._letters.setdefault((step, topic), deque([(now, 0)]))
            if letters != seen[-1][1]:
                seen.append((now, letters))
            while len(seen) > 1 and now - seen[1][0] >= BURST:
                seen.popleft()
            recent = letters - seen[0][1]
            if 0 < self._limits.dead_letter_limit <= recent:
                yield _Trouble(
                    "dead_letters",
                    f"{step} {topic}",
                    f"topic:{topic}",
                    f"{recent} records of {topic} became dead letters in {step} within {span(BURST)}.",
                    lasting=False,
                )

    def _skewed(self, look: Look, now: float) -> Iterator[_Trouble]:
        """Ahead is one sender among many, so others that are right say nothing; behind is all of them, or none."""
        limit = self._limits.skew_limit
        for source, seconds in look.skew.items():
            known = self._skews.get(source)
            if 0 < limit <= abs(seconds):
                same = known is not None and (known.seconds > 0) == (seconds > 0)
                self._skews[source] = _Skew(known.first if known and same else now, now, seconds)
            elif known is not None and known.seconds < 0:
                del self._skews[source]
        for source, skew in list(self._skews.items()):
            if now - skew.last > self._limits.trouble_after:
                del self._skews[source]
            elif skew.last - skew.first >= self._limits.trouble_after:
                way = "after" if skew.seconds > 0 else "before"
                told = f"Events of {source} are dated {span(abs(skew.seconds))} {way} they reached the broker."
                yield _Trouble("skew", source, f"source:{source}", told, lasting=False)


def _kind(lane: LaneStatus, look: Look) -> str:
    """Which trouble a lane is that comes no further."""
    if lane.step == _KEEPS:
        return "unkept"
    if lane.step == "ingest" and lane.cause is None and look.vault_waits:
        return "vault"
    for kind, causes in (("store", _STORES), ("vault", (VaultWaits,)), ("key", (MissingKey,))):
        if lane.cause is not None and issubclass(lane.cause, causes):
            return kind
    return "stuck"


def _why(lane: LaneStatus) -> str:
    """What stopped a lane, in words only where they are ours and quote nothing."""
    if lane.cause is None:
        return "it has not come back from a batch"
    if issubclass(lane.cause, NewerSchema | TopicReplaced | MissingKey):
        return lane.stopped.partition(": ")[2] or lane.cause.__name__
    return lane.cause.__name__


def _date(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _finding(trouble: _Trouble, now: float) -> Finding:
    """What is said of a trouble now. Two workers mostly make the same finding of it, two occasions never do."""
    kind = KINDS[trouble.kind]
    name = f"{DETECTOR}.{trouble.kind}"
    return Finding(
        id=digest(DETECTOR, trouble.kind, trouble.subject, int(now * 1000) // GAP),
        detector=DETECTOR,
        entity=trouble.entity,
        time=int(now * 1000),
        severity=kind.severity,
        title=kind.title,
        reason=trouble.happened,
        source=DETECTOR,
        rule={"id": name, "name": kind.title, "description": kind.meaning, "response": kind.response},
        evidence={SUBJECT: trouble.subject},
    )
