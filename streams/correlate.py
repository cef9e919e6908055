"""Correlations in the stream: one state per group, over the topic ``matches``.

A match that a correlation asks for, of a rule at ingest or of another correlation here, lies in ``matches`` under the
correlation and its group, so that all of a group is in one partition. What waits for time to pass is done when a
watermark comes, which is a record of the same log: so the state stays a fold over it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import Any, Final

import orjson

from detectors.base import Finding
from detectors.rules import Links, RuleSet
from detectors.rules.correlation import State, evaluator
from detectors.rules.correlation.group import due_of
from detectors.rules.correlation.memory import MOST_GROUPS
from detectors.rules.correlation.told import Told
from detectors.rules.findings import told_of
from streams.hits import decode_hit, hit_output
from streams.lineage import NewerSchema
from streams.pipeline import LATENESS, finding_output
from streams.records import Output, Record
from streams.state import PartitionState

__all__ = ["Correlate"]

_HOUR: Final = 3_600_000
#: Version of a group's state that this worker reads.
_VERSION: Final = 1
_PAST_64_BITS: Final = re.compile(rb"\d{19}")


class Correlate:
    """A :class:`streams.state.TimedStep`.

    What it counts as ``unknown`` are matches of a correlation that this worker does not have. Of its state it counts
    ``crowded``, how often a group had to be made coarser, and ``displaced``, groups that gave way to another since
    there were too many.
    """

    def __init__(self, rules: RuleSet, links: Links | None = None, *, most: int = MOST_GROUPS) -> None:
        """``links``: where people read the rules. ``most``: groups of one partition that are kept at once."""
        self._most = most
        self.found: Counter[str] = Counter()  #: by id, how often a correlation held, also where it tells nobody
        self._links = links or Links()
        self.take(rules)

    def take(self, rules: RuleSet, quiet: Set[str] = frozenset()) -> None:
        """Go on with these correlations from the next record on; those whose ids are ``quiet`` tell nothing."""
        plans = rules.correlations.plans
        self._correlators = {plan.key.encode(): evaluator(plan, lateness=LATENESS) for plan in plans}
        self._quiet = quiet
        #: What each finding says of its rule, and of the set that made it.
        self._of_rule = {plan.rule.id: {**told_of(plan.rule, self._links), "ruleset": rules.version} for plan in plans}

    def fold(self, record: Record, fresh: bool, state: PartitionState) -> Sequence[Output]:
        hit = decode_hit(record.value)
        watermark = state.watermarks.current
        oldest = watermark - LATENESS
        if hit.time < oldest:
            state.counts["late"] += 1
            return ()
        state.seen.drop_before(oldest // _HOUR)
        if not fresh:
            state.counts["repeated"] += 1
            return ()
        state.seen.add(hit.time // _HOUR, record.event)
        key = record.key
        correlator = self._correlators.get(key.partition(b"/")[0])
        if correlator is None:
            state.counts["unknown"] += 1
            return ()
        group: State | None = state.values.get(key)
        told: list[Told] = []
        if group is None:
            if len(state.timers) >= self._most and (first := state.timers.first()) is not None:
                told.extend(self._displace(first[1], state))
            group = correlator.new(hit)
        told.extend(correlator.take(hit, group, watermark, state.counts))
        state.timers.set(key, group.due)
        state.values.put(key, group)
        return tuple(self._outputs(told)) if told else ()

    def _displace(self, key: bytes, state: PartitionState) -> Sequence[Told]:
        """Give up a group for another."""
        state.timers.remove(key)
        plan, _, token = key.partition(b"/")
        correlator = self._correlators.get(plan)
        told = correlator.displace(token.decode(), state.values.get(key)) if correlator else ()
        state.values.remove(key)
        state.counts["displaced"] = state.counts.get("displaced", 0) + 1
        return told

    def settle(self, state: PartitionState) -> Sequence[Output]:
        """What waited for the watermark to come this far."""
        outputs: list[Output] = []
        watermark = state.watermarks.current
        for key in state.timers.passed(watermark):
            plan, _, token = key.partition(b"/")
            correlator = self._correlators.get(plan)
            if correlator is None:
                state.values.remove(key)
                continue
            group = state.values.get(key)
            assert group is not None, "a timer is a function of the values"
            told, needed = correlator.settle(token.decode(), group, watermark, state.counts)
            if needed:
                state.timers.set(key, group.due)
                state.values.put(key, group)
            else:
                state.values.remove(key)
            outputs.extend(self._outputs(told))
        return outputs

    def _outputs(self, told: Sequence[Told]) -> Iterator[Output]:
        for one in told:
            if not isinstance(one, Finding):
                yield hit_output(one)
                continue
            name = one.rule["id"]
            self.found[name] += 1
            if name not in self._quiet:
                yield finding_output(replace(one, rule=self._of_rule[name]))

    def due(self, raw: bytes) -> int:
        """When a saved group has something to do. Raises NewerSchema on what a later version saved."""
        version = int(raw[1 : raw.index(b",")])
        if version > _VERSION:
            raise NewerSchema(f"a group of version {version}; this worker reads {_VERSION}: upgrade it")
        return due_of(raw)

    def dump(self, key: bytes, value: State) -> bytes:
        saved = value.save()
        try:
            return orjson.dumps(saved)
        except TypeError:  # billionths past 64 bits
            return json.dumps(saved, separators=(",", ":")).encode()

    def load(self, key: bytes, raw: bytes) -> State:
        correlator = self._correlators[key.partition(b"/")[0]]
        long = correlator.long and _PAST_64_BITS.search(raw)
        saved: list[Any] = json.loads(raw) if long else orjson.loads(raw)  # which makes floats of longer numbers
        if saved[0] > _VERSION:
            raise NewerSchema(f"a group of version {saved[0]}; this worker reads {_VERSION}: upgrade it")
        group: State = correlator.load(saved)
        return group
