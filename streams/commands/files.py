"""``normalize`` and ``detect``: the pipeline without Kafka, on files of recorded events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import orjson

from detectors.base import Detector, Event, Finding
from detectors.rules import Match, RuleSet, load, starter_rules
from detectors.rules.correlation import Correlations, Hit
from detectors.rules.correlation import Memory as Correlating
from detectors.rules.findings import entity
from streams.documents import document
from streams.embedded.jars import cache_folder
from streams.hits import raw_hits
from streams.pipeline import LATENESS, Reader, Released
from streams.reading import Item, numbered, read_files
from streams.scanning import Scan
from streams.sources.base import BadRecord
from streams.sources.known import CATALOG, Sources
from streams.sources.parts import UNTIMED, when

__all__ = ["Memory", "detect", "normalise", "read_item", "rules_of"]

#: Where a raw record may say when it was.
_TIMES: Final = ("@timestamp", "timestamp", "eventTime", "time", "UtcTime", "TimeCreated", "published", "date")


def rules_of(
    paths: Sequence[Path], errors: TextIO, *, lists: Sequence[Path] = (), pipelines: Sequence[Path] = ()
) -> RuleSet:
    """The rules at ``paths``, the starter pack without any. What cannot be loaded is told to ``errors``."""
    cache = cache_folder() / "rules.cache"
    rules = load(paths, lists=lists, pipelines=pipelines, cache=cache) if paths else starter_rules()
    for problem in rules.problems:
        print(problem, file=errors)
    return rules


def normalise(
    files: Iterable[str],
    *,
    source: str,
    reader: Reader,
    now: int,
    out: TextIO,
    errors: TextIO,
    sources: Sources = CATALOG,
    form: str = "auto",
) -> int:
    """One ECS document a line, in input order; errors with file and line. The exit code: 1 if there were any.

    ``now``: ms since the epoch, against which dates in the future are told. ``form``: :data:`streams.reading.FORMS`.
    """
    failed = False
    for item in read_files(files, form):
        try:
            released = read_item(item, source, reader, now, sources)
        except BadRecord as exc:
            failed = True
            print(f"{item.place}: {exc}", file=errors)
            continue
        out.write(orjson.dumps(document(released.event)).decode() + "\n")
    return 1 if failed else 0


def detect(
    files: Iterable[str],
    *,
    source: str,
    rules: RuleSet,
    reader: Reader,
    detectors: Iterable[Detector[Any]],
    now: int,
    out: TextIO,
    errors: TextIO,
    sources: Sources = CATALOG,
    form: str = "auto",
) -> int:
    """One JSON object per finding, in input order. ``source`` ``raw`` skips normalising and gating by log source.

    ``detectors``: those with memory, beside the rules and their correlations. What a correlation can decide only once
    time has passed comes with the record that says so, or the last. The exit code: 1 where a record could not be read.
    """
    failed = False
    memory = Memory(detectors, rules.correlations)
    scan = None
    if source != "raw" and not memory.detectors:
        scan = Scan(rules, still=memory.still if memory.correlating else None, received=now)
    place = None
    for item in read_files(files, form, scan.unread if scan else numbered):
        place = item.file, item.line
        if scan is not None:
            scan.last = None
        try:
            if source == "raw":
                found = _raw(item, rules, memory)
            else:
                released = read_item(item, source, reader, now, sources)
                if scan is not None:
                    scan.met(released.source)
                found = _found(released, memory)
        except BadRecord as exc:
            failed = True
            print(f"{item.place}: {exc}", file=errors)
            continue
        for told in found:
            out.write(orjson.dumps({"file": item.file, "line": item.line, **told}).decode() + "\n")
    if place is not None:
        file, line = (scan and scan.last) or place
        for told in map(_of_finding, memory.settle()):
            out.write(orjson.dumps({"file": file, "line": line, **told}).decode() + "\n")
    return 1 if failed else 0


class Memory:
    """What detectors and correlations remember while files are read.

    The watermark is the latest event time, less the lateness.
    """

    def __init__(self, detectors: Iterable[Detector[Any]], correlations: Correlations) -> None:
        self.detectors = list(detectors)
        self._correlations = Correlating(correlations, lateness=LATENESS)
        self.correlating = bool(correlations)
        self._states: dict[tuple[str, str], Any] = {}
        self._watermark = 0
        self._latest = 0

    def inspect(self, released: Released) -> Iterator[Finding]:
        """What detectors find in one event; they remember it."""
        event = released.event
        yield from self.correlate(released.hits, event, released.source.lateness)
        if not event.timely:
            return
        for detector in self.detectors:
            for key in event.keys(detector.entity):
                state = self._states.get((detector.name, key))
                if state is None:
                    state = self._states[detector.name, key] = detector.new()
                yield from detector.inspect(event, key, state, self._watermark)

    def correlate(self, hits: Iterable[Hit], event: Event, lateness: int) -> list[Finding]:
        """What correlations find with the hits of one event, by whose time the watermark moves."""
        if event.timely:
            self._watermark = max(self._watermark, event.time - lateness)
            self._latest = max(self._latest, event.time)
        return self._correlations.take(hits, self._watermark)

    def still(self, time: int, lateness: int) -> bool:
        """Whether a timely event in which nothing is found changes no more than the watermark, which it then moves.

        ``time``: the event's, in ms; ``lateness``: its source's. Only where there are no detectors.
        """
        watermark = time - lateness
        if watermark > self._watermark:
            if watermark > self._correlations.due:
                return False
            self._watermark = watermark
        self._latest = max(self._latest, time)
        return True

    def settle(self) -> list[Finding]:
        """What waited for time to pass that no event will bring any more."""
        return self._correlations.settle(end=self._latest)


def read_item(item: Item, source: str, reader: Reader, now: int, sources: Sources) -> Released:
    """What one record of a file says. ``now``: ms since the epoch. Raises BadRecord."""
    record = _record(item)
    found = (item.source or sources.recognise(record)) if source == "auto" else sources.by_name(source)
    return reader.read(record, found, fallback_id=lambda: item.place, received=now)


def _raw(item: Item, rules: RuleSet, memory: Memory) -> Iterator[dict[str, Any]]:
    record = _record(item)
    correlations = rules.correlations
    # Only correlations ask for a time; a record without one is no hit.
    time = _time(record) if correlations else UNTIMED
    event = Event(item.place, time, "raw", "record:raw", timely=time != UNTIMED)
    matches = rules.match(record, {}, None)
    for match in matches:
        if match.rule.id not in correlations.silent:
            yield _of_match(match, event, "actor")
    if correlations:
        hits = raw_hits(correlations, matches, event)
        yield from map(_of_finding, memory.correlate(hits, event, 0))


def _time(record: Any) -> int:
    try:
        return when(record, *_TIMES)
    except BadRecord:
        return UNTIMED


def _record(item: Item) -> Any:
    if item.error is not None:
        raise BadRecord(item.error)
    return item.record


def _found(released: Released, memory: Memory) -> Iterator[dict[str, Any]]:
    for match in released.matches:
        yield _of_match(match, released.event, released.source.subject)
    for finding in memory.inspect(released):
        yield _of_finding(finding)


def _of_match(match: Match, event: Event, subject: str) -> dict[str, Any]:
    """As :func:`_of_finding` of its finding, without asking why it matched, which costs more than all else."""
    rule = match.rule
    return {
        "detector": "sigma",
        "rule.id": rule.id,
        "rule.name": rule.title,
        "severity": rule.level,
        "entity": entity(rule, event, subject),
        "event_id": event.id,
        "time": event.time,
    }


def _of_finding(finding: Finding) -> dict[str, Any]:
    return {
        "detector": finding.detector,
        "rule.id": str(finding.rule.get("id", finding.detector)),
        "rule.name": finding.title,
        "severity": finding.severity,
        "entity": finding.entity,
        "event_id": finding.event_ids[0] if finding.event_ids else "",
        "time": finding.time,
    }
