"""``rules check``: everything that is wrong with rules before they run, by the kinds that :data:`CODES` lists.

Schema, loading, fields, detections that are too wide or stand twice, tags against ATT&CK, and style. What a rule asks
of a vendor's record is checked as far as it is known here (:mod:`streams.commands.rules.fields`), and said where not.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final
from uuid import UUID

from detectors.rules import Rule, RuleSet, load, starter_rules
from detectors.rules.attack import attack
from detectors.rules.detection import named_detections, same_detection, wide
from streams.commands.rules.diagnostics import Diagnostic
from streams.commands.rules.fields import Names, events_of, fitting
from streams.commands.rules.papers import Paper, papers, starter_folder
from streams.commands.rules.schema import breaches
from streams.settings import RuleContext
from streams.sources.known import Sources

__all__ = ["check"]

#: Characters of a title that lists still show whole (SigmaHQ's own limit).
_TITLE: Final = 110
_DESCRIPTION: Final = 16
_FILE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,90}\.yml")
_ATTACK: Final = re.compile(r"(?:[gsma][0-9]{4}|ds[0-9]{4})")
_TECHNIQUE: Final = re.compile(r"t[0-9]{4}(?:\.[0-9]{3})?")
#: Of tags for what ATT&CK has no technique for; the shipped rules use it.
_OWN_SPACE: Final = "wardwatch."
_TAGS: Final = {
    "car": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{3}"),
    "cve": re.compile(r"[0-9]{4}[.-][0-9]{4,}"),
    "d3fend": re.compile(r"d3f?-[A-Za-z0-9-]+|model|harden|detect|isolate|deceive|evict|restore"),
    "detection": re.compile(r"dfir|emerging-threats|threat-hunting"),
    "stp": re.compile(r"[1-5][auk]?"),
    "tlp": re.compile(r"red|amber|amber-strict|green|clear"),
}


def check(paths: Sequence[Path], sources: Sources, context: RuleContext | None = None) -> list[Diagnostic]:
    """Everything that is wrong with the rules at ``paths``, by file and line. Never raises for what a file holds."""
    rules = load(paths, **context) if context else load(paths)
    found = [_not_loaded(problem.path, problem.line, problem.rule_id, problem.reason) for problem in rules.problems]
    read = list(papers(paths))
    by_place = {(rule.path, rule.line): rule for rule in rules.rules}
    names = Names(sources)
    wide_rules = {rule.id for rule in rules.unindexed}
    for paper in read:
        rule = by_place.get((paper.path, paper.line))
        found += (_diagnostic(paper, "WR102", place, _sentence(place, why)) for place, why in breaches(paper.document))
        found += _style(paper)
        found += _tags(paper)
        if rule is not None:
            found += _fields(paper, rule, names, sources)
            found += _width(paper, rule, wide_rules)
    found += _twice(rules, read)
    return sorted(set(found))


def _not_loaded(path: str, line: int | None, rule_id: str | None, reason: str) -> Diagnostic:
    code = "WR103" if reason.startswith("id is taken by ") else "WR101"
    return Diagnostic(path, line or 1, code, reason, rule_id or "")


def _diagnostic(paper: Paper, code: str, place: Sequence[str | int], message: str) -> Diagnostic:
    return Diagnostic(paper.path, paper.at(*place), code, message, paper.id)


def _sentence(place: Sequence[str | int], why: str) -> str:
    named = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return f"{named}: {why}" if named else why


def _style(paper: Paper) -> Iterator[Diagnostic]:
    document = paper.document
    title = document.get("title")
    if not isinstance(title, str) or not title.strip():
        yield _diagnostic(paper, "WR501", (), "title is missing: an alert is read by it")
    elif len(title) > _TITLE:
        yield _diagnostic(paper, "WR501", ("title",), f"title has {len(title)} characters: keep it under {_TITLE + 1}")
    elif title.rstrip().endswith("."):
        yield _diagnostic(paper, "WR501", ("title",), "title ends in a full stop: it is a name, so leave that out")
    if len(str(document.get("description") or "").strip()) < _DESCRIPTION:
        yield _diagnostic(paper, "WR502", ("description",), "description is missing or says little: say what it means")
    if not document.get("status") and "filter" not in document:
        yield _diagnostic(paper, "WR503", (), "status is missing: experimental, test or stable")
    yield from _dates(paper)
    if not document.get("level") and "filter" not in document:
        yield _diagnostic(paper, "WR505", (), "level is missing: it would count as medium")
    yield from _identity(paper)
    if not _FILE.fullmatch(Path(paper.path).name):
        told = "file is not named like failed_login.yml: small letters, digits, _ and -"
        yield Diagnostic(paper.path, 1, "WR507", told, paper.id)
    if not document.get("author"):
        yield _diagnostic(paper, "WR508", (), "author is missing: alerts name whoever wrote the rule")
    if "detection" not in document:
        return
    if not document.get("falsepositives"):
        yield _diagnostic(paper, "WR509", (), "falsepositives is missing: say what harmless act looks alike")
    kinds = {kind for kind, _, _ in events_of(document)}
    if lacking := [kind for kind in ("positive", "negative") if kind not in kinds]:
        said = " and ".join(lacking)
        yield _diagnostic(paper, "WR510", ("wardwatch",), f"it has no {said} events under wardwatch.tests")
    own = document.get("wardwatch")
    if not isinstance(own, Mapping) or not own.get("response"):
        yield _diagnostic(paper, "WR511", ("wardwatch",), "wardwatch.response is missing: say what to do about a match")


def _dates(paper: Paper) -> Iterator[Diagnostic]:
    days = {name: paper.document.get(name) for name in ("date", "modified")}
    if not days["date"]:
        yield _diagnostic(paper, "WR504", (), "date is missing: the day it was written, as in 2026-01-31")
        return
    read = {name: _day(value) for name, value in days.items()}
    if read["date"] and read["modified"] and read["modified"] < read["date"]:
        yield _diagnostic(paper, "WR504", ("modified",), "modified is before date: one of them is wrong")


def _day(value: object) -> dt.date | None:
    try:
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))
    except ValueError:
        return None


def _identity(paper: Paper) -> Iterator[Diagnostic]:
    given = paper.document.get("id")
    if not given:
        yield _diagnostic(paper, "WR506", (), "id is missing: a finding keeps its rule's id, so give it a random UUID")
        return
    try:
        version = UUID(str(given)).version
    except ValueError:
        return  # the schema says so
    if version != 4:
        yield _diagnostic(paper, "WR506", ("id",), "id is no random UUID (version 4): make one with uuidgen")


def _tags(paper: Paper) -> Iterator[Diagnostic]:
    tags = paper.document.get("tags")
    catalog = attack()
    tactics: dict[str, int] = {}
    techniques: dict[str, int] = {}
    for number, tag in enumerate(tags if isinstance(tags, list) else []):
        if not isinstance(tag, str) or "." not in tag or tag.startswith(_OWN_SPACE):
            continue  # the schema says so, or it is ours
        space, _, name = tag.partition(".")
        if space != "attack":
            form = _TAGS.get(space)
            if form is None or not form.fullmatch(name):
                told = f"{tag} is in no namespace of Sigma's: {', '.join(('attack', *_TAGS))}"
                yield _diagnostic(paper, "WR404", ("tags", number), told if form is None else _malformed(tag, space))
        elif _TECHNIQUE.fullmatch(name):
            techniques[name.upper()] = number
        elif not _ATTACK.fullmatch(name):
            tactics[name] = number
    for name, number in techniques.items():
        if name not in catalog.techniques:
            told = f"{name} is not in ATT&CK {catalog.version}: it was never there, or was revoked"
            yield _diagnostic(paper, "WR401", ("tags", number), told)
        elif tactics and not tactics.keys() & set(catalog.techniques[name]):
            told = f"{name} serves {' and '.join(catalog.techniques[name])}, and the tags name no such tactic"
            yield _diagnostic(paper, "WR403", ("tags", number), told)
    served = {tactic for name in techniques for tactic in catalog.techniques.get(name, ())}
    for name, number in tactics.items():
        if name not in catalog.tactics:
            yield _diagnostic(paper, "WR402", ("tags", number), _no_tactic(name, catalog.tactics, catalog.version))
        elif served and name not in served:
            told = f"{name} is a tactic that none of the techniques named serves"
            yield _diagnostic(paper, "WR405", ("tags", number), told)


def _malformed(tag: str, space: str) -> str:
    return f"{tag} is not in the form of namespace {space}"


def _no_tactic(name: str, known: Iterable[str], version: str) -> str:
    if name == "defense-evasion":
        return f"defense-evasion became stealth and defense-impairment in ATT&CK {version}: name the one it serves"
    near = get_close_matches(name, known, n=1)
    return f"{name} is no tactic of ATT&CK {version}" + (f"; did you mean {near[0]}?" if near else "")


def _fields(paper: Paper, rule: Rule, names: Names, sources: Sources) -> Iterator[Diagnostic]:
    if not fitting(rule, sources):
        parts = {"product": rule.product, "service": rule.service, "category": rule.category}
        said = ", ".join(f"{part}: {value}" for part, value in parts.items() if value)
        told = f"no source here sends {said}, so it is tried with --source raw alone: sources list has them"
        yield _diagnostic(paper, "WR203", ("logsource",), told)
        return
    unknown: list[str] = []
    stands = _stands(paper)
    for doubt in names.doubts(rule, [event for _, _, event in events_of(paper.document)]):
        hint = f"; did you mean {doubt.hint}?" if doubt.hint else ""
        if doubt.certain or doubt.hint.casefold() == doubt.name.casefold():
            told = f"{doubt.name} is filled by no source of this log source{hint}"
            yield _diagnostic(paper, "WR201", stands.get(doubt.name, ("detection",)), told)
        else:
            unknown.append(doubt.name)
    if unknown:
        told = f"nothing here declares {', '.join(unknown)}: an event inside the rule that has it would tell"
        yield _diagnostic(paper, "WR202", ("detection",), told)


def _stands(paper: Paper) -> dict[str, tuple[str | int, ...]]:
    """Where each field is asked about first."""
    found: dict[str, tuple[str | int, ...]] = {}
    for place in paper.lines:
        if place[0] == "detection":
            found.setdefault(str(place[-1]).partition("|")[0], place)
    return found


def _width(paper: Paper, rule: Rule, without_witness: set[str]) -> Iterator[Diagnostic]:
    if rule.id in without_witness:
        told = "nothing in it singles events out, so it is tried on every event: ask for a value, not only against one"
        yield _diagnostic(paper, "WR301", ("detection",), told)
    for name, tree in named_detections(paper.document).items():
        if wide(tree):
            told = f"{name} holds for every event that has its fields: ask for a value, or say |exists: true"
            yield _diagnostic(paper, "WR302", ("detection", name), told)


def _twice(rules: RuleSet, read: Iterable[Paper]) -> Iterator[Diagnostic]:
    by_place = {(paper.path, paper.line): paper for paper in read}
    shipped = _starter()
    ids = {rule.id: rule for rule in shipped}
    first = {same_detection(rule): rule for rule in reversed(shipped)}
    for rule in rules.rules:
        paper = by_place.get((rule.path, rule.line))
        if paper is None or _is_shipped(rule):
            continue
        if same := ids.get(rule.id):
            told = f"id is taken by {same.path} of the starter pack: give this rule its own"
            yield _diagnostic(paper, "WR103", ("id",), told)
            continue
        other = first.setdefault(same_detection(rule), rule)
        if other is not rule:
            told = f"{other.path}:{other.line} has the same detection under another id: keep one"
            yield _diagnostic(paper, "WR303", ("detection",), told)


@cache
def _starter() -> tuple[Rule, ...]:
    return starter_rules().rules


def _is_shipped(rule: Rule) -> bool:
    return Path(rule.path).resolve().is_relative_to(starter_folder().resolve())
