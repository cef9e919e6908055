"""What every detector with memory must satisfy, whatever it looks for.

Findings must be the same after a crash, on another worker and in whatever order late events came, and what is
remembered must stay small and be plain data. :func:`check_detector` tries a detector on given events and on hostile
ones.
"""

from __future__ import annotations

import datetime
import itertools
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any, NoReturn
from unittest import mock

from detectors.base import SEVERITIES, Detector, Event, Finding

__all__ = ["DetectorCheckError", "check_detector"]

#: Bytes of JSON that the state of one entity may take, whatever its events.
LARGEST = 4096

_GARBAGE: tuple[Any, ...] = ([], [None], ["x"], [1], [[]], {}, None, 7, "state", [float("nan")], [-1] * 20, [[1], [2]])
_HOSTILE: tuple[Any, ...] = (None, 0, -1, 10**30, 1.5, True, "", "x" * 100_000, "\x00\ud800", [], ["a"], {}, {"a": 1})


class DetectorCheckError(AssertionError):
    """A detector that breaks the contract. The message begins with the check it failed."""


def check_detector(detector: Detector[Any], events: Sequence[Event]) -> None:
    """Raise DetectorCheckError unless ``detector`` keeps the contract on ``events``, which are one entity's, by time.

    They must be enough for it to fire, or half of what is checked would say nothing.
    """
    with _no_clock():
        findings = _check_run(detector, events)
        _check_saving(detector, events)
        _check_order(detector, events)
        _check_untimely(detector, events[0])
        _check_hostile(detector, events[0])
        _check_garbage(detector)
    if not findings:
        raise DetectorCheckError("fires: it found nothing in the events it was given")


def _fail(check: str, what: str) -> NoReturn:
    raise DetectorCheckError(f"{check}: {what}")


def _key(detector: Detector[Any], event: Event) -> str:
    keys = event.keys(detector.entity)
    if not keys:
        _fail("events", f"an event names no {detector.entity}")
    return keys[0]


def _run(
    detector: Detector[Any], events: Iterable[Event], state: Any, watermark: Callable[[Event], int] | None = None
) -> list[Finding]:
    """Inspect all; the watermark is the event's own time unless given."""
    found: list[Finding] = []
    for event in events:
        mark = event.time if watermark is None else watermark(event)
        found.extend(detector.inspect(event, _key(detector, event), state, mark))
    return found


def _saved(detector: Detector[Any], state: Any) -> str:
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


def _check_run(detector: Detector[Any], events: Sequence[Event]) -> list[Finding]:
    before = deepcopy(list(events))
    first, second = detector.new(), detector.new()
    findings = _run(detector, events, first)
    if findings != _run(detector, events, second) or _saved(detector, first) != _saved(detector, second):
        _fail("deterministic", "the same events gave other findings or another state")
    if list(events) != before:
        _fail("leaves the event alone", "an event was changed")
    if len({finding.id for finding in findings}) != len(findings):
        _fail("unique ids", "one id was used twice")
    for finding in findings:
        _check_finding(detector, finding)
    return findings


def _check_finding(detector: Detector[Any], finding: Finding) -> None:
    if finding.detector != detector.name:
        _fail("findings", "a finding names another detector")
    if not finding.reason.strip() or not finding.title.strip():
        _fail("says why", "a finding has no title or no reason")
    if finding.severity not in SEVERITIES or not 0.0 <= finding.score <= 1.0:
        _fail("findings", "severity or score is outside its range")


def _check_saving(detector: Detector[Any], events: Sequence[Event]) -> None:
    whole = detector.new()
    wanted = _run(detector, events, whole)
    state: Any = detector.new()
    got: list[Finding] = []
    for event in events:
        text = _saved(detector, state)
        state = detector.load(json.loads(text))
        if _saved(detector, state) != text:
            _fail("saves exactly", "a state that was loaded is saved otherwise")
        got.extend(detector.inspect(event, _key(detector, event), state, event.time))
    if got != wanted or _saved(detector, state) != _saved(detector, whole):
        _fail("saves exactly", "going on from a saved state gave other findings or another state")


def _check_order(detector: Detector[Any], events: Sequence[Event]) -> None:
    """Six events around the first finding, in every order, under one watermark: one set of ids."""
    state = detector.new()
    number = next(
        (n for n, e in enumerate(events) if list(detector.inspect(e, _key(detector, e), state, e.time))), len(events)
    )
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


def _check_untimely(detector: Detector[Any], event: Event) -> None:
    state = detector.new()
    before = _saved(detector, state)
    found = _run(detector, [replace(event, time=1 << 60, timely=False)], state, lambda _: 0)
    if found or _saved(detector, state) != before:
        _fail("untimely events", "an event whose date cannot be trusted changed the state")


def _check_hostile(detector: Detector[Any], event: Event) -> None:
    """Values that no source should give, and five thousand different actions and times: no error, no growth."""
    state = detector.new()
    for value in _HOSTILE:
        fields = dict.fromkeys((*event.fields, "event.action"), value)
        _survive(detector, replace(event, fields=fields), state)
    _survive(detector, replace(event, fields={}), state)
    rng = random.Random(1)  # noqa: S311  # times to try, no secrets
    for number in range(5000):
        at = event.time + rng.randrange(-(10**9), 10**10)
        _survive(detector, replace(event, time=at, fields={"event.action": f"action {number}"}), state)
    size = len(_saved(detector, state))
    if size > LARGEST:
        _fail("bounded", f"the state grew to {size} bytes where {LARGEST} are allowed")


def _survive(detector: Detector[Any], event: Event, state: Any) -> None:
    try:
        _run(detector, [event], state)
    except DetectorCheckError:
        raise
    except Exception as exc:
        _fail("hostile values", f"{type(exc).__name__} on values that a source may pass on")


def _check_garbage(detector: Detector[Any]) -> None:
    for garbage in _GARBAGE:
        try:
            detector.load(garbage)
        except ValueError:
            continue
        except Exception as exc:
            _fail("refuses garbage", f"load() raised {type(exc).__name__} where ValueError is promised")
        _fail("refuses garbage", "load() took what save() never wrote")


@contextmanager
def _no_clock() -> Iterator[None]:
    """Any look at a clock, or at chance, fails the detector that takes it."""

    def forbidden(*_: object, **__: object) -> NoReturn:
        _fail("no clock, no chance", "it asked for the time or for a random number")

    class NoTime(datetime.datetime):
        now = utcnow = today = forbidden

    with ExitStack() as patches:
        for name in ("time", "time_ns", "monotonic", "perf_counter"):
            patches.enter_context(mock.patch.object(time, name, forbidden))
        for name in ("random", "randrange", "choice"):
            patches.enter_context(mock.patch.object(random, name, forbidden))
        patches.enter_context(mock.patch.object(datetime, "datetime", NoTime))
        yield
