"""``rules new``: a rule, and its tests, from one event that it should have found.

It asks for what says what happened, or for the fields it is given. The event inside the rule is cut down to what its
source needs to read it and the rule to match it, and what its source knows to identify a patient is replaced; a second
event differs in one value and must not match.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, NamedTuple

import yaml

from detectors.rules import Rule, RuleSet, lookup
from detectors.rules.documents import DocumentError, documents
from detectors.rules.problems import RuleError
from detectors.rules.rule import read_rule
from streams.identifiers import identifiers_of
from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.known import Sources

__all__ = ["Drafted", "NotDrafted", "draft_rule", "file_name"]

#: What says what happened, in the order in which a reader wants it.
_TELLING: Final = ("event.provider", "event.action")
#: Values of one field that a rule lists; more are no example of anything.
_MOST: Final = 20
#: Parts of an event that are tried, one after another, whether it can do without them.
_PARTS: Final = 4_000
_REFERENCE: Final = re.compile(r"[A-Z][A-Za-z]{2,40}/")


class NotDrafted(ValueError):
    """Why no rule can be made of an event. Quotes nothing of it."""


class Drafted(NamedTuple):
    """A rule's file."""

    text: str
    rule: Rule
    source: str
    replaced: int  #: values that identified a patient and are synthetic now
    negative: bool  #: whether there is an event that must not match


def draft_rule(
    record: Mapping[str, Any],
    sources: Sources,
    *,
    source: str,
    title: str,
    rule_id: str,
    today: dt.date,
    fields: Sequence[str] = (),
    level: str = "medium",
    author: str = "",
) -> Drafted:
    """A rule that matches ``record``. ``fields``: what it asks about; empty: what says what happened.

    Raises NotDrafted, and BadRecord where no source reads the record.
    """
    read = sources.recognise(record) if source == "auto" else sources.by_name(source)
    draft = read.normalise(record)
    selection = _selection(record, draft, fields)
    document: dict[str, Any] = {
        "title": title,
        "id": rule_id,
        "status": "experimental",
        "description": f"Drafted from one event of source {read.name}; it asks about {', '.join(selection)}.",
        **({"author": author} if author else {}),
        "date": today,
        "logsource": _parts(draft.logsource or read.logsource),
        "detection": {"selection": selection, "condition": "selection"},
        "level": level,
    }
    rule = _read(document)
    rules = RuleSet([rule])

    def answer(event: Mapping[str, Any]) -> bool | None:
        """Whether the rule matches an event; None where it is none of this source any more."""
        try:
            if source == "auto" and sources.recognise(event) is not read:
                return None
            seen = read.normalise(event)
        except (BadRecord, ValueError):
            return None
        log = seen.logsource or read.logsource
        return bool(rules.match(_seen(event, seen), seen.fields, log))

    if not answer(record):
        raise NotDrafted("the rule that was made does not match its own event: name other --fields")
    small = _reduced(record, lambda event: answer(event) is True)
    positive, replaced = _synthetic(small, read.normalise(small), lambda event: answer(event) is True)
    telling = {str(value) for value in _listed(list(selection.values())[-1])}
    negative = next((event for event in _changed(positive, telling) if answer(event) is False), None)
    events: dict[str, Any] = {"positive": [positive]}
    if negative is not None:
        events["negative"] = [negative]
    text = _yaml({**document, "wardwatch": {"tests": events}})
    return Drafted(text, rule, read.name, replaced, negative is not None)


def file_name(title: str) -> str:
    """The name of a rule's file, from its title."""
    words = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    return f"{words[:80].rstrip('_') or 'rule'}.yml"


def _seen(record: Mapping[str, Any], draft: Draft) -> Mapping[str, Any]:
    """What rules see of a record."""
    return {**(record if draft.shown is None else draft.shown), **(draft.aliases or {})}


def _selection(record: Mapping[str, Any], draft: Draft, wanted: Sequence[str]) -> dict[str, Any]:
    seen = _seen(record, draft)
    names = list(wanted) or [name for name in _TELLING if name in draft.fields]
    if not wanted and draft.fields.get("event.outcome") == "failure":
        names.append("event.outcome")
    holds = identifiers_of(frozenset(draft.identifiers)).holds
    selection: dict[str, Any] = {}
    for name in names:
        values = lookup.leaves(seen, draft.fields, name, lookup.path_of(name))
        texts = list(dict.fromkeys(value for value in values or () if lookup.text(value) is not None))
        if not texts:
            raise NotDrafted(f"the event has no value under {name}: name a field that it has")
        if len(texts) > _MOST:
            raise NotDrafted(f"the event has {len(texts)} values under {name}: name a field that says one thing")
        if any(holds(str(value)) for value in texts):
            raise NotDrafted(f"{name} holds what identifies a patient, which must not stand in a rule: name another")
        plain = [_plain(value) for value in texts]
        selection[name] = plain[0] if len(plain) == 1 else plain
    if not selection:
        raise NotDrafted("the event does not say what happened in a field known here: name some with --fields")
    return selection


def _plain(value: Any) -> Any:
    """A value that means itself: no wildcard in it."""
    return re.sub(r"([\\*?])", r"\\\1", value) if isinstance(value, str) else value


def _parts(log: LogSource) -> dict[str, str]:
    named = {"product": log.product, "service": log.service}
    return {part: value for part, value in named.items() if value} or {"category": log.category}


def _read(document: Mapping[str, Any]) -> Rule:
    try:
        return read_rule(document, "", 1)
    except RuleError as exc:
        raise NotDrafted(f"no rule can be made of it: {exc}") from exc


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every part of an event, a whole before what is in it."""
    parts: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, Mapping):
        parts = iter(value.items())
    elif isinstance(value, list):
        parts = iter(enumerate(value))
    for name, inner in parts:
        yield (*path, name)
        yield from _paths(inner, (*path, name))


def _reduced(record: Mapping[str, Any], good: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
    """``record`` without whatever it can do without."""
    event = deepcopy(dict(record))
    tried = 0
    gone: set[tuple[Any, ...]] = set()
    for path in sorted(_paths(record), key=len):
        if any(path[: len(lost)] == lost for lost in gone) or isinstance(path[-1], int):
            continue  # items of lists stay, so that the places of the others do
        tried += 1
        if tried > _PARTS:
            break
        without = deepcopy(event)
        del _holder(without, path)[path[-1]]
        if good(without):
            event = without
            gone.add(path)
    return event


def _holder(event: Any, path: tuple[Any, ...]) -> Any:
    for part in path[:-1]:
        event = event[part]
    return event


def _synthetic(
    event: dict[str, Any], draft: Draft, good: Callable[[Mapping[str, Any]], bool]
) -> tuple[dict[str, Any], int]:
    """``event`` with other values for what identifies a patient, and how many those were."""
    holds = identifiers_of(frozenset(draft.identifiers)).holds if draft.identifiers else (lambda _: False)
    made = deepcopy(event)
    names: dict[str, str] = {}
    for path in _paths(event):
        holder = _holder(made, path)
        value = holder[path[-1]]
        if isinstance(value, bool) or not isinstance(value, str | int) or not holds(str(value)):
            continue
        if str(value) not in names:
            kind = _REFERENCE.match(str(value))
            names[str(value)] = f"{kind[0] if kind else ''}synthetic-{len(names) + 1}"
        holder[path[-1]] = names[str(value)] if isinstance(value, str) else 0
    if names and not good(made):
        raise NotDrafted("the event cannot be read without what identifies a patient: take another event")
    return made, len(names)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _changed(event: Mapping[str, Any], first: set[str]) -> Iterator[dict[str, Any]]:
    """``event`` with one of its values changed, those of ``first`` before others; then without one of its parts."""
    for path in sorted(_paths(event), key=lambda path: str(_holder(event, path)[path[-1]]) not in first):
        value = _holder(event, path)[path[-1]]
        if isinstance(value, str | bool | int | float):
            for other in _others(value):
                changed = deepcopy(dict(event))
                _holder(changed, path)[path[-1]] = other
                yield changed
    for path in _paths(event):
        changed = deepcopy(dict(event))
        del _holder(changed, path)[path[-1]]
        yield changed


def _others(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield from ("Other", "other", "success", "0")
    else:
        yield value + 1


def _yaml(document: Mapping[str, Any]) -> str:
    try:
        text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=110)
        read = list(documents(text.encode()))
    except (yaml.YAMLError, UnicodeError) as exc:
        raise NotDrafted("the event holds what YAML cannot write: take another event") from exc
    if len(read) != 1 or isinstance(read[0], DocumentError):
        raise NotDrafted("the event is too large or too deep for a rule's file: take another event")
    return text
