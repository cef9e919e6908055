"""A Sigma rule as the rest of the product sees it: what it says of itself, and a function that tries it."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from detectors.base import SEVERITIES, Severity, digest
from detectors.rules.compiler import Matcher, compiled_late
from detectors.rules.condition import DETECTION_LIMIT, read_condition
from detectors.rules.expression import Expression, any_of
from detectors.rules.problems import RuleError
from detectors.rules.selections import read_detection
from detectors.rules.tables import NO_TABLES, Tables

if TYPE_CHECKING:
    from detectors.rules.pipelines import Pipelines

__all__ = ["Rule", "identity", "read_detections", "read_log_source", "read_rule", "technique"]

_STATES: Final = frozenset({"stable", "test", "experimental", "deprecated", "unsupported"})
_RELATIONS: Final = frozenset({"derived", "obsolete", "merged", "renamed", "similar", "correlation"})
_DATES: Final = (re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII), re.compile(r"(\d{4})/(\d\d?)/(\d\d?)", re.ASCII))
_PLACEHOLDER: Final = re.compile(r"%([^%\\*?]+)%")
#: Keys the specification gives a meaning; every other one is the author's own.
_DEFINED: Final = frozenset(
    [
        "title",
        "id",
        "name",
        "related",
        "taxonomy",
        "status",
        "description",
        "license",
        "author",
        "references",
        "date",
        "modified",
        "logsource",
        "detection",
        "fields",
        "falsepositives",
        "level",
        "tags",
        "scope",
    ]
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One loaded rule. ``id`` is the rule's own, or a digest of title and log source where it has none."""

    id: str
    name: str  #: what a correlation or a filter may refer to it by; empty where it has none
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
    related: tuple[tuple[str, str], ...]  #: other rules, each as (type, id)
    scope: tuple[str, ...]
    fields: tuple[str, ...]  #: fields the author wants shown with a match
    product: str
    service: str
    category: str
    #: Digest of the rule's content and of the lists, filters and pipelines that had a part in it: two texts that mean
    #: the same data have the same.
    version: str
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


def read_rule(
    document: Mapping[str, Any],
    path: str,
    line: int,
    *,
    tables: Tables = NO_TABLES,
    pipelines: Pipelines | None = None,
) -> Rule:
    """One rule from its YAML. Raises RuleError with every reason that is known."""
    reasons: list[str] = []
    taken = _Taken(document, reasons)
    content = json.dumps(document, sort_keys=True, default=str, ensure_ascii=False)
    parts = [content]
    if "|expand" in content:
        parts += (tables.digest_of(name) for name in dict.fromkeys(_PLACEHOLDER.findall(content)))
    rule_id = ""
    try:
        rule_id = identity(document)
    except RuleError as error:
        reasons.append(str(error))
    title = taken.text("title")
    if not title or len(title) > 256:
        reasons.append("title is missing or longer than 256 characters; say in a few words what the rule finds")
    level = (taken.text("level") or "medium").lower()
    if level not in SEVERITIES:
        reasons.append(f"level {level[:40]!r} is none of {', '.join(SEVERITIES)}")
    status = taken.text("status").lower()
    if status and status not in _STATES:
        reasons.append(f"status {status[:40]!r} is none of {', '.join(sorted(_STATES))}")
    tags = taken.texts("tags")
    reasons += [f"tag {tag[:60]!r} has no namespace; write it like attack.t1078" for tag in tags if "." not in tag]
    product = service = category = ""
    tree: Expression | None = None
    try:
        if pipelines is None:
            if (taxonomy := taken.text("taxonomy") or "sigma") != "sigma":
                reasons.append(f"taxonomy is {taxonomy[:60]!r}; only a pipeline can map its fields, and there is none")
            tree = read_detections(document.get("detection"), tables)
        else:
            document, tree = pipelines.applied(document, tables)
            taken = _Taken(document, reasons)
            parts.append(pipelines.digest)
        product, service, category = read_log_source(document)
    except RuleError as error:
        reasons.append(str(error))
    date, modified = taken.date("date"), taken.date("modified")
    related = taken.related()
    own = {key: value for key, value in document.items() if key not in _DEFINED}
    _check_own(own.get("wardwatch"), reasons)
    lists = {key: taken.texts(key) for key in ("references", "falsepositives", "fields", "scope")}
    told = {key: taken.text(key) for key in ("name", "author", "description", "license")}
    if reasons or tree is None:
        raise RuleError("; ".join(dict.fromkeys(reasons)))
    rule_id = rule_id or digest("rule", title, product, service, category)
    return Rule(
        id=rule_id,
        name=told["name"],
        title=title,
        level=cast(Severity, level),
        author=told["author"],
        status=status,
        date=date,
        modified=modified,
        description=told["description"].strip(),
        license=told["license"],
        tags=tags,
        techniques=tuple(dict.fromkeys(filter(None, map(technique, tags)))),
        references=lists["references"],
        falsepositives=lists["falsepositives"],
        related=related,
        scope=lists["scope"],
        fields=lists["fields"],
        product=product,
        service=service,
        category=category,
        version=digest(*parts),
        path=path,
        line=line,
        custom=own,
        expression=tree,
        matcher=compiled_late(tree, rule_id),
    )


def identity(document: Mapping[str, Any]) -> str:
    """A rule's own id, a UUID in lower case; empty where it has none. Raises RuleError on what is no text."""
    own = document.get("id")
    if own is None:
        return ""
    if not isinstance(own, str) or not own.strip() or len(own) > 256:
        raise RuleError("id is no text of 1 to 256 characters; a random UUID is best")
    return own.lower() if _UUID.fullmatch(own) else own


def read_detections(
    detection: object, tables: Tables = NO_TABLES, *, beside: frozenset[str] = frozenset()
) -> Expression:
    """The tree of named detections and their condition or conditions, which are alternatives. Raises RuleError.

    ``beside``: keys that are neither. ``timeframe`` is one always: Sigma 1 counted by it.
    """
    if not isinstance(detection, Mapping):
        raise RuleError("detection is missing or no map; add one with a condition")
    condition = detection.get("condition")
    written = condition if isinstance(condition, list) else [condition]
    conditions = [one for one in written if isinstance(one, str)]
    if not written or len(conditions) < len(written):
        raise RuleError("condition is missing or no string; name the detections it joins")
    passed = {"condition", "timeframe", *beside}
    if len(detection) > DETECTION_LIMIT:
        raise RuleError(f"it has more than {DETECTION_LIMIT} detections; make several rules of it")
    named = {str(name): read_detection(one, tables) for name, one in detection.items() if name not in passed}
    if not named:
        raise RuleError("detection names nothing to look for; add a selection")
    return any_of([read_condition(one, named) for one in conditions])


def read_log_source(document: Mapping[str, Any]) -> tuple[str, str, str]:
    """Product, service and category, folded; empty where they are not given. Raises RuleError."""
    source = document.get("logsource")
    if not isinstance(source, Mapping):
        raise RuleError("logsource is missing or no map; name a product, service or category")
    parts = [source.get(key) for key in ("product", "service", "category")]
    if not all(part is None or isinstance(part, str) for part in (*parts, source.get("definition"))):
        raise RuleError("a part of logsource is no text; quote it")
    if not any(parts):
        raise RuleError("logsource is empty; name a product, service or category")
    product, service, category = (str(part or "").casefold() for part in parts)
    return product, service, category


class _Taken:
    """Reads a rule's own words, and notes what has another form than it should."""

    def __init__(self, document: Mapping[str, Any], reasons: list[str]) -> None:
        self._document = document
        self._reasons = reasons

    def text(self, key: str) -> str:
        found = self._document.get(key)
        if found is not None and not isinstance(found, str):
            self._reasons.append(f"{key} is no text; quote it")
            return ""
        return found or ""

    def texts(self, key: str) -> tuple[str, ...]:
        found = self._document.get(key)
        if found is not None and not isinstance(found, list):
            self._reasons.append(f"{key} is no list; write one with '- '")
            return ()
        if any(isinstance(one, list | Mapping) for one in found or ()):
            self._reasons.append(f"{key} has a list or a map in it; write texts")
            return ()
        return tuple(map(str, found or ()))

    def date(self, key: str) -> dt.date | None:
        found = self._document.get(key)
        if found is None or isinstance(found, dt.date):
            return found
        for pattern in _DATES:
            if parts := pattern.fullmatch(str(found)):
                try:
                    return dt.date(*map(int, parts.groups()))
                except ValueError:
                    break
        self._reasons.append(f"{key} is no date; write it like 2026-01-31")
        return None

    def related(self) -> tuple[tuple[str, str], ...]:
        found = self._document.get("related")
        pairs = []
        for one in found if isinstance(found, list) else [] if found is None else [None]:
            if not isinstance(one, Mapping) or not isinstance(one.get("id"), str) or one.get("type") not in _RELATIONS:
                self._reasons.append(f"related is no list of ids, each with a type of {', '.join(sorted(_RELATIONS))}")
                return ()
            pairs.append((str(one["type"]), str(one["id"])))
        return tuple(pairs)


def _check_own(own: object, reasons: list[str]) -> None:
    if own is None:
        return
    if not isinstance(own, Mapping):
        reasons.append("wardwatch is no map; write its keys below it")
    elif own.get("subject", "actor") not in ("actor", "device"):
        reasons.append("wardwatch.subject is neither actor nor device")
    elif not isinstance(own.get("shadow", False), bool):
        reasons.append("wardwatch.shadow is neither true nor false")


def technique(tag: str) -> str:
    """The ATT&CK technique that a tag names, such as ``T1078.004``; empty where it names none."""
    name = tag.removeprefix("attack.")
    return name.upper() if name != tag and name[:1] in "tT" and name[1:2].isdigit() else ""
