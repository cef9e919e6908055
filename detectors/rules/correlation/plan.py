"""Correlations whose references are looked up: what each is told by which rule, and what it says when it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from detectors.base import digest
from detectors.rules.correlation.parse import OWN, Correlation
from detectors.rules.lookup import path_of
from detectors.rules.problems import Problem, RuleError
from detectors.rules.rule import Rule

__all__ = ["OF_ABSENCES", "Correlations", "Feed", "Field", "Plan", "Tell", "link"]

#: Correlations between a rule and the last that is built on it, and tellings that one match may lead to.
_DEEPEST: Final = 8
_MOST_TELLINGS: Final = 16
_TOO_DEEP: Final = f"more than {_DEEPEST} correlations are built on one another; correlate the rules themselves"

#: What may refer to an ``absence``: types that ask no number of the event.
OF_ABSENCES: Final = ("event_count", "value_count", "temporal", "temporal_ordered")

Field = tuple[str, tuple[str, ...]]  #: a name, and its steps as :func:`detectors.rules.lookup.path_of` gives them


@dataclass(frozen=True, slots=True)
class Plan:
    """One correlation, ready to be evaluated."""

    rule: Correlation
    key: str  #: of its state: another where it asks for something else
    members: tuple[Rule | Correlation, ...]  #: what it refers to, in its order
    chained: bool  #: some of them are correlations
    depth: int  #: correlations beneath it, counted along the longest way
    feeds: bool = field(default=False, compare=False)  #: another correlation refers to it
    alone: bool = field(default=True, compare=False)  #: it alerts by itself


class Tell(NamedTuple):
    """How one event becomes a hit of one plan: the names its values have in the event."""

    plan: Plan
    child: str  #: key of the plan beneath that must hold first; empty where the rule itself is referred to
    member: int
    group: tuple[Field, ...]
    values: tuple[Field, ...]


class Feed(NamedTuple):
    """What a match of one rule leads to: the plan it is a hit of, and those that are told when plans beneath hold."""

    tell: Tell
    above: tuple[Tell, ...]


class Correlations:
    """All that were loaded. Immutable."""

    def __init__(self, plans: Iterable[Plan], feeds: Mapping[str, Sequence[Feed]], silent: Iterable[str]) -> None:
        self.plans = tuple(plans)
        self.by_key: Final[Mapping[str, Plan]] = {plan.key: plan for plan in self.plans}
        self.feeds: Final[Mapping[str, Sequence[Feed]]] = dict(feeds)  #: by the rule's id
        #: Ids of rules that a correlation refers to and that do not alert by themselves.
        self.silent = frozenset(silent)

    def __bool__(self) -> bool:
        return bool(self.plans)


def link(rules: Iterable[Rule], correlations: Iterable[Correlation]) -> tuple[Correlations, list[Problem]]:
    """Look up every reference. A correlation that cannot be evaluated becomes a problem and costs itself and those
    that refer to it."""
    linker = _Linker(rules, correlations)
    return linker.link(), linker.problems


class _Linker:
    def __init__(self, rules: Iterable[Rule], correlations: Iterable[Correlation]) -> None:
        self.problems: list[Problem] = []
        self._correlations = list(correlations)
        self._named: dict[str, list[Rule | Correlation]] = defaultdict(list)
        everything: list[Rule | Correlation] = [*rules, *self._correlations]
        for one in everything:
            for name in dict.fromkeys((one.id, one.name)):
                if name:
                    self._named[name].append(one)
        self._plans: dict[str, Plan] = {}
        self._broken: dict[str, str] = {}
        self._open: list[str] = []

    def link(self) -> Correlations:
        for one in self._correlations:
            if one.id not in self._plans and one.id not in self._broken:
                try:
                    self._plan(one)
                except RuleError as error:
                    self._refuse(one, error)
        silent = self._silent()
        referred = {member.id for plan in self._plans.values() for member in plan.members}
        self._plans = {
            name: Plan(p.rule, p.key, p.members, p.chained, p.depth, name in referred, name not in silent)
            for name, p in self._plans.items()
        }
        return Correlations(self._plans.values(), self._feeds(), silent)

    def _refuse(self, one: Correlation, error: RuleError) -> None:
        self._broken[one.id] = str(error)
        self.problems.append(Problem(one.path, one.line, one.id, str(error)))

    def _plan(self, one: Correlation) -> Plan:
        if one.id in self._open:
            names = [self._find(name, one).title for name in (*self._open[self._open.index(one.id) :], one.id)]
            raise RuleError(f"correlations refer to one another in a circle: {' > '.join(names)}")
        if len(self._open) >= _DEEPEST:
            raise RuleError(_TOO_DEEP)
        self._open.append(one.id)
        try:
            members = tuple(self._member(name, one) for name in one.rules)
        finally:
            self._open.pop()
        if len({member.id for member in members}) != len(members):
            raise RuleError("correlation.rules names one rule twice, by id and by name")
        for alias, fields in one.aliases.items():
            for ref in fields:
                if self._find(ref, one) not in members:
                    raise RuleError(f"alias {alias} is for {ref!r}, which is none of the correlation's rules")
        _check_reachable(one)
        _check_remembered(one, members)
        beneath = [self._plans[member.id].depth for member in members if isinstance(member, Correlation)]
        depth = max(beneath, default=-1) + 1
        if depth >= _DEEPEST:
            raise RuleError(_TOO_DEEP)
        key = digest("plan", one.id, one.meaning, *(member.id for member in members))[:16]
        plan = Plan(one, key, members, bool(beneath), depth)
        self._plans[one.id] = plan
        return plan

    def _member(self, name: str, one: Correlation) -> Rule | Correlation:
        found = self._find(name, one)
        if isinstance(found, Correlation) and found.id not in self._plans:
            if found.id not in self._broken:
                try:
                    self._plan(found)
                except RuleError as error:
                    if found.id in self._open:  # the circle is told where it was entered
                        raise
                    self._refuse(found, error)
            if found.id in self._broken:
                raise RuleError(f"it refers to {name!r}, which was not loaded")
        return found

    def _find(self, name: str, one: Correlation) -> Rule | Correlation:
        found = self._named.get(name) or self._named.get(name.lower(), [])
        if len(found) > 1:  # a name is unique in its file, an id everywhere
            found = [other for other in found if other.path == one.path] or found
        if not found:
            raise RuleError(f"it refers to {name!r}, and no loaded rule has that id or name; load its file as well")
        if len(found) > 1:
            raise RuleError(f"it refers to {name!r}, and {len(found)} rules are called so; use the id")
        return found[0]

    def _silent(self) -> set[str]:
        referred: dict[str, bool] = {}
        for plan in self._plans.values():
            for member in plan.members:
                referred[member.id] = referred.get(member.id, False) or plan.rule.generate
        return {name for name, alerts in referred.items() if not alerts}

    def _feeds(self) -> dict[str, list[Feed]]:
        feeds: dict[str, list[Feed]] = defaultdict(list)
        for plan in self._plans.values():
            for number, member in enumerate(plan.members):
                if isinstance(member, Rule):
                    way = [(plan, number)]
                    above = tuple(islice(self._above(way), _MOST_TELLINGS + 1))
                    if len(above) > _MOST_TELLINGS:
                        reason = f"more than {_MOST_TELLINGS} correlations are built on it; none of them hears of it"
                        self.problems.append(Problem(plan.rule.path, plan.rule.line, plan.rule.id, reason))
                        above = ()
                    feeds[member.id].append(Feed(self._tell(way), above))
        return feeds

    def _above(self, way: list[tuple[Plan, int]]) -> Iterator[Tell]:
        """Every plan that is told when the last of ``way`` holds, and those above it."""
        child = way[-1][0]
        for parent in self._plans.values():
            for number, member in enumerate(parent.members):
                if member.id == child.rule.id:
                    longer = [*way, (parent, number)]
                    yield self._tell(longer)
                    yield from self._above(longer)

    def _tell(self, way: list[tuple[Plan, int]]) -> Tell:
        plan, number = way[-1]
        child = way[-2][0].key if len(way) > 1 else ""
        return Tell(
            plan,
            child,
            number,
            tuple(self._field(name, way) for name in plan.rule.group_by),
            tuple(self._field(name, way) for name in plan.rule.fields),
        )

    def _field(self, name: str, way: list[tuple[Plan, int]]) -> Field:
        """What the event of the first rule on the way calls what the last plan on it calls ``name``."""
        for plan, number in reversed(way):
            names = plan.rule.aliases.get(name, {})
            member = plan.members[number]
            name = next((f for ref, f in names.items() if self._find(ref, plan.rule) is member), name)
        return name, path_of(name)


def _check_reachable(one: Correlation) -> None:
    """Raises RuleError where no events could make it hold."""
    if one.kind not in ("temporal", "temporal_ordered"):
        return
    all_of_them = (1 << len(one.rules)) - 1
    if one.kind == "temporal_ordered":
        if one.condition is not None and not one.condition.test(all_of_them):
            raise RuleError("it asks for all its rules in order and for a condition that excludes that")
        if one.bounds is not None and not one.bounds.hold(len(one.rules) * 10**9):
            raise RuleError(f"it asks for all its {len(one.rules)} rules in order; its condition excludes that number")
    elif one.bounds is not None and not any(one.bounds.hold(n * 10**9) for n in range(1, len(one.rules) + 1)):
        raise RuleError(f"it has {len(one.rules)} rules; its condition asks for another number of them")


def _check_remembered(one: Correlation, members: Sequence[Rule | Correlation]) -> None:
    """Raises RuleError where a type that remembers is referred to by what can say nothing of it."""
    for member in members:
        kind = member.kind if isinstance(member, Correlation) else ""
        if kind in OWN and one.kind in OWN:
            raise RuleError(
                f"{one.kind} refers to {member.title!r}, which is of type {kind}; name the rules beneath it"
            )
        if kind == "absence" and one.kind not in OF_ABSENCES:
            raise RuleError(
                f"{one.kind} measures events, and {member.title!r} tells of none; count or order it instead"
            )
