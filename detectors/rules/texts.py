"""Questions about texts, numbers and booleans, with the modifiers that make one text of another."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from detectors.rules.expression import Expression, Question, any_of
from detectors.rules.indicators import Indicators
from detectors.rules.patterns import like, longest_literal, shape
from detectors.rules.problems import RuleError
from detectors.rules.tables import Tables
from detectors.rules.values import Parts, Placeholder, Wild, decoded, parse, plain, spelled, windash

__all__ = [
    "COMBINATIONS",
    "filled",
    "indicators_for",
    "keyword_question",
    "plain_question",
    "read_texts",
    "text_question",
    "written",
]

COMBINATIONS: Final = 10_000  #: of the placeholders of one value
_MANY: Final = Wild.MANY


def plain_question(field: str, value: Any) -> Question:
    if isinstance(value, str):
        return text_question(field, parse(value), cased=False)
    if value is None:
        return Question(field, "null")
    if isinstance(value, bool):
        return Question(field, "equals", ("true" if value else "false",))
    return Question(field, "equals", _spellings(value))


def keyword_question(value: Any) -> Question:
    if isinstance(value, str):
        return text_question(None, parse(value), cased=False)
    if value is None or isinstance(value, bool):
        raise RuleError("a keyword must be a string, a number or a regular expression; give the value a field name")
    _spellings(value)
    return Question(None, "contains", (written(value),))


def text_question(field: str | None, parts: Parts, *, cased: bool, tables: Tables | None = None) -> Question:
    """The cheapest question that decides a text with wildcards. Raises RuleError.

    A placeholder that is left among ``parts`` stands for the value of a field, which ``tables`` names.
    """
    if tables is not None and any(isinstance(part, Placeholder) for part in parts):
        return _filled_by_event(field, parts, cased, tables)
    dashes = parts.count(Wild.DASH)
    if dashes == 1:
        found = [text_question(field, one, cased=cased) for one in spelled(parts)]
        if found[0].kind != "like":
            return Question(field, found[0].kind, tuple(one.operands[0] for one in found), cased)
    kind, literal = shape(parts)
    literal = literal if cased else literal.casefold()
    if field is None and kind in ("equals", "startswith", "endswith"):
        kind = "contains"  # a keyword's own wildcards at its ends add nothing to looking anywhere
    if kind == "any":
        return Question(field, "any")
    if kind == "like":
        if field is None:
            parts = (_MANY, *parts, _MANY)
        return Question(field, "like", (like(parts, fold=not cased),), cased, (longest_literal(parts).casefold(),))
    return Question(field, kind, (literal,), cased)


def _filled_by_event(field: str | None, parts: Parts, cased: bool, tables: Tables) -> Question:
    starts, ends = parts[0] is _MANY, parts[-1] is _MANY
    pieces = [""]
    for part in parts[1 if starts else 0 : -1 if ends else None]:
        name = tables.field(part.name) if isinstance(part, Placeholder) else None
        if name is not None:
            pieces += [name, ""]
        elif isinstance(part, str):
            pieces[-1] += part if cased else part.casefold()
        else:
            raise RuleError("a value that the event fills has a wildcard inside; have it at the ends alone")
    if field is None:
        raise RuleError("a keyword cannot be filled from the event; give it a field name")
    return Question(field, "filled", ((starts, ends, *pieces),), cased)


def _spellings(number: Any) -> tuple[str, ...]:
    """Both spellings of a whole number, so that 1, 1.0, "1" and "1.0" are equal and "01" is not."""
    if not isinstance(number, int | float) or not math.isfinite(number):
        raise RuleError(f"a value is {written(number)[:40]}, which is no number, text, boolean or null")
    found = {written(number)}
    try:
        if float(number) == number:
            found.add(repr(float(number)).casefold())
    except OverflowError:
        pass
    return tuple(sorted(found))


def written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        value = int(value)
    return str(value)


def read_texts(field: str | None, modifiers: list[str], values: list[Any], tables: Tables) -> Iterator[Expression]:
    cased, expand = "cased" in modifiers, "expand" in modifiers
    steps = [_STEPS[one] for one in modifiers if one in _STEPS]
    for value in values:
        if value is None and field is not None and not steps:
            yield Question(field, "null")
            continue
        if isinstance(value, int | float) and field is not None and not steps:
            yield plain_question(field, value)
            continue
        if not isinstance(value, str | int | float) or (field is None and isinstance(value, bool)):
            raise RuleError("a value that is no text cannot be modified; write one")
        text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else written(value)
        parts = parse(text, expand=expand)
        if expand and (listed := indicators_for(parts, tables)) is not None:
            if set(modifiers) - {"expand", "all", "neq"} or field is None:
                raise RuleError(f"%{listed.name}% is looked up whole; it needs a field and no modifier but expand")
            yield Question(field, "listed", (listed,))
            continue
        found = list(filled(parts, tables)) if expand else [parts]
        for step in steps:
            found = [made for one in found for made in step(one)]
        yield any_of([text_question(field, decoded(one), cased=cased, tables=tables) for one in found])


def _contains(parts: Parts) -> Iterator[Parts]:
    yield (_MANY, *parts, _MANY)


def _startswith(parts: Parts) -> Iterator[Parts]:
    yield (*parts, _MANY)


def _endswith(parts: Parts) -> Iterator[Parts]:
    yield (_MANY, *parts)


def _utf16(codec: str, mark: bytes = b"") -> Callable[[Parts], Iterator[Parts]]:
    def encode(parts: Parts) -> Iterator[Parts]:
        for one in spelled(parts):
            texts = (part.encode(codec) if isinstance(part, str) else part for part in one)
            yield (mark, *texts) if mark else tuple(texts)

    return encode


def _base64(parts: Parts) -> Iterator[Parts]:
    for one in spelled(parts):
        yield (b64encode(_some(plain(one, "base64"))).decode(),)


def _base64offset(parts: Parts) -> Iterator[Parts]:
    """What of the encoding does not depend on what stands before and after, for each of three places."""
    for one in spelled(parts):
        data = _some(plain(one, "base64offset"))
        if len(data) == 1:
            raise RuleError("one byte leaves no certain trace in base64; look for more")
        for before in range(3):
            text = b64encode(b" " * before + data).decode()
            yield (text[(0, 2, 3)[before] : (None, -3, -2)[(len(data) + before) % 3]],)


def _some(data: bytes) -> bytes:
    if not data:
        raise RuleError("an empty text cannot be encoded; write one")
    return data


_STEPS: Final[dict[str, Callable[[Parts], Iterable[Parts]]]] = {
    "contains": _contains,
    "startswith": _startswith,
    "endswith": _endswith,
    "windash": lambda parts: (windash(parts),),
    "wide": _utf16("utf-16-le"),
    "utf16le": _utf16("utf-16-le"),
    "utf16be": _utf16("utf-16-be"),
    "utf16": _utf16("utf-16-le", b"\xff\xfe"),
    "base64": _base64,
    "base64offset": _base64offset,
}


def indicators_for(parts: Parts, tables: Tables) -> Indicators | None:
    """The list that ``parts`` is nothing but the name of."""
    if len(parts) == 1 and isinstance(parts[0], Placeholder):
        return tables.indicators(parts[0].name)
    return None


def filled(parts: Parts, tables: Tables) -> Iterator[Parts]:
    """``parts`` with each combination of the values of its placeholders."""
    combinations: list[Parts] = [()]
    for part in parts:
        choices: list[Parts] = [(part,)]
        if isinstance(part, Placeholder) and tables.field(part.name) is None:
            choices = [parse(value) for value in tables.values(part.name)]
        if len(combinations) * len(choices) > COMBINATIONS and len(combinations) > 1:
            raise RuleError(f"its placeholders combine to more than {COMBINATIONS} texts; use one list at a time")
        combinations = [(*one, *choice) for one in combinations for choice in choices]
    return iter(combinations)
