"""The extended condition of a temporal correlation: rules joined by ``and``, ``or``, ``not`` and brackets.

``not`` binds closest, then ``and``, then ``or``. A name is whatever its rule is referred to by: an id or a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from detectors.rules.problems import RuleError

__all__ = ["Condition", "read_condition"]

_LONGEST: Final = 2_000  #: characters
_DEEPEST: Final = 20  #: brackets and ``not`` around one another
_TOKEN: Final = re.compile(r"\(|\)|[^\s()]+")

#: Given the rules that are there as bits by :attr:`Condition.names`: does it hold?
Test = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    names: tuple[str, ...]  #: the rules it names, in order of appearance
    grows: bool  #: True without ``not``: one rule more never stops it from holding
    test: Test


def read_condition(text: str) -> Condition:
    """Raises RuleError on what is no condition."""
    if len(text) > _LONGEST:
        raise RuleError(f"condition is longer than {_LONGEST} characters; chain correlations instead")
    return _Parser(text).read()


class _Parser:
    def __init__(self, text: str) -> None:
        self._parts: Iterator[str] = iter(_TOKEN.findall(text))
        self._names: dict[str, int] = {}
        self._negated = False
        self._depth = 0
        self._next()

    def read(self) -> Condition:
        test = self._either()
        if self._part:
            raise RuleError(f"condition goes on with {self._part!r} where 'and', 'or' or its end belongs")
        return Condition(tuple(self._names), not self._negated, test)

    def _next(self) -> None:
        self._part = next(self._parts, "")
        self._word = self._part.lower()

    def _either(self) -> Test:
        parts = [self._both()]
        while self._word == "or":
            self._next()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda seen: any(part(seen) for part in parts)

    def _both(self) -> Test:
        parts = [self._one()]
        while self._word == "and":
            self._next()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda seen: all(part(seen) for part in parts)

    def _one(self) -> Test:
        token, word = self._part, self._word
        if word in ("", ")", "and", "or"):
            where = f"has {token!r} where" if token else "ends where"
            raise RuleError(f"condition {where} a rule's id or name belongs")
        self._next()
        if word not in ("not", "("):
            bit = 1 << self._names.setdefault(token, len(self._names))
            return lambda seen: bool(seen & bit)
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RuleError(f"condition is nested deeper than {_DEEPEST}; chain correlations instead")
        inner = self._one() if word == "not" else self._either()
        self._depth -= 1
        if word == "not":
            self._negated = True
            return lambda seen: not inner(seen)
        if self._part != ")":
            raise RuleError("a bracket of the condition is not closed")
        self._next()
        return inner
