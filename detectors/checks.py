"""What every detector with memory must satisfy, whatever it looks for.

Findings must be the same after a crash, on another worker and in whatever order late events came, and what is
remembered must stay small and be plain data. :func:`check_detector` tries a detector on given events and on hostile
ones. What cannot be told from outside, that an event is scored before it is learned, is each detector's own test.
"""

from __future__ import annotations

import itertools
import json
import random
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any, NoReturn

from detectors.base import SEVERITIES, Detector, Event, Finding
from detectors.purity import pure

__all__ = ["DetectorCheckError", "check_detector"]

#: Bytes of JSON that the state of one entity may take, whatever its events.
LARGEST = 4096
#: Bytes that a detector may keep beside the states, however many entities it has seen.
OUTSIDE = 65_536
#: Shortest value of an event that a reason must not quote; anything shorter may be a word of its own.
_TELLING = 6

_GARBAGE: tuple[Any, ...] = ([], [None], ["x"], [1], [[]], {}, None, 7, "state", [float("nan")], [-1] * 20, [[1], [2]])
_HOSTILE: tuple[Any, ...] = (None, 0, -1, 10**30, 1.5, True, "", "x" * 100_000, "\x00\ud800", [], ["a"], {}, {"a": 1})


class DetectorCheckError(AssertionError):
    """A detector that breaks the contract. The message begins with the check it failed."""


def check_detector(detector: Detector[Any], events: Sequence[Event]) -> None:
    """Raise DetectorCheckError unless ``detector`` keeps the contract on ``events``, which are one entity's, by time.

    They must be enough for it to fire, or half of what is checked would say nothing.
    """
    watched = _Watched(detector)
    findings = _check_run(watched, events)
    _check_saving(watched, events)
    _check_entities(watched, events)
    _check_ids(watched, events, findings)
    _check_order(watched, events)
    _check_untimely(watched, events[0])
    _check_hostile(watched, events[0])
    _check_outside(watched, events[0])
    _check_garbage(watched)
    if not findings:
        raise DetectorCheckError("fires: it found nothing in the events it was given")


def _fail(check: str, what: str) -> NoReturn:
    raise DetectorCheckError(f"{check}: {what}")


class _Watched:
    """A detector, each call of which fails where it looks at anything but its arguments."""

    def __init__(self, detector: Detector[Any]) -> None:
        self._detector = detector
        self.name = detector.name
        self.entity = detector.entity

    def new(self) -> Any:
        with pure(_caught):
            return self._detector.new()

    def inspect(self, event: Event, key: str, state: Any, watermark: int) -> list[Finding]:
        with pure(_caught):
            return list(self._detector.inspect(event, key, state, watermark))

    def save(self, state: Any) -> Any:
        with pure(_caught):
            return self._detector.save(state)

    def load(self, saved: Any) -> Any:
        with pure(_caught):
            return self._detector.load(saved)

    def again(self) -> _Watched:
        """The same configuration in another worker: nothing that this one has seen may be in it."""
        return _Watched(deepcopy(self._detector))

    def upgraded(self) -> _Watched:
        """The same detector after its next release: whatever it calls its version is another."""
        other = deepcopy(self._detector)
        for name in dir(other):
            if "version" in name.lower() and isinstance(value := getattr(other, name), (str, int)):
                setattr(other, name, f"{value}.1" if isinstance(value, str) else value + 1)
        return _Watched(other)


def _caught(what: str) -> NoReturn:
    _fail("pure", f"it looked at {what}")


def _key(detector: _Watched, event: Event) -> str:
    keys = event.keys(detector.entity)
    if not keys:
        _fail("events", f"an event names no {detector.entity}")
    return keys[0]


def _run(
    detector: _Watched,
    events: Iterable[Event],
    state: Any,
    watermark: Callable[[Event], int] | None = None,
    key: str = "",
) -> list[Finding]:
    """Inspect all; the watermark is the event's own time unless given, and so is the key."""
    found: list[Finding] = []
    for event in events:
        mark = event.time if watermark is None else watermark(event)
        found.extend(detector.inspect(event, key or _key(detector, event), state, mark))
    return found


def _saved(detector: _Watched, state: Any) -> str:
    saved = detector.save(state)
    if type(saved) is not list:
        _fail("saves JSON", f"save() gave a {type(saved).__name__}, no list")
    try:
        text = json.dumps(saved, allow_nan=False)
    except (TypeError, ValueError) as exc:
        _fail("saves JSON", str(exc))
    if json.loads(text) != saved:
        _fail("saves JSON", "what comes back from JSON is not what was saved")
    return text


def _check_run(detector: _Watched, events: Sequence[Event]) -> list[Finding]:
    before = deepcopy(list(events))
    other = detector.again()
    first, second = detector.new(), other.new()
    findings: list[Finding] = []
    for event in events:
        found = _run(detector, [event], first)
        for finding in found:
            _check_finding(detector, finding, event)
        findings.extend(found)
    for worker in (other, detector):
        second = worker.new()
        if findings != _run(worker, events, second) or _saved(detector, first) != _saved(worker, second):
            _fail("deterministic", "the same events gave other findings or another state")
    if list(events) != before:
        _fail("leaves the event alone", "an event was changed")
    if len({finding.id for finding in findings}) != len(findings):
        _fail("unique ids", "one id was used twice")
    return findings


def _check_finding(detector: _Watched, finding: Finding, event: Event) -> None:
    """One finding, made while ``event`` was inspected."""
    if finding.detector != detector.name or finding.entity != _key(detector, event):
        _fail("findings", "a finding names another detector or entity")
    if not finding.id or finding.time != event.time or finding.source != event.source:
        _fail("findings", "a finding has no id, or another time or source than the event that fired it")
    if event.id not in finding.event_ids:
        _fail("findings", "a finding does not name the event that fired it")
    if not finding.reason.strip() or not finding.title.strip():
        _fail("says why", "a finding has no title or no reason")
    if finding.severity not in SEVERITIES or not 0.0 <= finding.score <= 1.0:
        _fail("findings", "severity or score is outside its range")
    for name, value in finding.evidence.items():
        if name not in event.fields or event.fields[name] != value:
            _fail("evidence", "it is not what the event that fired said")
    said = f"{finding.title}\n{finding.reason}"
    told = [value for name, value in event.fields.items() if name != "event.outcome"]  # an outcome is a word
    for value in (event.id, event.actor, event.device, event.address, *event.patients, *told):
        if isinstance(value, str) and len(value) >= _TELLING and value in said:
            _fail("says why", "title or reason quotes the event, which is for the evidence to do")


def _check_saving(detector: _Watched, events: Sequence[Event]) -> None:
    whole = detector.new()
    wanted = _run(detector, events, whole)
    # Each event on another worker, with nothing but what was saved.
    workers = itertools.cycle([detector.again(), detector.again()])
    state: Any = detector.new()
    got: list[Finding] = []
    for event, worker in zip(events, workers, strict=False):
        text = _saved(worker, state)
        state = worker.load(json.loads(text))
        if _saved(worker, state) != text:
            _fail("saves exactly", "a state that was loaded is saved otherwise")
        got.extend(worker.inspect(event, _key(worker, event), state, event.time))
    if got != wanted or _saved(detector, state) != _saved(detector, whole):
        _fail("saves exactly", "going on from a saved state gave other findings or another state")


def _check_entities(detector: _Watched, events: Sequence[Event]) -> None:
    """Two entities by turns: each finds what it finds alone, under ids of its own."""
    alone = [f.time for f in _run(detector, events, detector.new())]
    states = {key: detector.new() for key in (f"{detector.entity}:one", f"{detector.entity}:two")}
    found: dict[str, list[Finding]] = {key: [] for key in states}
    for event in events:
        for key, state in states.items():
            found[key].extend(_run(detector, [event], state, key=key))
    one, two = found.values()
    if [f.time for f in one] != alone or [f.time for f in two] != alone:
        _fail("one entity's own", "another entity's events changed what was found")
    if {f.id for f in one} & {f.id for f in two}:
        _fail("unique ids", "two entities share an id")


def _check_ids(detector: _Watched, events: Sequence[Event], findings: list[Finding]) -> None:
    """An id names what was found, so neither another release nor a little more history changes it."""
    wanted = {finding.time: finding.id for finding in findings}
    for other, history in ((detector.upgraded(), events), (detector, events[1:])):
        for finding in _run(other, history, other.new()):
            if wanted.get(finding.time, finding.id) != finding.id:
                _fail("stable ids", "an id holds a version, a count or a score")


def _check_order(detector: _Watched, events: Sequence[Event]) -> None:
    """Six events around the first finding, in every order, under one watermark: one set of ids."""
    state = detector.new()
    number = next((n for n, event in enumerate(events) if _run(detector, [event], state)), len(events))
    if number == len(events):
        return
    start = max(0, number - 5)
    prepared = detector.new()
    _run(detector, events[:start], prepared)
    saved = _saved(detector, prepared)
    mark = events[start].time
    around = events[start : start + 6]
    ids = {
        frozenset(finding.id for finding in _run(detector, order, detector.load(json.loads(saved)), lambda _: mark))
        for order in itertools.permutations(around)
    }
    if len(ids) != 1:
        _fail("order", "the order in which six events came changed the ids of what was found")


def _check_untimely(detector: _Watched, event: Event) -> None:
    state = detector.new()
    before = _saved(detector, state)
    found = _run(detector, [event._replace(time=1 << 60, timely=False)], state, lambda _: 0)
    if found or _saved(detector, state) != before:
        _fail("untimely events", "an event whose date cannot be trusted changed the state")


def _check_hostile(detector: _Watched, event: Event) -> None:
    """Values that no source should give, and five thousand events all different: no error, no growth."""
    state = detector.new()
    for value in _HOSTILE:
        fields = dict.fromkeys((*event.fields, "event.action"), value)
        _survive(detector, event._replace(fields=fields), state)
    _survive(detector, event._replace(fields={}), state)
    rng = random.Random(1)  # noqa: S311  # times to try, no secrets
    for number in range(5000):
        at = event.time + rng.randrange(-(10**9), 10**10)
        other = _different(event, number)._replace(time=at)
        _survive(detector, other, state)
    size = len(_saved(detector, state))
    if size > LARGEST:
        _fail("bounded", f"the state grew to {size} bytes where {LARGEST} are allowed")


def _different(event: Event, number: int) -> Event:
    """``event`` with every part of it different for another ``number``, but the keys that a state is found by."""
    fields = {name: f"{name} {number}" for name in (*event.fields, "event.action")}
    return event._replace(id=f"{event.id} {number}", fields=fields, source=f"source {number}")


def _survive(detector: _Watched, event: Event, state: Any) -> None:
    try:
        _run(detector, [event], state, key=_key(detector, event))
    except DetectorCheckError:
        raise
    except Exception as exc:
        _fail("hostile values", f"{type(exc).__name__} on values that a source may pass on")


def _check_outside(detector: _Watched, event: Event) -> None:
    """Thousands of entities and events come and go; nothing of them stays anywhere, saved or not."""

    def visit(begin: int, end: int) -> int:
        same = detector.new()
        for number in range(begin, end):
            other = _different(event, number)._replace(time=event.time + number)
            _run(detector, [other], detector.new(), key=f"{detector.entity}:{number}")
            _run(detector, [other], same, key=f"{detector.entity}:same")
        return tracemalloc.get_traced_memory()[0]  # ``same`` is still there, with what it does not save

    tracemalloc.start()
    try:
        before = visit(0, 500)
        grown = visit(500, 3000) - before
    finally:
        tracemalloc.stop()
    if grown > OUTSIDE:
        _fail("bounded", f"{grown} bytes of 2,500 entities stayed where {OUTSIDE} are allowed")


def _check_garbage(detector: _Watched) -> None:
    for garbage in _GARBAGE:
        try:
            detector.load(garbage)
        except DetectorCheckError:
            raise
        except ValueError:
            continue
        except Exception as exc:
            _fail("refuses garbage", f"load() raised {type(exc).__name__} where ValueError is promised")
        _fail("refuses garbage", "load() took what save() never wrote")
