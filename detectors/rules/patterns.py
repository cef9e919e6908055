"""Turns Sigma's wildcards and regular expressions into tests that end in bounded time.

Wildcards become plain string operations where they can, else one regular expression that never backtracks
over an earlier gap. Regular expressions run on :mod:`re`, so those whose shape can take exponential time are
refused when the rule is loaded. Case is folded with :meth:`str.casefold`, which works character by character:
``a in b`` therefore implies ``fold(a) in fold(b)``, on which the witness index relies.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, Final, Literal

from sigma.types import SigmaString, SpecialChars

from detectors.rules.problems import RuleError

__all__ = ["SEARCHED", "Shape", "compile_regex", "like", "longest_literal", "regex_literal", "shape"]

Shape = Literal["equals", "contains", "startswith", "endswith", "any", "like"]

#: Characters of one value that a regular expression searches; the rest is not looked at. Even a harmless
#: pattern takes time that grows with the square of the length, and the sender chooses the length.
SEARCHED: Final = 16_384

_PATTERN_LIMIT: Final = 2_000
_MULTI, _SINGLE = SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE

# The parser behind re. Its public name before 3.11, sre_parse, warns of its own removal.
_parser: Any = import_module("re._parser")
_constants: Any = import_module("re._constants")
_FEW, _MANY = (
    3,
    20,
)  # rounds of a repeat: up to here a second one inside it, without and with a bound, is affordable
_REPEATS: Final = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)


def _parts(value: Any) -> list[Any]:
    parts: list[Any] = []
    for part in value.s:
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif isinstance(part, str) or part is _SINGLE:
            parts.append(part)
        elif part is _MULTI:
            if not parts or parts[-1] is not _MULTI:
                parts.append(part)
        else:
            raise RuleError("holds a placeholder; replace it by the values it stands for")
    return [part for part in parts if part != ""]


def shape(value: SigmaString) -> tuple[Shape, str]:
    """The cheapest operation that decides ``value``, and its literal (not folded; empty for ``like``)."""
    parts = _parts(value)
    if not parts:
        return "equals", ""
    literals = [part for part in parts if isinstance(part, str)]
    if len(parts) == len(literals):
        return "equals", literals[0]
    if parts == [_MULTI]:
        return "any", ""
    if len(literals) == 1 and _SINGLE not in parts:
        literal = literals[0]
        if len(parts) == 3:
            return "contains", literal
        return ("startswith", literal) if parts[1] is _MULTI else ("endswith", literal)
    return "like", ""


def longest_literal(value: SigmaString) -> str:
    """The longest run of plain characters in ``value``; empty where it has none."""
    return max((part for part in _parts(value) if isinstance(part, str)), key=len, default="")


def like(value: SigmaString, *, fold: bool) -> re.Pattern[str]:
    """Pattern whose ``match`` decides a value with wildcards; linear in the text for each gap.

    Each piece between two ``*`` is taken at its first place and never reconsidered (an atomic group): an
    earlier place leaves more text for what follows, so nothing is lost by it.
    """
    pieces = [""]
    for part in _parts(value):
        if part is _MULTI:
            pieces.append("")
        elif part is _SINGLE:
            pieces[-1] += "."
        else:
            pieces[-1] += re.escape(part.casefold() if fold else part)
    if len(pieces) == 1:
        source = pieces[0]
    else:
        first, *middle, last = pieces
        source = first + "".join(f"(?>.*?{piece})" for piece in middle) + ".*" + last
    return re.compile(source + r"\Z", re.DOTALL)


def compile_regex(source: str, flags: re.RegexFlag) -> re.Pattern[str]:
    """``source`` for :meth:`re.Pattern.search`. Raises RuleError where it could take exponential time."""
    if len(source) > _PATTERN_LIMIT:
        raise RuleError(f"regular expression is longer than {_PATTERN_LIMIT} characters; split it")
    # A search that starts with ".*" finds nothing that it would not find without, in the square of the time.
    while "|" not in source and source.startswith(".*") and source[2:3] not in ("", "?", "+", "*", "{"):
        source = source[2:]
    try:
        tree = _parser.parse(source, flags)
        pattern = re.compile(source, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise RuleError(f"regular expression is invalid: {error}") from error
    if _explodes(tree, inside=0):
        raise RuleError(
            "regular expression repeats what repeats already, or overlapping alternatives, which can take"
            " exponential time; write it without a quantifier inside a quantified group"
        )
    return pattern


def _children(operator: Any, argument: Any) -> Iterable[Any]:
    if operator is _constants.BRANCH:
        return tuple(argument[1])
    if operator is _constants.SUBPATTERN:
        return (argument[3],)
    if operator in (_constants.ASSERT, _constants.ASSERT_NOT):
        return (argument[1],)
    if operator is _constants.GROUPREF_EXISTS:
        return tuple(part for part in argument[1:] if part is not None)
    if operator is _constants.ATOMIC_GROUP:
        return (argument,)
    if operator in (*_REPEATS, _constants.POSSESSIVE_REPEAT):
        return (argument[2],)
    return ()


def _explodes(tree: Any, inside: int) -> bool:
    """True where a repeat holds what can be cut in two ways; ``inside``: most rounds around ``tree``."""
    for operator, argument in tree:
        rounds = inside
        if operator in _REPEATS:
            low, high, _ = argument
            unbounded = high == _constants.MAXREPEAT
            if low != high and (inside > _MANY or (unbounded and inside > _FEW)):
                return True
            rounds = max(inside, high if high > 1 else 0)
        elif operator is _constants.BRANCH and inside > _MANY and _overlap(argument[1]):
            return True
        if any(_explodes(child, rounds) for child in _children(operator, argument)):
            return True
    return False


def _overlap(branches: Sequence[Any]) -> bool:
    """True unless each branch starts with a literal of its own."""
    starts = []
    for branch in branches:
        if not len(branch) or branch[0][0] is not _constants.LITERAL:
            return True
        starts.append(chr(branch[0][1]).casefold())
    return len(set(starts)) < len(starts)


def regex_literal(pattern: re.Pattern[str]) -> str:
    """Folded text that every match of ``pattern`` contains; empty where none is certain."""
    runs: list[str] = [""]
    _literals(_parser.parse(pattern.pattern, pattern.flags), bool(pattern.flags & re.IGNORECASE), runs)
    return max((run.casefold() for run in runs), key=len)


def _literals(tree: Any, loose: bool, runs: list[str]) -> None:
    for operator, argument in tree:
        if operator is _constants.LITERAL:
            character = chr(argument)
            # Ignoring case, re takes two letters beyond ASCII for "i" that do not fold to it.
            if loose and (not character.isascii() or character in "iI"):
                runs.append("")
            else:
                runs[-1] += character
        elif operator is _constants.SUBPATTERN and not argument[1] and not argument[2]:
            _literals(argument[3], loose, runs)
        elif operator is _constants.AT:
            continue
        else:
            runs.append("")
