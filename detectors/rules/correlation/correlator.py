"""Evaluates one correlation over event time: hits in, findings out, each group by itself.

**When it holds.** At the time of each hit the window that ends there is measured. A condition that more hits can only
help to hold (``gte`` of a count, all of several rules) is looked at with every hit; a hit that came late is looked at,
and so are the points after it whose windows it lies in. Any other (``lt``, an average, ``not``) is decided once the
watermark has passed the point, since until then another hit could undo it.

**What is told.** One finding for each aligned span of the epoch, as long as the timespan, in which the condition holds
at some point. Which spans those are depends on the hits alone and not on their order; so do the ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from detectors.rules.correlation.bounds import UNIT
from detectors.rules.correlation.entries import Distinct, Numbers
from detectors.rules.correlation.group import NEVER, Group
from detectors.rules.correlation.hit import Hit
from detectors.rules.correlation.plan import Plan
from detectors.rules.correlation.runs import grained
from detectors.rules.correlation.temporal import Temporal
from detectors.rules.correlation.told import GRACE, Told, finding, finding_id, fingerprint, upward
from detectors.rules.correlation.totals import Averages, Totals
from detectors.rules.correlation.windows import LIMIT, Window

__all__ = ["Correlator"]


class Correlator:
    """One plan. It holds no state of its own: all of it is in the :class:`Group` handed in."""

    def __init__(self, plan: Plan, *, lateness: int) -> None:
        """``lateness``: ms behind the watermark that a hit may be."""
        rule = plan.rule
        self.plan = plan
        self._span = rule.timespan
        self._members = len(plan.members)
        self._lateness = lateness
        self._kept = lateness + self._span
        self._grace = plan.depth * GRACE
        self._holds, self.grows = _condition(plan)
        #: An ``event_count`` of correlations counts their findings, each once.
        self._distinct = rule.kind == "value_count" or (rule.kind == "event_count" and plan.chained)
        #: Its state may hold numbers past 64 bits.
        self.long = rule.kind.startswith("value_") and not self._distinct
        self._unit = rule.kind == "event_count" and not plan.chained

    def new(self, hit: Hit) -> Group:
        """The state of a group never seen before."""
        return Group(self._window(), hit)

    def load(self, saved: list[Any]) -> Group:
        """The inverse of :meth:`Group.save`, exact to the bit. Raises ValueError on anything it did not write."""
        group = Group(self._window(), None)
        group.load(saved)
        return group

    def _window(self) -> Window:
        rule, span = self.plan.rule, self._span
        if self._distinct:
            return Distinct(span)
        if rule.kind in ("temporal", "temporal_ordered"):
            return Temporal(span, len(self.plan.members), ordered=rule.kind == "temporal_ordered")
        if rule.kind == "value_avg":
            return Averages(span)
        if rule.kind in ("value_percentile", "value_median"):
            return Numbers(span, rule.percentile)
        return Totals(span)

    def take(self, hit: Hit, group: Group, watermark: int, counts: dict[str, int]) -> list[Told]:
        """One hit that is not too late. Its findings, and hits of correlations that refer to this one.

        ``counts``: ``crowded`` counts how often a group had to be made coarser. Call :meth:`settle` some time after
        the watermark has passed ``group.due``.
        """
        time, window = hit.time, group.window
        value = 1 if self._unit else hit.value
        if value is None:
            value = fingerprint(hit.event, hit.member) if self._distinct else 0
        newest = window.add(time, hit.member, value)
        group.name(hit, self._span, self._members)
        group.entity, group.source, group.shown, group.quiet = hit.entity, hit.source, hit.shown, hit.quiet
        if self.plan.feeds and hit.above and not group.wait(hit):
            counts["crowded"] = counts.get("crowded", 0) + 1
        if watermark:
            window.drop(watermark - self._kept)
        if len(window) > LIMIT:
            window.thin()
            counts["crowded"] = counts.get("crowded", 0) + 1
        if group.due >= 1 << 62:
            group.due = self._forgotten(group)
        if not self.grows:
            if time >= group.decided:
                group.due = min(group.due, time + self._grace)
                return []
            return self._tell(((time, window.measure(time)),), hit.group, group, counts)
        if newest:
            measure = window.measure(time)
            if not self._holds(measure) or (time // self._span in group.told and not group.waiting):
                return []
            return self._tell(((time, measure),), hit.group, group, counts)
        last = min(time + self._span, window.latest)
        if not group.waiting and time // self._span in group.told and last // self._span in group.told:
            return []
        if not self._holds(window.at_most(time, last)):
            return []
        return self._tell(window.sweep(time, last), hit.group, group, counts)

    def displace(self, token: str, group: Group) -> list[Told]:
        """The group gives way to another. What it would still have found nobody will know, so nothing is told."""
        return []

    def settle(
        self, token: str, group: Group, watermark: int, counts: dict[str, int], end: int = NEVER
    ) -> tuple[list[Told], bool]:
        """Decide what waited for ``watermark``. What there is to tell, and whether the group is still needed."""
        told: list[Told] = []
        window = group.window
        if not self.grows:
            until = watermark - self._grace
            if until > group.decided:
                told = self._tell(window.sweep(group.decided, until - 1), token, group, counts)
                group.decided = until
                for point in [point for point in group.waiting if point < until]:
                    del group.waiting[point]
        if window.latest + self._span + self._lateness + self._grace < watermark:
            return told, False
        oldest = watermark - self._lateness
        group.told = {span for span in group.told if (span + 1) * self._span >= oldest}
        group.waiting = {point: kept for point, kept in group.waiting.items() if point >= oldest - self._span}
        undecided = None if self.grows else window.next(group.decided)
        forgotten = self._forgotten(group)
        group.due = forgotten if undecided is None else min(undecided + self._grace, forgotten)
        return told, True

    def _forgotten(self, group: Group) -> int:
        """When no hit that may still come can reach the newest."""
        end = group.window.latest + self._span + self._lateness + self._grace
        return grained(end, self._span)

    def _tell(self, points: Iterable[tuple[int, Any]], token: str, group: Group, counts: dict[str, int]) -> list[Told]:
        told: list[Told] = []
        plan, span = self.plan, self._span
        for time, measure in points:
            if not self._holds(measure):
                continue
            number = time // span
            if number not in group.told:
                group.told.add(number)
                if len(group.told) > LIMIT:
                    group.told.remove(min(group.told))
                    counts["crowded"] = counts.get("crowded", 0) + 1
                if plan.alone and not group.quiet:
                    told.append(finding(plan, token, group, time, measure))
            for event, above in group.waiting.pop(time, ()):
                name = finding_id(plan, token, time)
                told.extend(upward(plan, name, time, event, above, group.source, quiet=group.quiet))
        return told


def _condition(plan: Plan) -> tuple[Callable[[Any], bool], bool]:
    """Whether a measure satisfies the plan, and whether more hits can only help it to."""
    rule, bounds = plan.rule, plan.rule.bounds
    everything = (1 << len(plan.members)) - 1
    if rule.kind == "temporal_ordered" or (bounds is None and rule.condition is None):
        return (lambda seen: seen == everything), True
    if bounds is None:
        assert rule.condition is not None
        return rule.condition.test, rule.condition.grows
    if rule.kind == "temporal":
        return (lambda seen: bounds.hold(seen.bit_count() * UNIT)), bounds.grows
    if rule.kind in ("event_count", "value_count"):
        if bounds.grows:
            least = bounds.least
            return (lambda count: count >= least), True
        return (lambda count: bounds.hold(count * UNIT)), False
    if rule.kind == "value_sum":
        return bounds.hold, bounds.grows
    return (lambda measure: bounds.hold(*measure)), False
