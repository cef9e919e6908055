"""Courses of events inside a correlation, tried as the stream would try them.

A course is a list of events, by which time passes; ``{repeat: 20, event: ...}`` is that event twenty times, with
``{n}`` in its texts the number, 00 to 19. What waits for time to pass is decided at its end; only what is absent is
not, later than its last event.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from detectors.rules import Rule, RuleSet
from detectors.rules.correlation import Correlations, Memory, Plan
from streams.commands.rules.fields import fitting
from streams.pipeline import LATENESS, Reader, Released
from streams.privacy import Pseudonyms
from streams.sources.base import BadRecord
from streams.sources.known import Sources

__all__ = ["Course", "steps"]

#: Events of one course, and what one step may be repeated.
_MOST: Final = 10_000


def steps(course: Any) -> Iterator[Any]:
    """The events of a course, one by one. Raises BadRecord on what is no course."""
    if not isinstance(course, list):
        raise BadRecord("it is no course; write a list of events")
    for step in course:
        if not isinstance(step, Mapping) or "repeat" not in step:
            yield step
            continue
        times, event = step["repeat"], step.get("event")
        if type(times) is not int or not 0 < times <= _MOST or not isinstance(event, Mapping):
            raise BadRecord(f"a step is to be repeated a number of times, 1 to {_MOST}, and needs an event")
        text = orjson.dumps(event, default=str).decode()
        yield from (orjson.loads(text.replace("{n}", f"{number:02}")) for number in range(times))


class Course:
    """Tries one correlation alone, with the rules beneath it."""

    def __init__(self, plan: Plan, every: Correlations, sources: Sources) -> None:
        """``every``: all that were loaded, among them those that ``plan`` refers to."""
        self._id = plan.rule.id
        self._sources = sources
        beneath = list(_beneath(plan, every))
        leaves = {rule.id: rule for one in beneath for rule in one.members if isinstance(rule, Rule)}
        self.unheard = [rule for rule in leaves.values() if not fitting(rule, sources)]
        rules = RuleSet(leaves.values(), (), {one.rule.id: one.rule for one in beneath}.values())
        self._correlations = rules.correlations
        self._reader = Reader(rules, Pseudonyms(os.urandom(32), "trial"))

    def tells(self, course: Any) -> bool:
        """Whether it tells of a course. Raises BadRecord where an event cannot be read."""
        memory = Memory(self._correlations, lateness=LATENESS)
        told, end = [], 0
        for number, event in enumerate(steps(course), 1):
            try:
                read = self._read(event, f"trial-{number}")
            except BadRecord as exc:
                raise BadRecord(f"event {number} of the course cannot be read: {exc}") from exc
            told.extend(memory.take(read.hits, 0))
            end = max(end, read.event.time)
        told.extend(memory.settle(end=end))
        return any(finding.rule["id"] == self._id for finding in told)

    def _read(self, event: Any, fallback: str) -> Released:
        if not isinstance(event, Mapping):
            raise BadRecord("it is no map")
        source = self._sources.recognise(event)
        # It arrives as it happens, so that its time is believed.
        received = source.normalise(event).time
        return self._reader.read(event, source, fallback_id=lambda: fallback, received=received)


def _beneath(plan: Plan, every: Correlations) -> Iterator[Plan]:
    """``plan`` and those it is built on."""
    yield plan
    for member in plan.members:
        if not isinstance(member, Rule):
            yield from _beneath(next(one for one in every.plans if one.rule is member), every)
