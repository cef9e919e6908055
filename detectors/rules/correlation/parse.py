"""Reads a correlation from its document: strictly, so that nothing a rule says is left out without a word.

Sigma's specification 2.1.0 and its JSON schema, and beyond them what its reference implementation reads: timespans of
weeks, months and years, ``value_median``, ``percentile`` and the extended condition. ``docs/correlations.md`` says
what each means. Two types are this product's own, ``new_term`` and ``absence``: ``docs/memory.md``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args

from detectors.base import SEVERITIES, Severity, digest
from detectors.rules.correlation.bounds import OPERATORS, Bounds, billionths, read_bounds
from detectors.rules.correlation.expression import Condition, read_condition
from detectors.rules.problems import RuleError
from detectors.rules.rule import identity, technique

__all__ = ["LEARNING", "MOST_TERMS", "MOST_VALUES", "OWN", "Correlation", "Kind", "read_correlation"]

Kind = Literal[
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_percentile",
    "value_median",
    "temporal",
    "temporal_ordered",
    "new_term",
    "absence",
]
_KINDS: Final = get_args(Kind)
#: The types that Sigma's specification does not have.
OWN: Final = ("new_term", "absence")

#: ms of each unit of a timespan; a month and a year are mean ones, as in Sigma's reference implementation.
_UNITS: Final = {
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "M": 2_629_746_000,
    "y": 31_556_952_000,
}
_TIMESPAN: Final = re.compile(r"(\d{1,9})([smhdwMy])", re.ASCII)
_LONGEST: Final = 10 * _UNITS["y"]
#: Rules that one correlation may refer to, and fields it may group by.
_MOST_RULES: Final = 50
_MOST_FIELDS: Final = 10
#: Distinct values that a ``value_count`` may ask for: half of what a group keeps, so that none is missed.
MOST_VALUES: Final = 2_000
#: Fields that a new term may be made of.
MOST_TERMS: Final = 3
#: ms that a group is learned before anything in it is new, where a rule does not say and remembers for longer.
LEARNING: Final = 7 * _UNITS["d"]

_KEYS: Final = frozenset(("type", "rules", "aliases", "group-by", "timespan", "condition", "generate"))


@dataclass(frozen=True, slots=True)
class Correlation:
    """One correlation as its author wrote it; nothing it refers to has been looked up."""

    id: str  #: its own, or a digest of its title where it has none
    name: str  #: what others may refer to it by; empty where it has none
    title: str
    level: Severity  #: ``medium`` where it does not say
    author: str
    license: str
    status: str
    description: str
    tags: tuple[str, ...]
    techniques: tuple[str, ...]
    kind: Kind
    rules: tuple[str, ...]  #: ids or names, as written
    group_by: tuple[str, ...]
    aliases: Mapping[str, Mapping[str, str]]  #: alias to reference to field
    timespan: int  #: ms
    span: str  #: the timespan as written
    bounds: Bounds | None  #: None where an expression says it, or all rules are asked for
    condition: Condition | None = field(compare=False)  #: the extended one
    fields: tuple[str, ...]  #: whose values are counted or measured
    percentile: int  #: thousandths of a percent, 0 to 100,000
    learning: int  #: ms that a group is learned before a term in it is new; 0 of any other type
    generate: bool  #: the rules it refers to alert by themselves too
    version: str  #: digest of its content
    meaning: str  #: digest of what it asks for, without title, level and the like
    path: str
    line: int
    custom: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shadow(self) -> bool:
        """It is evaluated, and alerts nobody."""
        own = self.custom.get("wardwatch")
        return isinstance(own, Mapping) and own.get("shadow") is True

    @property
    def response(self) -> str:
        """What to do about it, in the author's words; may be empty."""
        own = self.custom.get("wardwatch")
        return str(own.get("response", "")) if isinstance(own, Mapping) else ""


def read_correlation(document: Mapping[str, Any], path: str, line: int) -> Correlation:
    """One correlation from its YAML. Raises RuleError."""
    title = _text(document, "title")
    if not title or len(title) > 256:
        raise RuleError("title is missing or longer than 256 characters; say in it what is detected")
    section = document["correlation"]
    if not isinstance(section, Mapping):
        raise RuleError("correlation is no map; write type, rules, group-by and timespan below it")
    kind = section.get("type")
    known = _KEYS | {"field", "learning"} if kind == "new_term" else _KEYS
    if unknown := section.keys() - known:
        raise RuleError(f"correlation has a key that means nothing: {', '.join(sorted(map(str, unknown)))}")
    if kind not in _KINDS:
        raise RuleError(f"correlation.type is none of {', '.join(_KINDS)}")
    level = document.get("level", "medium")
    if level not in SEVERITIES:
        raise RuleError(f"level is none of {', '.join(SEVERITIES)}")
    generate = section.get("generate", document.get("generate", False))
    if not isinstance(generate, bool):
        raise RuleError("generate is neither true nor false")
    span, timespan = _timespan(section.get("timespan"))
    learning = 0
    if kind in OWN:
        bounds, condition, percentile = None, None, 0
        fields, learning = _remembered(cast(Kind, kind), section, timespan)
    else:
        bounds, condition, fields, percentile = _condition(cast(Kind, kind), section)
    rules = _names(section, "rules", _MOST_RULES)
    if condition is not None:
        rules = rules or condition.names
        if set(rules) != set(condition.names):
            raise RuleError("condition and rules do not name the same rules; each must be in both")
        if kind == "temporal":
            rules = condition.names  # whose order is that of the condition's bits
    if not rules:
        raise RuleError("correlation.rules is empty; name the rules it correlates by id or name")
    tags = _names(document, "tags", 1000)
    aliases = _aliases(section.get("aliases", {}))
    group_by = _names(section, "group-by", _MOST_FIELDS)
    return Correlation(
        id=identity(document) or digest("correlation", title),
        name=_text(document, "name"),
        title=title,
        level=cast(Severity, level),
        author=_text(document, "author"),
        license=_text(document, "license"),
        status=_text(document, "status"),
        description=_text(document, "description").strip(),
        tags=tags,
        techniques=tuple(dict.fromkeys(filter(None, map(technique, tags)))),
        kind=cast(Kind, kind),
        rules=rules,
        group_by=group_by,
        aliases=aliases,
        timespan=timespan,
        span=span,
        bounds=bounds,
        condition=condition,
        fields=fields,
        percentile=percentile,
        learning=learning,
        generate=generate,
        version=digest(json.dumps(document, sort_keys=True, default=str, ensure_ascii=False)),
        meaning=digest(json.dumps({**section, "generate": None}, sort_keys=True, default=str, ensure_ascii=False)),
        path=path,
        line=line,
        custom={key: value for key, value in document.items() if key == "wardwatch"},
    )


def _text(of: Mapping[str, Any], key: str) -> str:
    value = of.get(key)
    if value is not None and not isinstance(value, str):
        raise RuleError(f"{key} is no text; put it in quotes")
    return value or ""


def _names(of: Mapping[str, Any], key: str, most: int) -> tuple[str, ...]:
    value = of.get(key)
    listed = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        raise RuleError(f"{key} is no list of names")
    if len(set(listed)) != len(listed) or len(listed) > most:
        raise RuleError(f"{key} names one twice or more than {most}")
    return tuple(listed)


def _timespan(value: object, key: str = "timespan", least: int = 1) -> tuple[str, int]:
    found = _TIMESPAN.fullmatch(value) if isinstance(value, str) else None
    span = int(found[1]) * _UNITS[found[2]] if found else -1
    if not found or not least <= span <= _LONGEST:
        raise RuleError(f"{key} is missing or not such as 30s, 5m, 1h, 7d, 2w, 1M or 1y, up to ten years")
    return found[0], span


def _remembered(kind: Kind, section: Mapping[str, Any], timespan: int) -> tuple[tuple[str, ...], int]:
    """Fields, and ms of learning, of a type that remembers."""
    if section.get("condition") is not None:
        asks = "each value that is new" if kind == "new_term" else "each silence of a timespan"
        raise RuleError(f"{kind} takes no condition; it tells of {asks}")
    if kind == "absence":
        return (), 0
    fields = _names(section, "field", MOST_TERMS)
    if not fields:
        raise RuleError("correlation.field is missing; name the field, or up to three, whose values can be new")
    if section.get("learning") is None:
        return fields, min(LEARNING, timespan)
    written, learning = _timespan(section["learning"], "learning", 0)
    if learning > timespan:
        raise RuleError(f"learning takes {written}, and values are forgotten before; give it a longer timespan")
    return fields, learning


def _aliases(value: object) -> Mapping[str, Mapping[str, str]]:
    if not isinstance(value, Mapping) or not all(
        isinstance(alias, str)
        and isinstance(names, Mapping)
        and all(isinstance(part, str) for pair in names.items() for part in pair)
        for alias, names in value.items()
    ):
        raise RuleError("aliases is no map of an alias to a map of a rule to its field")
    return {alias: dict(names) for alias, names in value.items()}


def _condition(kind: Kind, section: Mapping[str, Any]) -> tuple[Bounds | None, Condition | None, tuple[str, ...], int]:
    condition = section.get("condition")
    temporal = kind in ("temporal", "temporal_ordered")
    if condition is None and temporal:
        return None, None, (), 0
    if isinstance(condition, str) and temporal:
        return None, read_condition(condition), (), 0
    if not isinstance(condition, Mapping):
        raise RuleError(f"condition is no map; {kind} needs one such as 'gte: 5'")
    values = kind.startswith("value_")
    known = {*OPERATORS, *(["field"] if values else []), *(["percentile"] if kind == "value_percentile" else [])}
    if unknown := condition.keys() - known:
        raise RuleError(f"condition of {kind} has a key that means nothing: {', '.join(sorted(map(str, unknown)))}")
    bounds = read_bounds(condition)
    fields = _names(condition, "field", _MOST_FIELDS)
    several = kind == "value_count"
    if values and (not fields or (len(fields) > 1 and not several)):
        needed = "some" if several else "one"
        raise RuleError(f"condition.field is missing or names several; {kind} needs {needed}")
    if several and bounds.least > MOST_VALUES:
        raise RuleError(f"more than {MOST_VALUES} distinct values of one group are not kept; ask for fewer")
    return bounds, None, fields, _percentile(condition.get("percentile", 50))


def _percentile(value: object) -> int:
    number = None if isinstance(value, str) else billionths(value)
    if number is None or not 0 <= number <= 100 * 10**9:
        raise RuleError("condition.percentile is no number from 0 to 100")
    return number // 10**6
