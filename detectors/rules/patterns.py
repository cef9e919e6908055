"""Turns Sigma's wildcards and regular expressions into tests that end in bounded time, whatever an event holds.

Wildcards become plain string operations where they can, else one regular expression that never reconsiders an
earlier gap. Regular expressions run on RE2, whose time is linear in the text; what it lacks (lookaround,
backreferences) the Sigma specification does not offer either. Case is folded with :meth:`str.casefold`, which works
character by character: ``a in b`` therefore implies ``fold(a) in fold(b)``, on which the witness index relies.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Literal

import re2  # type: ignore[import-untyped]
from sigma.types import SigmaString, SpecialChars

from detectors.rules.problems import RuleError

__all__ = ["Engine", "Regex", "Shape", "like", "longest_literal", "regex", "shape"]

Shape = Literal["equals", "contains", "startswith", "endswith", "any", "like"]

_PATTERN_LIMIT: Final = 2_000
_MULTI, _SINGLE = SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE

# The parser behind re. Its public name before 3.11, sre_parse, warns of its own removal.
_parser: Any = import_module("re._parser")
_constants: Any = import_module("re._constants")

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False


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


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression in RE2's syntax, flags included in ``source``."""

    source: str
    literal: str  #: folded text that every match contains; empty where none is certain

    def compile(self) -> Callable[[str], Any]:
        """Its search."""
        search: Callable[[str], Any] = _compile(self.source).search
        return search


def regex(source: str, flags: str) -> Regex:
    """``source`` with ``flags`` (of "ims"). Raises RuleError where RE2 cannot run it."""
    made = Regex(f"(?{flags}:{source})" if flags else source, _required(source, flags))
    _compile(made.source)
    return made


class Engine:
    """What pySigma checks regular expressions with: the same RE2, saying what to mend and nothing on stderr."""

    error = RuleError

    def compile(self, pattern: str, flags: int = 0) -> Any:
        """As pySigma calls it; flags change nothing about what is valid."""
        return _compile(pattern)


def _compile(source: str) -> Any:
    if len(source) > _PATTERN_LIMIT:
        raise RuleError(f"longer than {_PATTERN_LIMIT} characters; split it")
    try:
        return re2.compile(source, _OPTIONS)
    except re2.error as error:
        (reason,) = error.args
        raise RuleError(f"{reason.decode()}; RE2 has no lookaround, backreferences or huge counts") from error


def _required(source: str, flags: str) -> str:
    """The longest literal that each match of ``source`` must hold, as Python's own parser sees it."""
    if "[:" in source:  # a named class to RE2, a set of letters to Python
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of sets it may read otherwise one day
            tree = _parser.parse(source)
    except (re.error, OverflowError, RecursionError):
        return ""
    runs = [""]
    _literals(tree, "i" in flags or bool(tree.state.flags & re.IGNORECASE), runs)
    return max((run.casefold() for run in runs), key=len)


def _literals(tree: Any, loose: bool, runs: list[str]) -> None:
    for operator, argument in tree:
        if operator is _constants.LITERAL:
            character = chr(argument)
            # What equals a letter beyond ASCII is up to the version of Unicode, and RE2 has its own.
            if loose and not character.isascii():
                runs.append("")
            else:
                runs[-1] += character
        elif operator is _constants.SUBPATTERN and not argument[1] and not argument[2]:
            _literals(argument[3], loose, runs)
        elif operator is _constants.AT:
            continue
        else:
            runs.append("")
