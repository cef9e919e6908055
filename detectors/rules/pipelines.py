"""Processing pipelines, in pySigma's own format and done by pySigma: they fit rules to other names of fields.

A pipeline is a file that a user chose, and still nothing in it may run code or reach out: only the transformations
named here are taken. What it does to queries (``postprocessing``, ``finalizers``) has nothing to work on and is left
out. Reading rules through pySigma is some ten times slower than reading them straight.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sigma import types as t
from sigma.conditions import ConditionAND
from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule

from detectors.base import digest
from detectors.rules.condition import read_condition
from detectors.rules.documents import SIZE_LIMIT, DocumentError, documents
from detectors.rules.expression import Expression, Question, all_of, any_of, negated
from detectors.rules.patterns import checked, regex
from detectors.rules.problems import Problem, RuleError
from detectors.rules.tables import Tables
from detectors.rules.texts import filled, indicators_for, keyword_question, plain_question, text_question
from detectors.rules.values import DASHES, Part, Placeholder, Wild

__all__ = ["Pipelines", "load_pipelines"]

_ALLOWED: Final = frozenset(
    [
        "field_name_mapping",
        "field_name_prefix_mapping",
        "field_name_suffix",
        "field_name_prefix",
        "drop_detection_item",
        "hashes_fields",
        "wildcard_placeholders",
        "value_placeholders",
        "add_condition",
        "change_logsource",
        "add_field",
        "remove_field",
        "set_field",
        "replace_string",
        "map_string",
        "set_state",
        "set_value",
        "convert_type",
        "rule_failure",
        "detection_item_failure",
        "strict_field_mapping_failure",
        "set_custom_attribute",
        "nest",
        "case",
    ]
)
_KEYS: Final = frozenset({"name", "priority", "vars", "transformations", "allowed_backends"})
#: Stands for a dash of any kind while pySigma has the rule: its own windash knows fewer.
_MARK: Final = "\uf8ff"
_MARKED: Final = str.maketrans(dict.fromkeys(DASHES, _MARK))
_WILD: Final = {t.SpecialChars.WILDCARD_MULTI: Wild.MANY, t.SpecialChars.WILDCARD_SINGLE: Wild.ONE}
_FLAGS: Final = {
    t.SigmaRegularExpressionFlag.IGNORECASE: "i",
    t.SigmaRegularExpressionFlag.MULTILINE: "m",
    t.SigmaRegularExpressionFlag.DOTALL: "s",
}


class _Engine:
    """What pySigma checks regular expressions with: the RE2 that runs them, and nothing on stderr."""

    error = RuleError

    def compile(self, pattern: str, flags: int = 0) -> Any:
        """As pySigma calls it; flags change nothing about what is valid."""
        return checked(pattern)


_POLICY: Final = SigmaPolicy(regex_engine=_Engine())


class Pipelines:
    """All of a user's pipelines as one, those with the lowest ``priority`` first."""

    def __init__(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        """Raises RuleError."""
        ordered = sorted(definitions, key=lambda one: one.get("priority") or 0)
        self.digest = digest("pipelines", *map(repr, ordered))
        self._pipeline = ProcessingPipeline()
        for one in ordered:
            self._pipeline += _pipeline(one)

    def applied(self, document: Mapping[str, Any], tables: Tables) -> tuple[dict[str, Any], Expression]:
        """A rule's document with what the pipelines made of its words, and its tree. Raises RuleError."""
        try:
            # An id need not be a UUID here, as the specification says.
            rule = SigmaRule.from_dict({**document, "id": None, "detection": _marked(document)}, policy=_POLICY)
            self._pipeline.apply(rule)
            trees = {name: _detection(one, tables) for name, one in rule.detection.detections.items()}
            conditions = [read_condition(one.condition, trees) for one in rule.detection.parsed_condition]
        except (SigmaError, TypeError, AttributeError) as error:  # the latter two over YAML of another shape
            raise RuleError(str(error)[:300]) from error
        if rule.taxonomy not in (None, "sigma") and not rule.applied_processing_items:
            raise RuleError(
                f"taxonomy is {str(rule.taxonomy)[:60]!r}, and no pipeline maps its fields; add one that does"
            )
        made = dict(document)
        made["logsource"] = {
            key: value
            for key in ("category", "product", "service")
            if (value := getattr(rule.logsource, key)) is not None
        }
        made["fields"] = list(rule.fields or [])
        made.update(rule.custom_attributes)
        return made, any_of(conditions)


def load_pipelines(paths: Iterable[Path]) -> tuple[Pipelines | None, list[Problem]]:
    """The pipelines in ``paths`` (None where there is none), and those that cannot be used. Never raises."""
    definitions: list[Mapping[str, Any]] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            with path.open("rb") as stream:
                content = stream.read(SIZE_LIMIT + 1)
            for found in documents(content):
                if isinstance(found, DocumentError):
                    problems.append(Problem(str(path), found.line, None, found.reason))
                    continue
                line, definition = found
                try:
                    if not isinstance(definition, dict):
                        raise RuleError("pipeline is no map; it starts with 'name:'")
                    _pipeline(definition)
                    definitions.append(definition)
                except RuleError as error:
                    problems.append(Problem(str(path), line, None, str(error)))
        except OSError as error:
            problems.append(Problem(str(path), None, None, f"file cannot be read: {error.strerror or error}"))
    return (Pipelines(definitions) if definitions else None), problems


def _pipeline(definition: Mapping[str, Any]) -> ProcessingPipeline:
    used = {key: value for key, value in definition.items() if key in _KEYS}
    for kind in _types(used.get("transformations")):
        if kind not in _ALLOWED:
            raise RuleError(f"pipeline has a transformation {str(kind)[:60]!r}, which is not done here; remove it")
    try:
        return ProcessingPipeline.from_dict(used, policy=_POLICY)
    except (SigmaError, TypeError, AttributeError, KeyError) as error:
        raise RuleError(f"pipeline cannot be read: {str(error)[:300]}") from error


def _types(transformations: object) -> Iterator[object]:
    for one in transformations if isinstance(transformations, list) else []:
        if isinstance(one, Mapping):
            yield one.get("type")
            yield from _types(one.get("items"))


def _marked(document: Mapping[str, Any]) -> Any:
    """The detections with marks for dashes under ``windash``, which then finds none; not where they are encoded."""
    detection = document.get("detection")
    if not isinstance(detection, Mapping):
        raise RuleError("detection is missing or no map; add one with a condition")
    return {name: one if name == "condition" else _marks(one) for name, one in detection.items() if name != "timeframe"}


def _marks(value: Any) -> Any:
    if isinstance(value, list):
        return [_marks(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {key: _translated(one) if _dashed(str(key).split("|")) else one for key, one in value.items()}


def _dashed(modifiers: list[str]) -> bool:
    return "windash" in modifiers and not {"base64", "base64offset"} & set(modifiers)


def _translated(value: Any) -> Any:
    if isinstance(value, list):
        return [_translated(one) for one in value]
    return value.translate(_MARKED) if isinstance(value, str) else value


# what pySigma made -------------------------------------------------------------------------------------------


def _detection(detection: SigmaDetection, tables: Tables) -> Expression | None:
    """None where a pipeline dropped all of it."""
    parts = [
        found
        for one in detection.detection_items
        if (found := _item(one, tables) if isinstance(one, SigmaDetectionItem) else _detection(one, tables)) is not None
    ]
    if not parts:
        return None
    return all_of(parts) if detection.item_linking is ConditionAND else any_of(parts)


def _item(item: SigmaDetectionItem, tables: Tables) -> Expression | None:
    field = item.field or None
    values = [_value(field, one, tables) for one in item.value]
    if not values:
        raise RuleError(f"{field or 'a keyword'} has an empty list; give it a value, or null")
    tree = all_of(values) if item.value_linking is ConditionAND else any_of(values)
    return negated(tree) if item.negated else tree


def _value(field: str | None, value: Any, tables: Tables) -> Expression:  # noqa: PLR0912 - one for each type
    if isinstance(value, t.SigmaExpansion):
        return any_of([_value(field, one, tables) for one in value.values])
    if isinstance(value, t.SigmaString):
        parts = tuple(_parts(value))
        listed = indicators_for(parts, tables)
        if listed is not None:
            if field is None:
                raise RuleError(f"%{listed.name}% is looked up whole; it needs a field and no modifier but expand")
            return Question(field, "listed", (listed,))
        cased = isinstance(value, t.SigmaCasedString)
        return any_of([text_question(field, one, cased=cased, tables=tables) for one in filled(parts, tables)])
    if isinstance(value, t.SigmaRegularExpression):
        if value.contains_placeholder():
            raise RuleError("a regular expression with a placeholder cannot go through a pipeline; write it out")
        flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
        return Question(field, "re", (regex(str(value.regexp), flags),), cased=True)
    plain = _plain(value)
    if field is None:
        return keyword_question(plain)
    if isinstance(value, t.SigmaTimestampPart):
        return Question(field, "time", ((value.timestamp_part.name, "EQ", value.number),))
    if isinstance(value, t.SigmaExists):
        return Question(field, "exists", (value.exists,))
    if isinstance(value, t.SigmaCIDRExpression):
        return Question(field, "cidr", (str(value.network),), cased=True)
    if isinstance(value, t.SigmaCompareExpression):
        number = value.number
        if isinstance(number, t.SigmaTimestampPart):
            return Question(field, "time", ((number.timestamp_part.name, value.op.name, number.number),))
        return Question(field, "compare", ((value.op.name, number.number),))
    if isinstance(value, t.SigmaFieldReference):
        return Question(field, "fieldref", ((value.field, value.starts_with, value.ends_with),))
    return plain_question(field, plain)


def _plain(value: Any) -> Any:
    """A number, boolean or null; anything else as itself, which no question takes."""
    if isinstance(value, t.SigmaNumber):
        return value.number
    if isinstance(value, t.SigmaBool):
        return value.boolean
    return None if isinstance(value, t.SigmaNull) else value


def _parts(value: t.SigmaString) -> Iterator[Part]:
    for part in value.s:
        if isinstance(part, str):
            for number, piece in enumerate(part.split(_MARK)):
                if number:
                    yield Wild.DASH
                if piece:
                    yield piece
        elif isinstance(part, t.Placeholder):
            yield Placeholder(part.name)
        else:
            yield _WILD[part]
