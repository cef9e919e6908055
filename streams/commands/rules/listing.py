"""``rules list``: every rule and correlation that is loaded, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detectors.rules import Rule, RuleSet
from detectors.rules.correlation import Correlation
from streams.topics import PUBLISHED

__all__ = ["as_json", "as_lines", "origin"]


def as_lines(rules: RuleSet) -> Iterator[str]:
    """One line a rule: id, level, log source or type of correlation, title, where it comes from."""
    everything = _everything(rules)
    width = max((len(_source(rule)) for rule in everything), default=0)
    for rule in everything:
        yield f"{rule.id}  {rule.level:<13}  {_source(rule):<{width}}  {rule.title}  ({origin(rule)})"


def as_json(rules: RuleSet) -> list[dict[str, Any]]:
    """The same, with all that the rules say of themselves."""
    return [
        {
            "id": rule.id,
            "level": rule.level,
            "title": rule.title,
            **_kind(rule),
            "origin": origin(rule),
            "path": rule.path,
            "line": rule.line,
            "version": rule.version,
            "status": rule.status,
            "author": rule.author,
            "license": rule.license,
            "tags": list(rule.tags),
        }
        for rule in _everything(rules)
    ]


def _everything(rules: RuleSet) -> list[Rule | Correlation]:
    return [*rules.rules, *(plan.rule for plan in rules.correlations.plans)]


def _kind(rule: Rule | Correlation) -> dict[str, Any]:
    if isinstance(rule, Correlation):
        return {"correlation": {"type": rule.kind, "rules": list(rule.rules), "timespan": rule.span}}
    return {"logsource": {"product": rule.product, "service": rule.service, "category": rule.category}}


def _source(rule: Rule | Correlation) -> str:
    if isinstance(rule, Correlation):
        return rule.kind
    return "/".join(part or "*" for part in (rule.product, rule.service, rule.category))


def origin(rule: Rule | Correlation) -> str:
    """Where a rule comes from: ``starter pack``, its file, or ``published: `` and the name it is published under."""
    if rule.path.startswith("packs/"):
        return "starter pack"
    return f"published: {rule.path.removeprefix(PUBLISHED)}" if rule.path.startswith(PUBLISHED) else rule.path
