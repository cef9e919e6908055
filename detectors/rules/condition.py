"""The language of conditions: names of detections, 1 of, any of, all of, not, and, or, brackets.

Reads one condition in time linear in its length. Operators bind as the specification's table says, least first: or,
and, not, x of, brackets; they may be written in capitals. ``them`` and patterns leave out names with a leading
underscore, unless the pattern has one itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from detectors.rules.expression import Expression, all_of, any_of, negated
from detectors.rules.problems import RuleError

__all__ = ["DETECTION_LIMIT", "read_condition"]

#: Names that the conditions of one rule may bring up, those of a pattern counted one by one.
DETECTION_LIMIT: Final = 20_000
_DEPTH_LIMIT: Final = 50  # brackets in brackets; Python refuses a hundred in the function that is made of them
_LENGTH_LIMIT: Final = 200_000  # characters

_TOKEN: Final = re.compile(r"[()]|[^\s()]+")
_IDENTIFIER: Final = re.compile(r"[\w.-]+")
_PATTERN: Final = re.compile(r"[\w.*-]+")
_QUANTIFIERS: Final[dict[str, Callable[[Iterable[Expression]], Expression]]] = {
    "1": any_of,
    "any": any_of,
    "all": all_of,
}


def read_condition(condition: str, detections: Mapping[str, Expression | None]) -> Expression:
    """``condition`` over ``detections``; one that is None is passed over, as if not written. Raises RuleError."""
    if len(condition) > _LENGTH_LIMIT:
        raise RuleError(f"condition is longer than {_LENGTH_LIMIT} characters; write it with '1 of' and 'all of'")
    if "|" in condition:
        raise RuleError("condition has a pipe, which counts events as Sigma 1 did; write a correlation rule")
    tree = _Reader(_TOKEN.findall(condition), detections).whole()
    if tree is None:
        raise RuleError("nothing is left of the condition; let the pipeline drop less")
    return tree


class _Reader:
    def __init__(self, tokens: list[str], detections: Mapping[str, Expression | None]) -> None:
        self._tokens = tokens
        self._at = 0
        self._detections = detections
        self._left = DETECTION_LIMIT
        self._depth = 0
        self._patterns: dict[str, list[str]] = {}

    def whole(self) -> Expression | None:
        tree = self._or()
        if self._at < len(self._tokens):
            raise RuleError(f"condition goes on at {self._shown()} where 'and', 'or' or its end is expected")
        return tree

    def _word(self, word: str) -> bool:
        """Takes ``word`` where it is next."""
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == word:
            self._at += 1
            return True
        return False

    def _shown(self) -> str:
        return repr(self._tokens[self._at][:60]) if self._at < len(self._tokens) else "its end"

    def _or(self) -> Expression | None:
        parts = [self._and()]
        while self._word("or"):
            parts.append(self._and())
        return _joined(any_of, parts)

    def _and(self) -> Expression | None:
        parts = [self._not()]
        while self._word("and"):
            parts.append(self._not())
        return _joined(all_of, parts)

    def _not(self) -> Expression | None:
        flip = False
        while self._word("not"):
            flip = not flip
        tree = self._operand()
        return negated(tree) if flip and tree is not None else tree

    def _operand(self) -> Expression | None:
        if self._word("("):
            self._depth += 1
            if self._depth > _DEPTH_LIMIT:
                raise RuleError(f"condition has more than {_DEPTH_LIMIT} brackets in brackets; flatten it")
            tree = self._or()
            if not self._word(")"):
                raise RuleError(f"condition has {self._shown()} where ')' is expected")
            self._depth -= 1
            return tree
        token = self._tokens[self._at] if self._at < len(self._tokens) else ""
        if self._at + 1 < len(self._tokens) and self._tokens[self._at + 1].lower() == "of":
            return self._selector(token.lower())
        if not _IDENTIFIER.fullmatch(token) or token.lower() in ("and", "or"):
            raise RuleError(f"condition has {self._shown()} where the name of a detection is expected")
        self._at += 1
        return self._named([token])[0]

    def _selector(self, quantifier: str) -> Expression | None:
        join = _QUANTIFIERS.get(quantifier)
        if join is None:
            raise RuleError(f"condition says {quantifier[:60]!r} of; it is '1 of', 'any of' or 'all of'")
        self._at += 2
        pattern = self._tokens[self._at] if self._at < len(self._tokens) else ""
        if not _PATTERN.fullmatch(pattern):
            raise RuleError(f"condition has {self._shown()} where 'them' or a pattern of names is expected")
        self._at += 1
        names = self._patterns.get(pattern)
        if names is None:
            names = self._patterns[pattern] = list(_fitting(pattern, self._detections))
        if not names:
            raise RuleError(f"no detection fits {pattern[:60]!r} in the condition; name one that is there")
        return _joined(join, self._named(names))

    def _named(self, names: list[str]) -> list[Expression | None]:
        self._left -= len(names)
        if self._left < 0:
            raise RuleError(f"condition brings up more than {DETECTION_LIMIT} detections; ask for fewer")
        try:
            return [self._detections[name] for name in names]
        except KeyError as missing:
            raise RuleError(f"condition names {missing.args[0][:60]!r}, which is no detection of this rule") from None


def _joined(
    join: Callable[[Iterable[Expression]], Expression], parts: Iterable[Expression | None]
) -> Expression | None:
    there = [part for part in parts if part is not None]
    return join(there) if there else None


def _fitting(pattern: str, names: Iterable[str]) -> Iterator[str]:
    hidden = pattern.startswith("_")
    if pattern == "them":
        pattern = "*"
    first, *rest = pattern.split("*")
    for name in names:
        if (hidden or not name.startswith("_")) and _fits(name, first, rest):
            yield name


def _fits(name: str, first: str, rest: list[str]) -> bool:
    """``name`` is ``first`` and then, after any characters each, ``rest``."""
    if not rest:
        return name == first
    if not name.startswith(first):
        return False
    at = len(first)
    for piece in rest[:-1]:
        found = name.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(name) - at >= len(rest[-1]) and name.endswith(rest[-1])
