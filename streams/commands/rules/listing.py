"""``rules list``: every rule that is loaded, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detectors.rules import Rule, RuleSet
from streams.topics import PUBLISHED

__all__ = ["as_json", "as_lines", "origin"]


def as_lines(rules: RuleSet) -> Iterator[str]:
    """One line a rule: id, level, log source, where it comes from, title."""
    width = max((len(_source(rule)) for rule in rules.rules), default=0)
    for rule in rules.rules:
        yield f"{rule.id}  {rule.level:<13}  {_source(rule):<{width}}  {rule.title}  ({origin(rule)})"


def as_json(rules: RuleSet) -> list[dict[str, Any]]:
    """The same, with all that the rules say of themselves."""
    return [
        {
            "id": rule.id,
            "level": rule.level,
            "title": rule.title,
            "logsource": {"product": rule.product, "service": rule.service, "category": rule.category},
            "origin": origin(rule),
            "path": rule.path,
            "line": rule.line,
            "version": rule.version,
            "status": rule.status,
            "author": rule.author,
            "license": rule.license,
            "tags": list(rule.tags),
        }
        for rule in rules.rules
    ]


def _source(rule: Rule) -> str:
    return "/".join(part or "*" for part in (rule.product, rule.service, rule.category))


def origin(rule: Rule) -> str:
    """Where a rule comes from: ``starter pack``, its file, or ``published: `` and the name it is published under."""
    if rule.path.startswith("packs/"):
        return "starter pack"
    return f"published: {rule.path.removeprefix(PUBLISHED)}" if rule.path.startswith(PUBLISHED) else rule.path
