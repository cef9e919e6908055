"""``backtest``: what rules would have found in recorded events, before they may alert anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from detectors.base import Event
from detectors.rules import Match, Rule, RuleSet
from detectors.rules.findings import entity, finding
from streams.commands.files import read_item
from streams.pipeline import Reader
from streams.reading import Item
from streams.scanning import Scan
from streams.sources.base import BadRecord
from streams.sources.known import Sources

__all__ = ["Backtest", "Commonest", "Period", "Trial", "as_json", "backtest", "both"]

_DAY = 86_400_000
#: Hits of a rule whose values are all counted; after that, of one in sixteen.
_ALL = 2_000


class Commonest:
    """Counts of values, each by itself up to a number of them, and of all later ones together."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self.counts: Counter[str] = Counter()
        self.others = 0  #: times a value was met that was not known when there were ``most``

    def add(self, value: str) -> None:
        if value in self.counts or len(self.counts) < self._most:
            self.counts[value] += 1
        else:
            self.others += 1

    def top(self, number: int) -> list[tuple[str, int]]:
        """The commonest, most frequent first."""
        return self.counts.most_common(number)


@dataclass(frozen=True)
class Period:
    """Which events count: those of ``since`` to before ``until``, ms since the epoch."""

    since: int = 0
    until: int = 1 << 62

    def __contains__(self, time: int) -> bool:
        return self.since <= time < self.until


@dataclass
class Trial:
    """What one candidate found."""

    rule: Rule
    change: str  #: against the active rules: ``new``, ``changed`` or ``same``
    hits: int = 0
    days: Counter[str] = field(default_factory=Counter)
    entities: Commonest = field(default_factory=Commonest)
    values: dict[str, Commonest] = field(default_factory=dict)  #: by field, of what may leave ingest
    also: Counter[str] = field(default_factory=Counter)  #: ids of active rules that found the same events
    alone: int = 0  #: hits that no active rule found
    gained: int = 0  #: of a changed rule: hits that the active one has not
    lost: int = 0  #: of a changed rule: what the active one finds and this does not
    examples: list[str] = field(default_factory=list)

    def take(self, match: Match, event: Event, subject: str, place: str) -> None:
        """Count one hit."""
        self.hits += 1
        self.days[_day(event.time)] += 1
        self.entities.add(entity(self.rule, event, subject))
        if len(self.examples) < 5:
            self.examples.append(place)
        if self.hits <= _ALL or self.hits % 16 == 0:
            for name, value in finding(match, event, subject).evidence.items():
                for one in value if isinstance(value, list) else [value]:
                    self.values.setdefault(name, Commonest(1_000)).add(str(one))


@dataclass
class Backtest:
    """What candidates found, beside the active rules, in so many records over so many days."""

    trials: list[Trial]
    records: int = 0  #: read or passed over
    errors: int = 0
    first: int = 0  #: ms since the epoch, of the events that were looked at
    last: int = 0
    active: Counter[str] = field(default_factory=Counter)  #: hits of the active rules, by id

    @property
    def days(self) -> float:
        """Length of the time that the events span, at least one day."""
        return max(1.0, (self.last - self.first) / _DAY)

    def meet(self, time: int) -> None:
        """An event of ``time`` was looked at."""
        self.first = min(self.first or time, time)
        self.last = max(self.last, time)

    def alerts_a_day(self) -> tuple[float, float]:
        """Of the active rules as they are, and with the candidates beside or in place of them."""
        now = self.active.total()
        added = sum(trial.hits if trial.change == "new" else trial.gained - trial.lost for trial in self.trials)
        return now / self.days, (now + added) / self.days


def backtest(
    items: Iterator[Item],
    candidates: RuleSet,
    active: RuleSet,
    reader: Reader,
    *,
    source: str,
    sources: Sources,
    scan: Scan | None,
    period: Period,
    now: int,
    errors: TextIO,
    progress: Callable[[int], None] = lambda records: None,
) -> Backtest:
    """Try ``candidates`` and ``active`` on ``items``. What cannot be read is told to ``errors``, with its place.

    ``reader`` has the rules of :func:`both`. ``scan``: what the files are read through; None where they are not.
    ``progress`` is told now and then how many records there were.
    """
    old = {rule.id: rule for rule in active.rules}
    trials = [Trial(rule, _change(rule, old.get(rule.id))) for rule in candidates.rules]
    by_rule = {id(trial.rule): trial for trial in trials}
    changed = {trial.rule.id: trial for trial in trials if trial.change == "changed"}
    result = Backtest(trials)
    read = 0
    for item in items:
        read += 1
        try:
            released = read_item(item, source, reader, now, sources)
        except BadRecord as exc:
            result.errors += 1
            print(f"{item.place}: {exc}", file=errors)
            continue
        if scan is not None:
            scan.met(released.source)
        event = released.event
        if event.time in period:
            result.meet(event.time)
            if released.matches:
                _count(result, released.matches, by_rule, changed, event, released.source.subject, item.place)
        if read % 1024 == 0:
            progress(read + (scan.passed if scan else 0))
    result.records = read + (scan.passed if scan else 0)
    return result


def both(candidates: RuleSet, active: RuleSet) -> RuleSet:
    """All rules, also where two have one id: that of a candidate and the one it would take the place of."""
    return RuleSet([*candidates.rules, *active.rules])


def _change(rule: Rule, old: Rule | None) -> str:
    if old is None:
        return "new"
    return "same" if old.version == rule.version else "changed"


def _count(
    result: Backtest,
    matches: Sequence[Match],
    by_rule: dict[int, Trial],
    changed: dict[str, Trial],
    event: Event,
    subject: str,
    place: str,
) -> None:
    active = {match.rule.id for match in matches if id(match.rule) not in by_rule}
    result.active.update(active)
    hit = set()
    for match in matches:
        trial = by_rule.get(id(match.rule))
        if trial is None:
            continue
        hit.add(trial.rule.id)
        trial.take(match, event, subject, place)
        others = active - {trial.rule.id}
        trial.also.update(others)
        trial.alone += not others
        trial.gained += trial.rule.id not in active
    for name, trial in changed.items():
        trial.lost += name in active and name not in hit


def _day(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d}"


def as_json(result: Backtest) -> dict[str, Any]:
    """The whole result for scripts."""
    before, after = result.alerts_a_day()
    return {
        "records": result.records,
        "errors": result.errors,
        "days": round(result.days, 3),
        "alerts_a_day": {"active": round(before, 2), "with_candidates": round(after, 2)},
        "rules": [_trial_json(trial, result.days) for trial in result.trials],
    }


def _trial_json(trial: Trial, days: float) -> dict[str, Any]:
    return {
        "id": trial.rule.id,
        "title": trial.rule.title,
        "level": trial.rule.level,
        "file": trial.rule.path,
        "change": trial.change,
        "hits": trial.hits,
        "alerts_a_day": round(trial.hits / days, 2),
        "days": dict(sorted(trial.days.items())),
        "entities": {"distinct": len(trial.entities.counts), "top": dict(trial.entities.top(10))},
        "values": {name: dict(values.top(10)) for name, values in trial.values.items()},
        "also_found_by": dict(trial.also.most_common(10)),
        "alone": trial.alone,
        "gained": trial.gained if trial.change == "changed" else None,
        "lost": trial.lost if trial.change == "changed" else None,
        "examples": trial.examples,
    }
