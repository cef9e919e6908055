"""All loaded rules, ready to be tried on events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Protocol

import orjson

from detectors.base import digest
from detectors.rules.correlation import Correlation, link
from detectors.rules.explanation import Cause, causes
from detectors.rules.expression import questions
from detectors.rules.index import Index
from detectors.rules.lookup import Words
from detectors.rules.problems import Problem
from detectors.rules.projection import Clock, Passes, Settled, Wanted, projection
from detectors.rules.rule import Rule
from detectors.rules.witness import Rarity, witness

__all__ = ["LogSourceLike", "Match", "PlainLike", "RuleSet"]

_REMEMBERED_SOURCES = 256


class LogSourceLike(Protocol):
    """Sigma's ``logsource`` of an event; a part that is not known is empty."""

    @property
    def product(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def category(self) -> str: ...


class PlainLike(Protocol):
    """What a source's records are nearly always like; see :func:`detectors.rules.projection.projection`."""

    @property
    def fields(self) -> Mapping[str, Any]: ...
    @property
    def required(self) -> AbstractSet[str]: ...
    @property
    def copies(self) -> Mapping[str, tuple[str, ...]]:
        """ECS names to the places in the record of which one has their value."""
        ...


@dataclass(frozen=True, slots=True)
class Match:
    """One rule that matched one event. Why it did is worked out only when asked for."""

    rule: Rule
    record: Mapping[str, Any]
    fields: Mapping[str, Any]
    ruleset: str = ""  #: version of the set that the rule was tried with

    def causes(self) -> tuple[Cause, ...]:
        """Which questions were answered with yes; negated ones are left out."""
        return causes(self.rule.expression, self.record, self.fields)

    def evidence(self) -> dict[str, Any]:
        """Field names to the values that matched. May hold patient data: it quotes the vendor's record."""
        return {cause.field: cause.value for cause in self.causes() if cause.field}


class RuleSet:
    """Rules and correlations, and what was not loaded. Matching keeps caches and counts, which change no answer."""

    def __init__(
        self, rules: Iterable[Rule], problems: Iterable[Problem] = (), correlations: Iterable[Correlation] = ()
    ) -> None:
        self.rules = tuple(rules)
        self._read = tuple(problems), tuple(correlations)
        self.correlations, unlinked = link(self.rules, self._read[1])
        self.problems = (*self._read[0], *unlinked)
        versions = [one.version for one in self.rules] + [plan.rule.version for plan in self.correlations.plans]
        #: Digest of what the loaded rules and correlations say; independent of their files and order.
        self.version = digest("ruleset", *sorted(versions))
        rarity = Rarity(rule.expression for rule in self.rules)
        self._witnesses = tuple(witness(rule.expression, rarity) for rule in self.rules)
        self._matchers = tuple(rule.matcher for rule in self.rules)
        #: By the number of a rule in :attr:`rules`: events on which it was evaluated, those it matched, and ns it took.
        self.tried = [0] * len(self.rules)
        self.matched = [0] * len(self.rules)
        self.nanoseconds = [0] * len(self.rules)
        self._by_parts: dict[tuple[str, str, str] | None, Index] = {}
        self._by_identity: dict[int, tuple[LogSourceLike | None, Index]] = {}

    @property
    def unread(self) -> tuple[Problem, ...]:
        """Of the problems, those that are no matter of what else is loaded."""
        return self._read[0]

    @property
    def written(self) -> tuple[Correlation, ...]:
        """All correlations that were read, also those that refer to what is not there."""
        return self._read[1]

    def beside(self, rules: Iterable[Rule]) -> RuleSet:
        """This set with more rules in it."""
        return RuleSet([*self.rules, *rules], *self._read)

    @property
    def unindexed(self) -> tuple[Rule, ...]:
        """The rules that are tried on every event of their log source, because nothing singles events out."""
        return tuple(rule for rule, atoms in zip(self.rules, self._witnesses, strict=True) if atoms is None)

    def match(
        self,
        record: Mapping[str, Any],
        fields: Mapping[str, Any],
        logsource: LogSourceLike | None,
        time: int | None = None,
    ) -> list[Match]:
        """The rules that match one event, in load order.

        ``record`` is the vendor's whole record, ``fields`` the flat ECS fields of the same event; a name is
        looked up in the first, then in the second. ``logsource`` of None tries every rule; it must not change
        between calls. ``time``: the event's, in ms since the epoch; without one no indicator has expired.
        """
        known = self._by_identity.get(id(logsource))
        index = self._index(logsource) if known is None else known[1]
        candidates = index.candidates(record, fields)
        if not candidates:
            return []
        words = Words(record, fields, time)
        matches = []
        began = perf_counter_ns()
        for number in candidates if len(candidates) == 1 else sorted(set(candidates)):
            self.tried[number] += 1
            if self._matchers[number](record, fields, words):
                self.matched[number] += 1
                matches.append(Match(self.rules[number], record, fields, self.version))
            ended = perf_counter_ns()
            self.nanoseconds[number] += ended - began
            began = ended
        return matches

    def passes(
        self, logsource: LogSourceLike, plain: PlainLike, fields: AbstractSet[str], clock: Clock | None = None
    ) -> Passes | None:
        """Tells of a line whether it is a record like ``plain`` that no rule could match; None where nothing can.

        ``fields``: ECS names that such an event may have. ``clock``: asked of the time of what no rule matches.
        """
        index = self._index(logsource)
        if index.always:
            return None
        wanted = []
        for name, node in index.wanted():
            if name in fields and name not in plain.copies:
                return None
            wanted.append(Wanted(name.split("."), node, aliased=False))
            wanted += [Wanted(place.split("."), node, aliased=True) for place in plain.copies.get(name, ())]
        return projection(plain.fields, plain.required, wanted, self._settler(fields), clock)

    def _settler(self, fields: AbstractSet[str]) -> Settled:
        """Tries rules on the record in a line, those that ask for none of ``fields``; with another one it gives up."""
        known: dict[int, bool] = {}
        matchers = self._matchers

        def alone(number: int) -> bool:
            """True where the record has all that the rule asks for."""
            if number not in known:
                asked = {name for test in questions(self.rules[number].expression) for name in test.names}
                known[number] = None not in asked and asked.isdisjoint(fields)
            return known[number]

        def settled(line: memoryview, rules: tuple[int, ...]) -> bool:
            numbers = set(rules)
            if not all(map(alone, numbers)):
                return False
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                return False
            words = Words(record, {})
            return not any(matchers[number](record, {}, words) for number in numbers)

        return settled

    def _index(self, logsource: LogSourceLike | None) -> Index:
        key = None if logsource is None else (logsource.product, logsource.service, logsource.category)
        index = self._by_parts.get(key)
        if index is None:
            index = Index(
                (number, self._witnesses[number])
                for number, rule in enumerate(self.rules)
                if key is None or rule.applies_to(*key)
            )
            if len(self._by_parts) < _REMEMBERED_SOURCES:
                self._by_parts[key] = index
        if len(self._by_identity) < _REMEMBERED_SOURCES:
            self._by_identity[id(logsource)] = (logsource, index)  # holding it keeps the identity its own
        return index
