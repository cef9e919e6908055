"""A Sigma rule as the rest of the product sees it: what it says of itself, and a function that tries it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.rule import SigmaRule

from detectors.base import Severity, digest
from detectors.rules.compiler import Matcher, compile_expression
from detectors.rules.expression import Expression, expression
from detectors.rules.patterns import Engine
from detectors.rules.problems import RuleError

__all__ = ["Rule", "read_rule"]

_POLICY = SigmaPolicy(regex_engine=Engine())
_CONDITION_LIMIT = 2_000  # characters; pyparsing's time grows fast with length and with brackets
_BRACKET_LIMIT = 12


@dataclass(frozen=True, slots=True)
class Rule:
    """One loaded rule. ``id`` is the rule's own, or a digest of title and log source where it has none."""

    id: str
    title: str
    level: Severity  #: ``medium`` where the rule does not say
    author: str
    status: str
    date: dt.date | None
    modified: dt.date | None
    description: str
    license: str
    tags: tuple[str, ...]
    techniques: tuple[str, ...]  #: ATT&CK techniques among the tags: ``T1078``, ``T1078.004``
    references: tuple[str, ...]
    falsepositives: tuple[str, ...]
    fields: tuple[str, ...]  #: fields the author wants shown with a match
    product: str
    service: str
    category: str
    version: str  #: digest of the rule's content: two texts that mean the same data have the same
    path: str
    line: int
    custom: Mapping[str, Any]  #: keys Sigma does not define, e.g. ``wardwatch``
    expression: Expression = field(repr=False, compare=False)
    matcher: Matcher = field(repr=False, compare=False)

    @property
    def subject(self) -> str:
        """``actor`` or ``device`` where the rule itself says whom a match is about, else empty."""
        return str(self._own("subject"))

    @property
    def shadow(self) -> bool:
        """True where the rule itself says that it is counted and alerts nobody."""
        return self._own("shadow") is True

    @property
    def response(self) -> str:
        """What to do about a match, in the author's words; may be empty."""
        return str(self._own("response"))

    def _own(self, key: str) -> Any:
        own = self.custom.get("wardwatch")
        return own.get(key, "") if isinstance(own, Mapping) else ""

    def applies_to(self, product: str, service: str, category: str) -> bool:
        """True where every part of its log source that the rule names is equal."""
        return self.product in ("", product) and self.service in ("", service) and self.category in ("", category)


def read_rule(document: Mapping[str, Any], path: str, line: int) -> Rule:
    """One rule from its YAML. Raises RuleError with every reason that is known."""
    _check_conditions(document)
    parsed = SigmaRule.from_dict(dict(document), collect_errors=True, policy=_POLICY)
    if parsed.errors:
        raise RuleError("; ".join(dict.fromkeys(map(_say, parsed.errors))))
    try:
        tree = expression(parsed)
    except SigmaError as error:
        raise RuleError(_say(error)) from error
    _check_own(parsed.custom_attributes.get("wardwatch"))
    source = parsed.logsource
    product, service, category = (
        str(part or "").casefold() for part in (source.product, source.service, source.category)
    )
    title = parsed.title or ""
    rule_id = str(parsed.id) if parsed.id else digest("rule", title, product, service, category)
    tags = tuple(str(tag) for tag in parsed.tags)
    level = str(parsed.level) if parsed.level else "medium"  # pySigma knows the same five levels
    return Rule(
        id=rule_id,
        title=title,
        level=cast(Severity, level),
        author=parsed.author or "",
        status=str(parsed.status or ""),
        date=parsed.date,
        modified=parsed.modified,
        description=(parsed.description or "").strip(),
        license=parsed.license or "",
        tags=tags,
        techniques=tuple(dict.fromkeys(filter(None, map(_technique, tags)))),
        references=tuple(map(str, parsed.references)),
        falsepositives=tuple(map(str, parsed.falsepositives)),
        fields=tuple(map(str, parsed.fields)),
        product=product,
        service=service,
        category=category,
        version=digest(json.dumps(document, sort_keys=True, default=str, ensure_ascii=False)),
        path=path,
        line=line,
        custom=parsed.custom_attributes,
        expression=tree,
        matcher=compile_expression(tree, rule_id),
    )


def _say(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text if len(text) <= 300 else text[:300] + " ..."


def _check_conditions(document: Mapping[str, Any]) -> None:
    detection = document.get("detection")
    if not isinstance(detection, Mapping):
        raise RuleError("detection is missing or no map; add one with a condition")
    condition = detection.get("condition")
    for one in condition if isinstance(condition, list) else [condition]:
        if not isinstance(one, str):
            raise RuleError("condition is missing or no string; name the detections it joins")
        if len(one) > _CONDITION_LIMIT or one.count("(") > _BRACKET_LIMIT:
            raise RuleError(
                f"condition is longer than {_CONDITION_LIMIT} characters or holds more than {_BRACKET_LIMIT}"
                " brackets; write it with '1 of' and 'all of'"
            )


def _check_own(own: object) -> None:
    if own is None:
        return
    if not isinstance(own, Mapping):
        raise RuleError("wardwatch is no map; write its keys below it")
    if own.get("subject", "actor") not in ("actor", "device"):
        raise RuleError("wardwatch.subject is neither actor nor device")
    if not isinstance(own.get("shadow", False), bool):
        raise RuleError("wardwatch.shadow is neither true nor false")


def _technique(tag: str) -> str:
    name = tag.removeprefix("attack.")
    return name.upper() if name != tag and name[:1] in "tT" and name[1:2].isdigit() else ""
