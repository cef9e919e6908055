"""``rules test``: the events inside a rule, tried as the stream would try them.

An event goes through the same reader as in production: recognised by its shape, normalised, gated by log source. A rule
of a log source that nothing here sends is tried on its events as they stand (``raw``), and that is said. A correlation
is tried on courses of events, :mod:`streams.commands.rules.courses`; one over such rules is not tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from xml.etree import ElementTree

from detectors.rules import Rule, RuleSet, load
from detectors.rules.correlation import Correlation
from streams.commands.rules.courses import Course
from streams.commands.rules.fields import events_of, fitting
from streams.commands.rules.papers import papers
from streams.commands.rules.verdict import Verdict, explained, lines
from streams.pipeline import Reader
from streams.privacy import Pseudonyms
from streams.settings import RuleContext
from streams.sources.base import BadRecord
from streams.sources.known import Sources

__all__ = ["Trial", "Tried", "as_junit", "failures", "try_rules"]

How = Literal["auto", "raw"]
#: Any moment after an event's will do; tests of rules say nothing about when they arrived.
_RECEIVED: Final = 4_102_444_800_000


class Trial(NamedTuple):
    """One event of one rule, or one course of a correlation."""

    path: str
    line: int
    rule: Rule | Correlation
    kind: str  #: ``positive`` or ``negative``
    number: int  #: from 1
    how: str  #: the source that read it, ``raw``, or ``course``
    passed: bool
    why: str  #: one sentence, where it did not
    verdict: Verdict | None = None

    @property
    def name(self) -> str:
        return f"{self.kind} {self.number}"


class Tried(NamedTuple):
    """All of them, and the rules that have no events."""

    trials: list[Trial]
    untried: list[Rule | Correlation]
    rules: RuleSet


def try_rules(paths: Sequence[Path], sources: Sources, how: How = "auto", context: RuleContext | None = None) -> Tried:
    """Try every event inside the rules at ``paths``. ``how``: ``raw`` tries all of them as they stand, but courses."""
    rules = load(paths, **context) if context else load(paths)
    by_place = {(rule.path, rule.line): rule for rule in rules.rules}
    plans = {(plan.rule.path, plan.rule.line): plan for plan in rules.correlations.plans}
    trials: list[Trial] = []
    untried: list[Rule | Correlation] = []
    for paper in papers(paths):
        plan = plans.get((paper.path, paper.line))
        if plan is not None:
            course = Course(plan, rules.correlations, sources)
            found = [] if course.unheard else list(events_of(paper.document))
            for kind, number, events in found:
                line = paper.at("wardwatch", "tests", kind, number)
                trials.append(
                    _course(course, Trial(paper.path, line, plan.rule, kind, number + 1, "course", False, ""), events)
                )
            if not found and plan.alone:
                untried.append(plan.rule)
        rule = by_place.get((paper.path, paper.line))
        if rule is None:
            continue
        judge = _Judge(rule, sources, raw=how == "raw" or not fitting(rule, sources))
        found = list(events_of(paper.document))
        for kind, number, event in found:
            line = paper.at("wardwatch", "tests", kind, number)
            trials.append(judge.judge(paper.path, line, kind, number, event))
        if not found:
            untried.append(rule)
    return Tried(trials, untried, rules)


def _course(course: Course, made: Trial, events: Any) -> Trial:
    try:
        told = course.tells(events)
    except BadRecord as exc:
        return made._replace(why=str(exc))
    if told == (made.kind == "positive"):
        return made._replace(passed=True)
    return made._replace(why="it tells of the course" if told else "it does not tell of the course")


class _Judge:
    """Tries one rule."""

    def __init__(self, rule: Rule, sources: Sources, *, raw: bool) -> None:
        self._rule = rule
        self._rules = RuleSet([rule])
        self._reader = Reader(self._rules, Pseudonyms(os.urandom(32), "trial"))
        self._sources = sources
        self._raw = raw

    def judge(self, path: str, line: int, kind: str, number: int, event: Any) -> Trial:
        made = Trial(path, line, self._rule, kind, number + 1, "raw" if self._raw else "", False, "")
        if not isinstance(event, Mapping):
            return made._replace(why="the event is no map")
        try:
            source = None if self._raw else self._sources.recognise(event)
            matched = self._matches(event, source)
        except BadRecord as exc:
            return made._replace(why=f"the event cannot be read: {exc}")
        if source is not None:
            made = made._replace(how=source.name)
        if matched == (kind == "positive"):
            return made._replace(passed=True)
        verdict = explained(self._rule, event, source)
        why = "it matches" if matched else "it does not match"
        return made._replace(why=why if verdict.fits else f"{why}: {verdict.misfit}", verdict=verdict)

    def _matches(self, event: Mapping[str, Any], source: Any) -> bool:
        if source is None:
            return bool(self._rules.match(event, {}, None))
        return bool(self._reader.read(event, source, fallback_id=lambda: "trial", received=_RECEIVED).findings)


def failures(tried: Tried) -> Iterator[str]:
    """What failed and why, for people: the condition as a tree, with what the event says."""
    for problem in tried.rules.problems:
        yield str(problem)
    for trial in tried.trials:
        if not trial.passed:
            yield f"{trial.path}:{trial.line}: {trial.rule.title}: {trial.name} ({trial.how or 'auto'}): {trial.why}"
            yield from (f"    {line}" for line in _told(trial))


def _told(trial: Trial) -> Iterator[str]:
    """The tree. What identifies a patient stays out of logs where a source knows it; else the event is all there is."""
    if trial.verdict is not None:
        yield from lines(trial.verdict, show_values=trial.how == "raw")


def as_junit(tried: Tried) -> str:
    """The same as JUnit's XML, one suite a rule."""
    root = ElementTree.Element("testsuites", name="wardwatch rules test")
    by_rule: dict[str, list[Trial]] = {}
    for trial in tried.trials:
        by_rule.setdefault(trial.rule.id, []).append(trial)
    for trials in by_rule.values():
        rule = trials[0].rule
        failed = sum(not trial.passed for trial in trials)
        counts = {"tests": str(len(trials)), "failures": str(failed), "errors": "0", "skipped": "0"}
        suite = ElementTree.SubElement(root, "testsuite", {"name": rule.title, **counts})
        for trial in trials:
            case = ElementTree.SubElement(
                suite, "testcase", classname=rule.id, name=trial.name, file=trial.path, line=str(trial.line)
            )
            if not trial.passed:
                told = ElementTree.SubElement(case, "failure", message=trial.why)
                told.text = "\n".join(_told(trial))
    for problem in tried.rules.problems:
        suite = ElementTree.SubElement(root, "testsuite", name=problem.path, tests="1", failures="0", errors="1")
        case = ElementTree.SubElement(suite, "testcase", classname=problem.path, name="loads")
        ElementTree.SubElement(case, "error", message=problem.reason)
    return ElementTree.tostring(root, encoding="unicode")
