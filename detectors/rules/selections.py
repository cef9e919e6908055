"""A rule's detections: maps, lists of maps and lists of keywords, with their values and modifiers, as trees.

Modifiers are applied in the order they stand where order means something (encodings, wildcards); ``all``, ``neq``,
``cased`` and ``expand`` hold for the whole item. Combinations without a meaning are refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from detectors.rules.expression import Expression, all_of, any_of, negated
from detectors.rules.problems import RuleError
from detectors.rules.tables import NO_TABLES, Tables
from detectors.rules.texts import keyword_question, plain_question, read_texts
from detectors.rules.typed_values import (
    COMPARISONS,
    FLAGS,
    TIME_PARTS,
    read_comparisons,
    read_existence,
    read_expressions,
    read_networks,
    read_references,
    read_times,
)

__all__ = ["read_detection", "read_item"]

_ENDS: Final = frozenset({"contains", "startswith", "endswith"})
_ENCODINGS: Final = frozenset({"wide", "utf16", "utf16le", "utf16be", "base64", "base64offset"})
#: What an item of each type may have beside the modifier that gives the type.
_BESIDE: Final[dict[str, frozenset[str]]] = {
    "re": frozenset({*FLAGS, *_ENDS, "re", "all", "neq", "expand"}),
    "cidr": frozenset({"cidr", "all", "neq", "expand"}),
    "exists": frozenset({"exists"}),
    "fieldref": frozenset({"fieldref", "all", "neq", "cased", *_ENDS}),
    "time": frozenset({*TIME_PARTS, *COMPARISONS, "all", "neq"}),
    "compare": frozenset({*COMPARISONS, "all", "neq"}),
    "text": frozenset({*_ENDS, *_ENCODINGS, "windash", "cased", "all", "neq", "expand"}),
}
_KNOWN: Final = frozenset().union(*_BESIDE.values())
_READERS: Final = {
    "text": read_texts,
    "re": read_expressions,
    "cidr": read_networks,
    "exists": read_existence,
    "fieldref": read_references,
    "time": read_times,
    "compare": read_comparisons,
}


def read_detection(definition: Any, tables: Tables = NO_TABLES) -> Expression:
    """One detection. Raises RuleError."""
    if isinstance(definition, Mapping):
        if not definition:
            raise RuleError("a detection is empty; give it a field")
        return all_of([read_item(str(key), value, tables) for key, value in definition.items()])
    if isinstance(definition, list):
        if not definition:
            raise RuleError("a detection is an empty list; give it a value")
        if any(isinstance(one, list | Mapping) for one in definition):
            return any_of([read_detection(one, tables) for one in definition])
    return read_item("", definition, tables)


def read_item(key: str, value: Any, tables: Tables = NO_TABLES) -> Expression:
    """``key`` (a field's name and modifiers) and its value or values. Raises RuleError."""
    name, *modifiers = key.split("|")
    field = name or None
    values = value if isinstance(value, list) else [value]
    if not values:
        raise RuleError(f"{_of(field)} has an empty list; give it a value, or null")
    for one in values:
        if isinstance(one, list | Mapping):
            raise RuleError(f"{_of(field)} has a {'list' if isinstance(one, list) else 'map'} as a value; flatten it")
    if not modifiers:
        if field is None:
            return any_of([keyword_question(one) for one in values])
        return any_of([plain_question(field, one) for one in values])
    kind = _kind(field, modifiers)
    try:
        made = _READERS[kind](field, modifiers, values, tables)
    except RuleError as error:
        raise RuleError(f"{_of(field)}: {error}") from error
    tree = all_of(made) if "all" in modifiers else any_of(made)
    return negated(tree) if "neq" in modifiers else tree


def _of(field: str | None) -> str:
    return "a keyword" if field is None else field[:80]


def _kind(field: str | None, modifiers: list[str]) -> str:
    """What type of value the modifiers make, after a look at whether they go together."""
    for one in modifiers:
        if one not in _KNOWN:
            raise RuleError(f"{_of(field)}: {one[:40]!r} is no modifier of Sigma")
    given = set(modifiers)
    if given <= _BESIDE["text"]:
        kind = "text"
    elif "re" in given:
        kind = "re"
    elif given & TIME_PARTS:
        kind = "time"
    else:
        kind = next((one for one in ("cidr", "exists", "fieldref") if one in given), "compare")
    strange = given - _BESIDE[kind]
    if strange or len(given & TIME_PARTS) > 1 or len(given & COMPARISONS) > 1:
        raise RuleError(f"{_of(field)}: modifiers {'|'.join(modifiers)[:80]} do not go together")
    if field is None:
        if kind not in ("text", "re"):
            raise RuleError(f"{modifiers[0]} needs the name of a field; a keyword is a text looked for anywhere")
        if given & {"startswith", "endswith"}:
            raise RuleError("a keyword is looked for anywhere: startswith and endswith need a field name")
    return kind
