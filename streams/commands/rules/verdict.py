"""``rules explain``: how one event answers a rule's condition, part by part, with what each field said.

A value that holds what its source knows to identify a patient is hidden unless asked for. Without a source (``raw``)
nothing says which values those are, so all are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from detectors.rules import Rule
from detectors.rules.detection import condition_over_names, named_detections
from detectors.rules.explanation import Answer, answer, asked
from detectors.rules.expression import And, Expression, Not, Or, Question
from streams.commands.rules.papers import paper_of
from streams.identifiers import identifiers_of
from streams.sources.base import Source

__all__ = ["Verdict", "as_json", "explained", "lines"]

#: Values of one field that are shown, and characters of each.
_VALUES: Final = 4
_LONG: Final = 80
_HIDDEN: Final = "(hidden: it may identify a patient; --show-values shows it)"


class Part(NamedTuple):
    """One node: of the condition, whose leaves are detections, or of a detection, whose leaves are questions."""

    words: str
    held: bool
    parts: tuple[Part, ...] = ()
    asked: Answer | None = None


class Verdict(NamedTuple):
    """How one event answered one rule."""

    rule: Rule
    held: bool
    source: str  #: what read the event; ``raw`` for none
    misfit: str  #: why the rule is not tried on this event at all; empty where it is
    condition: str
    tree: Part
    identifies: Callable[[str], bool]  #: whether a text holds what identifies a patient

    @property
    def fits(self) -> bool:
        return not self.misfit

    @property
    def matches(self) -> bool:
        return self.held and self.fits


def explained(rule: Rule, record: Mapping[str, Any], source: Source | None) -> Verdict:
    """Explain ``rule`` on ``record`` as ``source`` reads it; None: as it stands. Raises BadRecord."""
    seen, fields, misfit = record, {}, ""
    identifies: Callable[[str], bool] = lambda _: source is None  # noqa: E731 - one of three
    if source is not None:
        draft = source.normalise(record)
        seen = {**(record if draft.shown is None else draft.shown), **(draft.aliases or {})}
        fields = draft.fields
        log = draft.logsource or source.logsource
        if not rule.applies_to(log.product, log.service, log.category):
            misfit = f"the rule asks for {_named(rule)}, and the event is of {_named(log)} (source {source.name})"
        if draft.identifiers:
            identifies = identifiers_of(frozenset(draft.identifiers)).holds
    paper = paper_of(rule)
    whole = answer(rule.expression, seen, fields)
    condition, tree = "", _part(whole)
    if paper is not None:
        condition = _condition(paper.document)
        tree = _named_tree(paper.document, seen, fields) or tree
    return Verdict(rule, whole.held, "raw" if source is None else source.name, misfit, condition, tree, identifies)


def lines(verdict: Verdict, *, show_values: bool) -> Iterator[str]:
    """The verdict for people, one line a node."""
    if verdict.condition:
        yield f"condition: {verdict.condition}"
    yield from _lines(verdict.tree, verdict, show_values, 0)


def as_json(verdict: Verdict, *, show_values: bool) -> dict[str, Any]:
    """The verdict for scripts."""
    return {
        "rule_id": verdict.rule.id,
        "title": verdict.rule.title,
        "matches": verdict.matches,
        "condition_holds": verdict.held,
        "source": verdict.source,
        "log_source": verdict.misfit or "fits",
        "condition": verdict.condition,
        "tree": _json(verdict.tree, verdict, show_values),
    }


def _named_tree(document: Mapping[str, Any], seen: Mapping[str, Any], fields: Mapping[str, Any]) -> Part | None:
    """The condition over its detections' names; None where it cannot be taken apart."""
    over = condition_over_names(document)
    named = named_detections(document)
    if over is None:
        return None

    def build(tree: Expression) -> Part | None:
        if isinstance(tree, Question):
            inner = named.get(str(tree.field))
            if inner is None:
                return None
            part = _part(answer(inner, seen, fields))
            return Part(str(tree.field), part.held, (part,))
        if isinstance(tree, Not):
            part_or_none = build(tree.part)
            return None if part_or_none is None else Part("not", not part_or_none.held, (part_or_none,))
        parts = [build(one) for one in tree.parts]
        built = tuple(part for part in parts if part is not None)
        if len(built) < len(parts):
            return None
        held = [part.held for part in built]
        return Part(_word(tree), all(held) if isinstance(tree, And) else any(held), built)

    return build(over)


def _part(said: Answer) -> Part:
    if isinstance(said.node, Question):
        return Part(asked(said.node), said.held, (), said)
    return Part(_word(said.node), said.held, tuple(map(_part, said.parts)))


def _word(tree: Expression) -> str:
    return "not" if isinstance(tree, Not) else "any of" if isinstance(tree, Or) else "all of"


def _condition(document: Mapping[str, Any]) -> str:
    detection = document.get("detection")
    condition = detection.get("condition", "") if isinstance(detection, Mapping) else ""
    return " | ".join(map(str, condition)) if isinstance(condition, list) else str(condition)


def _lines(part: Part, verdict: Verdict, show_values: bool, depth: int) -> Iterator[str]:
    said = "" if part.asked is None else f": {_said(part.asked, verdict, show_values)}"
    yield f"{'  ' * depth}{'true ' if part.held else 'false'} {part.words}{said}"
    for inner in part.parts:
        yield from _lines(inner, verdict, show_values, depth + 1)


def _json(part: Part, verdict: Verdict, show_values: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"asks": part.words, "holds": part.held}
    if part.asked is not None:
        said["seen"] = _said(part.asked, verdict, show_values)
    if part.parts:
        said["parts"] = [_json(inner, verdict, show_values) for inner in part.parts]
    return said


def _said(said: Answer, verdict: Verdict, show_values: bool) -> str:
    """What the event says where the question looked."""
    if said.values is None:
        keyword = isinstance(said.node, Question) and said.node.field is None
        return "no value has it" if keyword else "the event does not have it"
    if not said.values:
        return "an empty list"
    order = sorted(range(len(said.values)), key=lambda place: (place != said.hit, place))
    told = list(dict.fromkeys(_value(said.values[place], verdict, show_values) for place in order[:_VALUES]))
    if len(order) > _VALUES:
        told.append(f"{len(order) - _VALUES} more")
    return ", ".join(told)


def _value(value: Any, verdict: Verdict, show_values: bool) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if not show_values and verdict.identifies(text):
        return _HIDDEN
    whole = json.dumps(value, ensure_ascii=False, default=str)
    whole = "".join(character if character.isprintable() else "?" for character in whole)
    return whole if len(whole) <= _LONG else f"{whole[:_LONG]}…"


def _named(log: Any) -> str:
    parts = {"product": log.product, "service": log.service, "category": log.category}
    return ", ".join(f"{part}: {value}" for part, value in parts.items() if value) or "any log source"
