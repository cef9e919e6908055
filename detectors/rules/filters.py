"""Filters: conditions that are joined, by "and", to rules that stand elsewhere.

A filter's condition is what an event must satisfy to be reported, so it usually starts with "not", as in pySigma and
RSigma; the specification's own example leaves this open. It reaches the rules that it names by id, name or title and
whose log source is one of its own; without names (an empty list, or ``any``), every rule of that log source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from detectors.base import digest
from detectors.rules.compiler import compiled_late
from detectors.rules.expression import Expression, all_of
from detectors.rules.problems import Problem, RuleError
from detectors.rules.rule import Rule, read_detections, read_log_source
from detectors.rules.tables import NO_TABLES, Tables

__all__ = ["Filter", "filtered", "read_filter"]


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter. ``rules``: what it names; empty for every rule of its log source."""

    id: str
    title: str
    rules: tuple[str, ...]
    product: str
    service: str
    category: str
    version: str
    path: str
    line: int
    expression: Expression

    def reaches(self, rule: Rule) -> bool:
        """True where the rule's log source lies in the filter's."""
        return (
            self.product in ("", rule.product)
            and self.service in ("", rule.service)
            and self.category in ("", rule.category)
        )


def read_filter(document: Mapping[str, Any], path: str, line: int, *, tables: Tables = NO_TABLES) -> Filter:
    """One filter from its YAML. Raises RuleError. Without a log source it is for every one."""
    body = document["filter"]
    if not isinstance(body, Mapping):
        raise RuleError("filter is no map; add rules, a selection and a condition")
    if "rules" not in body:
        raise RuleError("filter names no rules; name them, or write 'rules: any' for all of the log source")
    named = body["rules"]
    if named in ("any", []):
        named = []
    elif isinstance(named, str):
        named = [named]
    if not isinstance(named, list) or not all(isinstance(one, str) and one for one in named):
        raise RuleError("filter.rules is no list of ids, names or titles; write one, or 'any'")
    if not isinstance(body.get("condition"), str):
        raise RuleError("a filter has one condition; write it as a text")
    title = document.get("title")
    if not isinstance(title, str) or not title:
        raise RuleError("title is missing; say in a few words what the filter keeps out")
    product, service, category = read_log_source(document) if "logsource" in document else ("", "", "")
    content = json.dumps(document, sort_keys=True, default=str, ensure_ascii=False)
    return Filter(
        id=str(document.get("id") or digest("filter", title)),
        title=title,
        rules=tuple(named),
        product=product,
        service=service,
        category=category,
        version=digest(content, tables.digest if "|expand" in content else ""),
        path=path,
        line=line,
        expression=read_detections(body, tables, beside=frozenset({"rules"})),
    )


def filtered(rules: Sequence[Rule], filters: Iterable[Filter]) -> tuple[list[Rule], list[Problem]]:
    """``rules`` with their filters, and what a filter names that is not there or not of its log source."""
    found = list(rules)
    problems: list[Problem] = []
    known: dict[str, list[int]] = {}
    for number, rule in enumerate(found):
        for name in {rule.id, rule.name, rule.title} - {""}:
            known.setdefault(name, []).append(number)
    joined: dict[int, list[Filter]] = {}
    for one in filters:
        numbers: dict[int, None] = {}
        for name in one.rules:
            if name not in known:
                reason = f"filter names {name[:80]!r}, which is no rule that was loaded; mend or remove the name"
                problems.append(Problem(one.path, one.line, one.id, reason))
            elif not (reached := [number for number in known[name] if one.reaches(found[number])]):
                reason = f"filter names {name[:80]!r}, which is a rule of another log source; mend one of the two"
                problems.append(Problem(one.path, one.line, one.id, reason))
            else:
                numbers |= dict.fromkeys(reached)
        if not one.rules:
            numbers = {number: None for number, rule in enumerate(found) if one.reaches(rule)}
        for number in numbers:
            joined.setdefault(number, []).append(one)
    for number, some in joined.items():
        rule = found[number]
        tree = all_of([rule.expression, *(one.expression for one in some)])
        version = digest(rule.version, *sorted(one.version for one in some))
        found[number] = replace(rule, expression=tree, version=version, matcher=compiled_late(tree, rule.id))
    return found, problems
