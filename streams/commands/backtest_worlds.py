"""What correlations would have found in recorded events: those of the active rules, and with candidates in their place.

Files come one after another and Kafka's partitions too, so what rules matched is put in the order of its time first;
then both sets hear of it side by side, as they would in a stream in which nothing is late.
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from operator import itemgetter
from typing import IO, Any, Final, NamedTuple

import orjson

from detectors.base import Finding, digest
from detectors.rules import Match, Rule, RuleSet
from detectors.rules.correlation import Correlation, Hit, Memory, Plan, link
from streams.hits import decode_hit, hit_output, hits_of
from streams.pipeline import LATENESS, Released
from streams.rule_shadows import built_on

__all__ = ["ByTime", "Fed", "Named", "World", "readable", "worlds"]

#: What was matched that is kept in memory; more lies sorted in temporary files.
_MOST: Final = 50_000


def readable(text: str) -> str:
    """``text`` as it can be written down: the name of a file, and so of its events, may be no UTF-8."""
    return text.encode("utf-8", "replace").decode()


class Fed(NamedTuple):
    """One event that correlations hear of."""

    time: int  #: ms since the epoch
    event: str  #: its id
    place: str  #: of its record, for people
    alerting: Sequence[str]  #: ids of active rules that alert of it by themselves
    active: Sequence[Hit]
    proposed: Sequence[Hit]


class World:
    """Rules and correlations as they would run together."""

    def __init__(self, rules: Sequence[Rule], correlations: Iterable[Correlation], shadows: Iterable[str]) -> None:
        """``shadows``: ids of what alerts nobody."""
        self.correlations, self.problems = link(rules, correlations)
        self.plans: Mapping[str, Plan] = {plan.rule.id: plan for plan in self.correlations.plans}
        self._rules = {id(rule) for rule in rules}
        shadows = frozenset(shadows)
        #: Ids of what alerts nobody by itself.
        self.quiet = self.correlations.silent | shadows | built_on(self.plans.values(), shadows).keys()
        self._memory = Memory(self.correlations, lateness=LATENESS)
        self.alerts = 0

    def own(self, matches: Iterable[Match]) -> list[Match]:
        """Those of ``matches`` that are of rules of this world."""
        return [match for match in matches if id(match.rule) in self._rules]

    def alerting(self, matches: Iterable[Match]) -> set[str]:
        """Ids of rules of this world that alert by themselves."""
        return {match.rule.id for match in self.own(matches)} - self.quiet

    def hits(self, matches: Iterable[Match], record: Mapping[str, Any], released: Released) -> list[Hit]:
        """What the correlations of this world hear of an event."""
        told = [match for match in self.own(matches) if match.rule.id in self.correlations.feeds]
        if not told:
            return []
        draft = released.source.normalise(record)
        told_of = hits_of(self.correlations, told, draft, released.source, released.event, released.pseudonyms)
        return [hit._replace(event=readable(hit.event)) for hit in told_of]

    def take(self, hits: Iterable[Hit], watermark: int) -> list[Finding]:
        return self._memory.take(hits, watermark)

    def settle(self) -> list[Finding]:
        return self._memory.settle()

    def content(self, rule: str) -> str:
        """Digest of what a correlation says and of all that it is built on."""
        plan = self.plans[rule]
        beneath = (self.content(one.id) if one.id in self.plans else one.version for one in plan.members)
        return digest("built", plan.rule.version, *beneath)


def worlds(candidates: RuleSet, active: RuleSet) -> tuple[World, World]:
    """The active rules, and the same with candidates beside them and in place of those of their ids.

    What is in shadow now alerts nobody in both; of a candidate it is asked what it would do if it were not.
    """
    tried: list[Rule | Correlation] = [*candidates.rules, *candidates.written]
    running: list[Rule | Correlation] = [*active.rules, *active.written]
    ids = {one.id for one in tried}
    rules = [*candidates.rules, *(rule for rule in active.rules if rule.id not in ids)]
    correlations = [*candidates.written, *(one for one in active.written if one.id not in ids)]
    shadows = {one.id for one in running if one.shadow}
    return World(active.rules, active.written, shadows), World(rules, correlations, shadows - ids)


class ByTime:
    """Events in any order in, in the order of their time out, once; those of one time in the order they came in."""

    def __init__(self, most: int = _MOST) -> None:
        """``most``: how many are held in memory."""
        self._most = most
        self._held: list[tuple[int, int, bytes]] = []
        self._runs: list[IO[bytes]] = []
        self._files = ExitStack()
        self.count = 0

    def __enter__(self) -> ByTime:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, fed: Fed) -> None:
        hits = [[hit_output(hit).value.decode() for hit in told] for told in (fed.active, fed.proposed)]
        line = orjson.dumps([fed.time, self.count, fed.event, fed.place, [*fed.alerting], hits])
        self._held.append((fed.time, self.count, line))
        self.count += 1
        if len(self._held) >= self._most:
            run = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
            run.writelines(one + b"\n" for _, _, one in sorted(self._held))
            run.seek(0)
            self._runs.append(run)
            self._held.clear()

    def __iter__(self) -> Iterator[Fed]:
        runs: list[Iterable[bytes]] = [*self._runs, [line for _, _, line in sorted(self._held)]]
        parts = [map(orjson.loads, run) for run in runs]
        for time, _, event, place, alerting, hits in heapq.merge(*parts, key=itemgetter(0, 1)):
            active, proposed = ([decode_hit(one) for one in told] for told in hits)
            yield Fed(time, event, place, alerting, active, proposed)


class Named:
    """Of the latest events that correlations heard of: where they lie, and which active rules found them."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._events: dict[str, tuple[str, set[str]]] = {}

    def add(self, fed: Fed) -> None:
        self._events.pop(fed.event, None)
        self._events[fed.event] = fed.place, set(fed.alerting)
        if len(self._events) > self._most:
            del self._events[next(iter(self._events))]

    def found(self, finding: Finding) -> None:
        """An active correlation found this."""
        for event in finding.event_ids:
            if event in self._events:
                self._events[event][1].add(finding.rule["id"])

    def of(self, finding: Finding) -> tuple[str, set[str]]:
        """The place of the last event of ``finding``, and the active rules that found one of its events."""
        known = [self._events[event] for event in finding.event_ids if event in self._events]
        others = set().union(*(rules for _, rules in known))
        return known[-1][0] if known else "", others
