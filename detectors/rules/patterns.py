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

from detectors.rules.problems import RuleError
from detectors.rules.values import DASHES, Part, Parts, Wild

__all__ = ["Regex", "Shape", "checked", "like", "longest_literal", "regex", "shape"]

Shape = Literal["equals", "contains", "startswith", "endswith", "any", "like"]

_PATTERN_LIMIT: Final = 2_000
_WILD_LIMIT: Final = 1_000  # wildcards and runs of text of one value

# The parser behind re. Its public name before 3.11, sre_parse, warns of its own removal.
_parser: Any = import_module("re._parser")
_constants: Any = import_module("re._constants")

_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False


def _merged(value: Parts) -> Parts:
    """``value`` with several ``*`` in a row as one."""
    made: list[Part] = []
    for part in value:
        if part is not Wild.MANY or not made or made[-1] is not Wild.MANY:
            made.append(part)
    return tuple(made)


def shape(value: Parts) -> tuple[Shape, str]:
    """The cheapest operation that decides ``value``, and its literal (not folded; empty for ``like``)."""
    if not value:
        return "equals", ""
    if len(value) == 1 and isinstance(value[0], str):
        return "equals", value[0]
    parts = _merged(value)
    if parts == (Wild.MANY,):
        return "any", ""
    literals = [part for part in parts if isinstance(part, str)]
    if len(literals) == 1 and len(parts) - 1 == parts.count(Wild.MANY):
        literal = literals[0]
        if len(parts) == 3:
            return "contains", literal
        return ("startswith", literal) if parts[1] is Wild.MANY else ("endswith", literal)
    return "like", ""


def longest_literal(value: Parts) -> str:
    """The longest run of plain characters in ``value``; empty where it has none."""
    return max((part for part in value if isinstance(part, str)), key=len, default="")


def like(value: Parts, *, fold: bool) -> str:
    """Source of a pattern whose ``match`` with DOTALL decides a value with wildcards; linear in the text for each gap.

    Each piece between two ``*`` is taken at its first place and never reconsidered (an atomic group): an
    earlier place leaves more text for what follows, so nothing is lost by it. Raises RuleError.
    """
    if len(value) > _WILD_LIMIT:
        raise RuleError(f"a value has more than {_WILD_LIMIT} wildcards; split it")
    pieces = [""]
    for part in _merged(value):
        if part is Wild.MANY:
            pieces.append("")
        elif part is Wild.ONE:
            pieces[-1] += "."
        elif part is Wild.DASH:
            pieces[-1] += f"[{DASHES}]"
        elif isinstance(part, str):
            pieces[-1] += re.escape(part.casefold() if fold else part)
    if len(pieces) == 1:
        source = pieces[0]
    else:
        first, *middle, last = pieces
        source = first + "".join(f"(?>.*?{piece})" for piece in middle) + ".*" + last
    return source + r"\Z"


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression in RE2's syntax, flags included in ``source``."""

    source: str
    literal: str  #: folded text that every match contains; empty where none is certain

    def compile(self) -> Callable[[str], Any]:
        """Its search."""
        search: Callable[[str], Any] = checked(self.source).search
        return search


def regex(source: str, flags: str) -> Regex:
    """``source`` with ``flags`` (of "ims"). Raises RuleError where RE2 cannot run it."""
    whole = f"(?{flags}:{source})" if flags else source
    checked(whole)  # before Python's parser, whose time grows with a text that RE2 would not take
    return Regex(whole, _required(source, flags))


def checked(source: str) -> Any:
    """``source`` compiled by RE2. Raises RuleError, which says what to mend."""
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
