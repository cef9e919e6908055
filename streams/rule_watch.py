"""Keeps a worker's rules as its folders and the topic ``rules`` have them, and keeps from alerting what misbehaves.

A change is taken up between two records, as a whole: a set is loaded beside the one in use, and then takes its place.
What both sets find in a record that is derived again is found once (:mod:`streams.numbering`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from detectors.rules import Problem, Rule, RuleSet, load
from detectors.rules.correlation import Correlation
from streams.correlate import Correlate
from streams.pipeline import Reader
from streams.rule_conduct import Conduct, Counts
from streams.rule_shadows import built_on
from streams.rule_topic import Quarantine, RuleTopic, Running
from streams.settings import Settings
from streams.topics import PUBLISHED

__all__ = ["EVERY", "GONE", "TELLING", "RuleWatch"]

log = logging.getLogger(__name__)

#: Seconds between two looks. A folder's change counts once two looks in a row saw the same.
EVERY = 2.0
#: Milliseconds after which a worker says again which rules it runs.
TELLING = 60_000
#: Milliseconds after which what a worker said is taken away by another.
GONE = 86_400_000
#: Correlations of which a worker says for which rule they are in shadow, or which one they do without.
_MOST_TOLD = 100
_UPGRADE = "this worker does without it: upgrade it"

#: What was seen of files: path, time of the last change in ns, size.
_Seen = tuple[tuple[str, int, int], ...]


class RuleWatch:
    """One worker's."""

    def __init__(self, settings: Settings, topic: RuleTopic, name: str) -> None:
        """Loads what there is now. ``name``: of the worker, for people. Raises kafka's errors."""
        self._name = name
        self._told = Running("", 0, 0, 0)
        self._paths = [path.expanduser() for path in settings.rules]
        self._context = settings.rule_context
        self._cache = settings.home / "rules.cache"
        self._beside = [*self._context["lists"], *self._context["pipelines"]]
        self._topic = topic
        self._conduct = Conduct(matches=settings.rule_matches_per_minute, seconds=settings.rule_seconds_per_minute)
        self._readers: list[Reader] = []
        self._correlates: list[Correlate] = []
        self._unreadable: frozenset[str] = frozenset()  #: keys of which the log has said so
        self._before: dict[str, Counts] = {}  #: of the sets before this one
        self._seen = self._seen_last = _look(self._paths, self._beside)
        self.board = topic.refresh()
        self.rules = self._loaded()
        self.quiet = self._quiet()
        for problem in self.rules.problems:
            log.error("rule not loaded: %s", problem)
        self._say_newer()

    def serve(self, taker: Reader | Correlate) -> None:
        """Give ``taker`` the rules, now and whenever they change."""
        if isinstance(taker, Reader):
            self._readers.append(taker)
        else:
            self._correlates.append(taker)
        self._give()

    def _give(self) -> None:
        for reader in self._readers:
            reader.take(self.rules, self.quiet, self.quarantined.keys())
        for correlate in self._correlates:
            correlate.take(self.rules, self.quiet)

    def _loaded(self) -> RuleSet:
        return load(self._paths, beside_starter=True, published=self.board.texts, cache=self._cache, **self._context)

    @property
    def newer(self) -> Mapping[str, int]:
        """What it does without, since a later version wrote it: keys in the topic, and the version of their format."""
        return {key: version for key, version in self.board.newer.items() if not key.startswith("worker/")}

    def _say_newer(self) -> None:
        for key in self.newer.keys() - self._unreadable:
            log.error("%s of the topic rules is of format %d; %s", key, self.newer[key], _UPGRADE)
        self._unreadable = frozenset(self.newer)

    def _shadows(self) -> set[str]:
        """Ids of what is in shadow by itself."""
        shadows = {f"{PUBLISHED}{name}" for name, file in self.board.files.items() if file.shadow}
        loaded: list[Rule | Correlation] = [*self.rules.rules, *(plan.rule for plan in self.rules.correlations.plans)]
        return {rule.id for rule in loaded if rule.shadow or rule.path in shadows}

    def _quiet(self) -> frozenset[str]:
        shadows = self._shadows()
        return frozenset(shadows | built_on(self.rules.correlations.plans, shadows).keys() | self.quarantined.keys())

    @property
    def quarantined(self) -> dict[str, Quarantine]:
        """By id, those rules in use that must not alert."""
        versions = {rule.id: rule.version for rule in self.rules.rules}
        return {rule: why for rule, why in self.board.quarantined.items() if versions.get(rule) == why.version}

    async def look(self) -> None:
        """Take up what changed since the last look. Raises kafka's errors; the rules stay as they were then."""
        seen = await asyncio.to_thread(_look, self._paths, self._beside)
        settled = seen == self._seen_last
        self._seen_last = seen
        board = await asyncio.to_thread(self._topic.refresh)
        changed = board.files != self.board.files or (settled and seen != self._seen)
        same = not changed and board.quarantined == self.board.quarantined
        self.board = board
        self._say_newer()
        if same:
            return
        if changed:
            if settled:
                self._seen = seen
            rules = await asyncio.to_thread(self._loaded)
            self._replace(rules)
        self.quiet = self._quiet()
        self._give()

    def _replace(self, rules: RuleSet) -> None:
        known = set(map(str, self.rules.problems))
        fresh = [problem for problem in rules.problems if str(problem) not in known]
        for problem in fresh:
            log.error("rule not loaded: %s", problem)
        kept = _kept(self.rules, rules, fresh)
        if kept:
            log.error("%d rules of files that can no longer be read stay as they were", len(kept))
            rules = rules.beside(kept)
        self._before = self._rule_counts()
        log.warning("%d rules are in use now, version %s", len(rules.rules), rules.version)
        self.rules = rules

    def counts(self) -> dict[str, Counts]:
        """What each rule did since the worker began, by id; those that nothing met are left out.

        Of a correlation, how often it held; a restart and a partition that moves may count some of it again.
        """
        found = self._rule_counts()
        for correlate in self._correlates:
            for name, held in correlate.found.items():
                found[name] = found.get(name, Counts()) + Counts(matched=held)
        return found

    def _rule_counts(self) -> dict[str, Counts]:
        rules = self.rules
        found = dict(self._before)
        for rule, *count in zip(rules.rules, rules.tried, rules.matched, rules.nanoseconds, strict=True):
            if count[0]:
                found[rule.id] = found.get(rule.id, Counts()) + tuple(count)
        return found

    async def judge(self, now: float) -> None:
        """Quarantine what matches or costs too much. ``now``: seconds, only rising. Raises kafka's errors."""
        # A correlation may well want to hear of every login, and never more than while somebody tries thousands.
        unheard = self.quiet | self.rules.correlations.silent
        found = self._conduct.judge(self._rule_counts(), now, unheard=unheard)
        # What is in shadow may cost what it likes, unless its matches go on to correlations.
        spared = self.quiet.difference(self.rules.correlations.feeds) | self.quarantined.keys()
        loud = {rule.id: rule for rule in self.rules.rules if rule.id in found and rule.id not in spared}
        for name, rule in loud.items():
            why = Quarantine(rule.version, rule.title, found[name])
            self.board = self.board._replace(quarantined={**self.board.quarantined, name: why})
            self.quiet |= {name}
            log.error("rule %s (%s) is quarantined: %s", rule.title, name, why.reason)
        if loud:
            self._give()  # at once here; then everywhere
            for name, rule in loud.items():
                await asyncio.to_thread(self._topic.quarantine, name, Quarantine(rule.version, rule.title, found[name]))
                self._conduct.forget(name)

    def _built_on(self, ids: Set[str]) -> tuple[tuple[str, str], ...]:
        """Titles of correlations upon ``ids`` that are not among them, each with that of the rule; some of many."""
        plans = self.rules.correlations.plans
        titles = {plan.rule.id: plan.rule.title for plan in plans}
        found = built_on(plans, ids)
        return tuple(sorted((titles[name], member) for name, member in found.items() if name not in ids))[:_MOST_TOLD]

    async def tell(self, now: int) -> None:
        """Say to ``rules status`` which rules this worker runs. ``now``: ms since the epoch. Raises kafka's errors."""
        rules = self.rules
        shadow = len(self.quiet - self.quarantined.keys())
        shadowed, lacking = self._built_on(self._shadows()), self._built_on(self.quarantined.keys())
        counts = len(rules.rules), len(rules.problems), shadow
        running = Running(rules.version, *counts, 0, shadowed, lacking, len(self.newer))
        if running != self._told._replace(told=0) or now - self._told.told >= TELLING:
            self._told = running._replace(told=now)
            await asyncio.to_thread(self._topic.run, self._name, self._told)
            for name, other in self.board.workers.items():
                if now - other.told > GONE and name != self._name:
                    await asyncio.to_thread(self._topic.run, name, None)

    async def run(self, now: float, time: int) -> None:
        """One look and one judgement; what Kafka does not answer waits for the next.

        ``now``: seconds, only rising. ``time``: ms since the epoch.
        """
        try:
            await self.look()
            await self.judge(now)
            await self.tell(time)
        except KafkaError as exc:
            log.warning("changes of rules wait for Kafka (%s)", type(exc).__name__)

    def close(self) -> None:
        """End. What this worker said stays until it is old, since no broker may be there to take it back."""
        self._topic.close()


def _kept(old: RuleSet, new: RuleSet, fresh: Sequence[Problem]) -> list[Any]:
    """Rules of ``old`` that ``new`` lacks because their file cannot be read any more."""
    broken = {problem.path for problem in fresh}
    there = {rule.id for rule in new.rules}
    return [rule for rule in old.rules if rule.path in broken and rule.id not in there]


def _look(rules: Sequence[Path], beside: Sequence[Path]) -> _Seen:
    """``beside``: lists and pipelines, whose files have any ending."""
    return tuple(sorted([*_files(rules, ("*.yml", "*.yaml")), *_files(beside, ("*",))]))


def _files(paths: Sequence[Path], patterns: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    for path in paths:
        for file in [file for one in patterns for file in path.rglob(one)] if path.is_dir() else [path]:
            try:
                told = file.stat()
            except OSError:
                continue
            yield str(file), told.st_mtime_ns, told.st_size
