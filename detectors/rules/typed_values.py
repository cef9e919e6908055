"""Values that are no texts: regular expressions, networks, existence, references to fields, numbers and times."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any, Final

from detectors.rules.expression import Expression, Question
from detectors.rules.patterns import regex
from detectors.rules.problems import RuleError
from detectors.rules.tables import Tables
from detectors.rules.texts import COMBINATIONS, filled, indicators_for, written
from detectors.rules.values import DASHES, Wild, parse

__all__ = [
    "COMPARISONS",
    "FLAGS",
    "TIME_PARTS",
    "read_comparisons",
    "read_existence",
    "read_expressions",
    "read_networks",
    "read_references",
    "read_times",
]

FLAGS: Final = {"i": "i", "m": "m", "s": "s", "ignorecase": "i", "multiline": "m", "dotall": "s"}
COMPARISONS: Final = frozenset({"lt", "lte", "gt", "gte"})
TIME_PARTS: Final = frozenset({"minute", "hour", "day", "week", "month", "year"})
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)


def _strings(values: list[Any], what: str) -> Iterator[str]:
    for value in values:
        if value is None or isinstance(value, bool):
            raise RuleError(f"{what} must be a text; write one")
        yield value if isinstance(value, str) else written(value)


def read_expressions(
    field: str | None, modifiers: list[str], values: list[Any], tables: Tables
) -> Iterator[Expression]:
    flags = "".join(sorted({FLAGS[one] for one in modifiers if one in FLAGS}))
    for text in _strings(values, "a regular expression"):
        for source in _sources(text, tables) if "expand" in modifiers else (text,):
            # The specification gives no meaning to these beside re; they hold the pattern to an end of the text.
            if "contains" not in modifiers and {"startswith", "endswith"} & set(modifiers):
                start, end = (r"\A" * ("startswith" in modifiers), r"\z" * ("endswith" in modifiers))
                yield Question(field, "re", (regex(f"{start}(?:{source}){end}", flags),), cased=True)
            else:
                yield Question(field, "re", (regex(source, flags),), cased=True)


def _sources(text: str, tables: Tables) -> Iterator[str]:
    """``text`` with each value of its placeholders, quoted; a wildcard in a value is one in the expression."""
    pieces = re.split(r"%([^%\\*?]+)%", text)
    found = [pieces[0]]
    for name, after in zip(pieces[1::2], pieces[2::2], strict=True):
        values = ["".join(_quoted(part) for part in parse(value)) for value in tables.values(name)]
        if len(found) * len(values) > COMBINATIONS:
            raise RuleError(f"its placeholders combine to more than {COMBINATIONS} expressions; use one list at a time")
        found = [one + value + after for one in found for value in values]
    return iter(found)


def _quoted(part: Any) -> str:
    if isinstance(part, Wild):
        return {Wild.MANY: ".*", Wild.ONE: ".", Wild.DASH: f"[{DASHES}]"}[part]
    return re.sub(r"([^\w\s])", r"\\\1", part, flags=re.ASCII)


def read_networks(field: str | None, modifiers: list[str], values: list[Any], tables: Tables) -> Iterator[Expression]:
    for value in _strings(values, "a network"):
        if "expand" in modifiers:
            parts = parse(value, expand=True)
            listed = indicators_for(parts, tables)
            if listed is not None:
                if listed.kind != "addresses":
                    raise RuleError(f"%{listed.name}% lists no addresses; name one that does")
                yield Question(field, "listed", (listed,))
                continue
            networks = ["".join(map(_literal, one)) for one in filled(parts, tables)]
        else:
            networks = [value]
        for network in networks:
            try:
                yield Question(field, "cidr", (str(ip_network(network)),), cased=True)
            except ValueError as error:
                raise RuleError(
                    f"Invalid CIDR expression: {str(error)[:100]}; write the network's first address"
                ) from error


def _literal(part: Any) -> str:
    if not isinstance(part, str):
        raise RuleError("a network has a wildcard; write it as address/bits")
    return part


def read_existence(field: str | None, modifiers: list[str], values: list[Any], tables: Tables) -> Iterator[Expression]:
    for value in values:
        wanted = {"true": True, "yes": True, "false": False, "no": False}.get(str(value).lower())
        if wanted is None or len(values) > 1:
            raise RuleError("exists is asked with one boolean; write true or false")
        yield Question(field, "exists", (wanted,))


def read_references(field: str | None, modifiers: list[str], values: list[Any], tables: Tables) -> Iterator[Expression]:
    both = "contains" in modifiers
    for value in _strings(values, "the name of a field"):
        parts = parse(value)
        if not parts or any(isinstance(part, Wild) for part in parts):
            raise RuleError("a reference to a field has a wildcard or no name; write the field's name")
        operand = (
            "".join(map(_literal, parts)),
            both or "startswith" in modifiers,
            both or "endswith" in modifiers,
        )
        yield Question(field, "fieldref", (operand,), "cased" in modifiers)


def _figure(value: Any) -> int | float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if not value.lstrip("+-").isdigit() else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RuleError("what it is compared with must be a number; write one")
    return value


def read_comparisons(
    field: str | None, modifiers: list[str], values: list[Any], tables: Tables
) -> Iterator[Expression]:
    name = next(one for one in modifiers if one in COMPARISONS).upper()
    for value in values:
        yield Question(field, "compare", ((name, _figure(value)),))


def read_times(field: str | None, modifiers: list[str], values: list[Any], tables: Tables) -> Iterator[Expression]:
    part = next(one for one in modifiers if one in TIME_PARTS).upper()
    name = next((one for one in modifiers if one in COMPARISONS), "eq").upper()
    for value in values:
        yield Question(field, "time", ((part, name, _figure(value)),))
