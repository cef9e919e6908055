"""``backtest``: what rules would have found in recorded events, before they may alert anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TextIO

from detectors.base import Event, Finding
from detectors.rules import Match, Rule, RuleSet
from streams.commands.backtest_counts import Backtest, Period, Trial
from streams.commands.backtest_worlds import ByTime, Fed, Named, readable, worlds
from streams.commands.files import read_item
from streams.pipeline import Reader, Released
from streams.reading import Item
from streams.scanning import Scan
from streams.sources.base import BadRecord
from streams.sources.known import Sources

__all__ = ["backtest", "both"]


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
    """Try ``candidates`` and ``active`` on ``items``. What cannot be read is told to ``errors``, with its place, and
    what candidates refer to in vain.

    ``reader`` has the rules of :func:`both`. ``scan``: what the files are read through; None where they are not.
    ``progress`` is told now and then how many records there were. Correlations hear of events before the period too.
    """
    with ByTime() as fed:
        course = _Course(candidates, active, fed, period)
        for problem in course.problems:
            print(problem, file=errors)
        result, read = course.result, 0
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
            if released.event.time in period:
                result.meet(released.event.time)
            if released.matches:
                course.take(released, item)
            if read % 1024 == 0:
                progress(read + (scan.passed if scan else 0))
        result.records = read + (scan.passed if scan else 0)
        course.correlate(lambda: progress(result.records))
    return result


class _Course:
    """The two worlds side by side, and what is counted of both."""

    def __init__(self, candidates: RuleSet, active: RuleSet, fed: ByTime, period: Period) -> None:
        self._active, self._proposed = worlds(candidates, active)
        self.problems = [one for one in self._proposed.problems if one not in self._active.problems]
        old = {rule.id: rule for rule in active.rules}
        trials = [Trial(rule, _change(rule, old.get(rule.id)), self._feeds(rule.id)) for rule in candidates.rules]
        self._by_rule = {id(trial.rule): trial for trial in trials}
        self._changed = {trial.rule.id: trial for trial in trials if trial.change == "changed"}
        self._correlations = {trial.rule.id: trial for trial in self._trials({one.id for one in candidates.written})}
        #: Ids of findings that one world has and the other has not, as yet.
        self._differing: dict[str, tuple[set[str], set[str]]] = {
            name: (set(), set())
            for name, trial in self._correlations.items()
            if trial.change in ("changed", "affected")
        }
        self._fed = fed
        self._period = period
        self._named = Named()
        self.result = Backtest([*trials, *self._correlations.values()])

    def _trials(self, candidates: AbstractSet[str]) -> Iterator[Trial]:
        """Of each correlation that is a candidate, or that what it is built on makes another."""
        old, new = self._active, self._proposed
        for name, plan in new.plans.items():
            there = old.plans.get(name)
            if there is None:
                change = "new"
            elif there.rule.version != plan.rule.version:
                change = "changed"
            else:
                change = "same" if old.content(name) == new.content(name) else "affected"
            if name in candidates or change == "affected":
                yield Trial(plan.rule, change, self._feeds(name))

    def _feeds(self, name: str) -> list[str]:
        if name not in self._proposed.correlations.silent:
            return []
        plans = self._proposed.plans.values()
        return [plan.rule.title for plan in plans if any(member.id == name for member in plan.members)]

    def take(self, released: Released, item: Item) -> None:
        """Count what rules matched, and keep what correlations hear of it."""
        matches, event, active, proposed = released.matches, released.event, self._active, self._proposed
        alerting = active.alerting(matches)
        if event.time in self._period:
            self.result.now += len(alerting)
            self.result.then += len(proposed.alerting(matches))
            self._count(matches, alerting, event, released.source.subject, item.place)
        if item.record is not None and event.time < self._period.until:
            hits = active.hits(matches, item.record, released), proposed.hits(matches, item.record, released)
            if any(hits):
                place = readable(item.place)
                self._fed.add(Fed(event.time, readable(event.id), place, sorted(alerting), *hits))

    def _count(
        self, matches: Sequence[Match], alerting: AbstractSet[str], event: Event, subject: str, place: str
    ) -> None:
        before = {match.rule.id for match in matches if id(match.rule) not in self._by_rule}
        hit = set()
        for match in matches:
            trial = self._by_rule.get(id(match.rule))
            if trial is None:
                continue
            hit.add(trial.rule.id)
            trial.take(match, event, subject, place)
            trial.overlaps(alerting)
            trial.gained += trial.rule.id not in before
        for name, trial in self._changed.items():
            trial.lost += name in before and name not in hit

    def correlate(self, progress: Callable[[], None]) -> None:
        """Tell the correlations of both worlds what was kept, in the order of its time; ``progress`` now and then."""
        for number, fed in enumerate(self._fed, 1):
            if number % 1024 == 0:
                progress()
            self._named.add(fed)
            self._found(self._active.take(fed.active, fed.time), self._proposed.take(fed.proposed, fed.time))
        self._found(self._active.settle(), self._proposed.settle())
        for name, (before, after) in self._differing.items():
            trial = self._correlations[name]
            trial.lost, trial.gained = len(before), len(after)

    def _found(self, active: Sequence[Finding], proposed: Sequence[Finding]) -> None:
        for found in active:
            name = found.rule["id"]
            if name not in self._active.quiet:
                self._named.found(found)
                self.result.now += found.time in self._period
            self._differs(found, 0)
        for found in proposed:
            name = found.rule["id"]
            self._differs(found, 1)
            if found.time not in self._period:
                continue
            self.result.then += name not in self._proposed.quiet
            if name in self._correlations:
                place, others = self._named.of(found)
                self._correlations[name].correlated(found, place)
                self._correlations[name].overlaps(others)

    def _differs(self, found: Finding, world: int) -> None:
        """One finding has one id in both worlds, and they may come to it at different events."""
        name = found.rule["id"]
        if name in self._differing and found.time in self._period:
            here, there = self._differing[name][world], self._differing[name][1 - world]
            if found.id in there:
                there.remove(found.id)
            else:
                here.add(found.id)


def both(candidates: RuleSet, active: RuleSet) -> RuleSet:
    """All rules, also where two have one id: that of a candidate and the one it would take the place of."""
    return RuleSet([*candidates.rules, *active.rules])


def _change(rule: Rule, old: Rule | None) -> str:
    if old is None:
        return "new"
    return "same" if old.version == rule.version else "changed"
