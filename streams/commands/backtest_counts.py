"""What ``backtest`` counts of each candidate, and how scripts are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from detectors.base import Event, Finding
from detectors.rules import Match, Rule
from detectors.rules.correlation import Correlation
from detectors.rules.findings import entity, finding

__all__ = ["Backtest", "Commonest", "Period", "Trial", "as_json"]

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

    rule: Rule | Correlation
    #: Against the active rules: ``new``, ``changed``, ``same``; ``affected``, a correlation whose rules are changed.
    change: str
    feeds: list[str] = field(default_factory=list)  #: titles of correlations for which it alerts no more by itself
    hits: int = 0  #: events that a rule matched; what a correlation alerted of
    days: Counter[str] = field(default_factory=Counter)
    entities: Commonest = field(default_factory=Commonest)
    groups: Commonest = field(default_factory=Commonest)  #: of a correlation, as its alerts show them
    values: dict[str, Commonest] = field(default_factory=dict)  #: by field, of what may leave ingest
    also: Counter[str] = field(default_factory=Counter)  #: ids of active rules that alert of the same events
    alone: int = 0  #: hits that no active rule alerts of
    gained: int = 0  #: of what is no more as it was: hits that the active one has not
    lost: int = 0  #: of the same: what the active one finds and this does not
    examples: list[str] = field(default_factory=list)

    @property
    def alerts(self) -> int:
        return 0 if self.feeds else self.hits

    def take(self, match: Match, event: Event, subject: str, place: str) -> None:
        """Count one hit of a rule."""
        assert isinstance(self.rule, Rule), "a correlation has no match"
        self._count(event.time, entity(self.rule, event, subject), place)
        if self.hits <= _ALL or self.hits % 16 == 0:
            for name, value in finding(match, event, subject).evidence.items():
                for one in value if isinstance(value, list) else [value]:
                    self.values.setdefault(name, Commonest(1_000)).add(str(one))

    def correlated(self, found: Finding, place: str) -> None:
        """Count what a correlation alerts of."""
        assert isinstance(self.rule, Correlation), "a rule looks at one event"
        self._count(found.time, found.entity, place)
        if by := self.rule.group_by:
            self.groups.add(", ".join(f"{name} {found.evidence.get(name, 'missing')}" for name in by))

    def overlaps(self, others: AbstractSet[str]) -> None:
        """Of the hit that was counted last: ids of the active rules that alert of it."""
        others = others - {self.rule.id}
        self.also.update(others)
        self.alone += not others

    def _count(self, time: int, about: str, place: str) -> None:
        self.hits += 1
        self.days[_day(time)] += 1
        self.entities.add(about)
        if place and len(self.examples) < 5:
            self.examples.append(place)


@dataclass
class Backtest:
    """What candidates found, beside the active rules, in so many records over so many days."""

    trials: list[Trial]
    records: int = 0  #: read or passed over
    errors: int = 0
    first: int = 0  #: ms since the epoch, of the events that were looked at
    last: int = 0
    now: int = 0  #: alerts of the active rules and correlations as they are
    then: int = 0  #: with the candidates beside or in place of them

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
        return self.now / self.days, self.then / self.days


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
        "kind": "correlation" if isinstance(trial.rule, Correlation) else "rule",
        "feeds": trial.feeds,
        "hits": trial.hits,
        "alerts_a_day": round(trial.alerts / days, 2),
        "days": dict(sorted(trial.days.items())),
        "entities": {"distinct": len(trial.entities.counts), "top": dict(trial.entities.top(10))},
        "groups": {"distinct": len(trial.groups.counts), "top": dict(trial.groups.top(10))},
        "values": {name: dict(values.top(10)) for name, values in trial.values.items()},
        "also_found_by": dict(trial.also.most_common(10)),
        "alone": trial.alone,
        "gained": trial.gained if trial.change in ("changed", "affected") else None,
        "lost": trial.lost if trial.change in ("changed", "affected") else None,
        "examples": trial.examples,
    }
