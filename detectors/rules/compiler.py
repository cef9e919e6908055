"""One Python function for each rule.

The condition becomes one boolean expression over calls; everything a rule's author wrote (names, literals,
patterns) reaches it through the function's globals and never as source text. A field that several leaves ask
about is read once, and only when the first of them is reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from detectors.rules import lookup
from detectors.rules.expression import And, Expression, Not, Question, questions
from detectors.rules.predicates import between, predicate, view

__all__ = ["Matcher", "compile_expression", "compiled_late"]

#: (the vendor's record, flat ECS fields, words of both for keywords) -> does the rule match?
Matcher = Callable[[Mapping[str, Any], Mapping[str, Any], lookup.Words], bool]

_Read = tuple[str, str]  # view and field name


def compile_expression(tree: Expression, name: str) -> Matcher:
    """Compile ``tree``; ``name`` shows in tracebacks."""
    return _Compiler(tree).function(name)


def compiled_late(tree: Expression, name: str) -> Matcher:
    """As :func:`compile_expression`, at the first event: most rules of a large set never see one."""
    made: Matcher | None = None

    def match(record: Mapping[str, Any], fields: Mapping[str, Any], words: lookup.Words) -> bool:
        nonlocal made
        if made is None:
            made = compile_expression(tree, name)
        return made(record, fields, words)

    return match


class _Compiler:
    def __init__(self, tree: Expression) -> None:
        self._scope: dict[str, Any] = {
            "leaves": lookup.leaves,
            "texts": lookup.texts,
            "folded": lookup.folded,
        }
        self._uses = Counter(read for test in questions(tree) for read in _reads(test))
        self._locals: dict[_Read, str] = {}
        self._body = self._expression(tree)

    def function(self, name: str) -> Matcher:
        start = "".join(f"    {local} = UNREAD\n" for local in self._locals.values())
        source = f"def match(record, fields, words):\n{start}    return {self._body}\n"
        self._scope["UNREAD"] = _UNREAD
        code = compile(source, f"<rule {name}>", "exec")
        exec(code, self._scope)  # noqa: S102 - the source is made of this module's own words and numbers only
        matcher: Matcher = self._scope["match"]
        return matcher

    def _constant(self, prefix: str, value: Any) -> str:
        name = f"{prefix}{len(self._scope)}"
        self._scope[name] = value
        return name

    def _expression(self, tree: Expression) -> str:
        if isinstance(tree, Question):
            return self._test(tree)
        if isinstance(tree, Not):
            return f"(not {self._expression(tree.part)})"
        word = " and " if isinstance(tree, And) else " or "
        return f"({word.join(map(self._expression, tree.parts))})"

    def _test(self, test: Question) -> str:
        if test.kind in ("fieldref", "filled"):
            return f"{self._constant('test', between(test))}({', '.join(map(self._read, _reads(test)))})"
        if _joinable(test):
            words = (f"{self._constant('word', word)} in words.joined()" for word in test.operands)
            return f"({' or '.join(words)})"
        call = self._constant("test", predicate(test))
        if test.field is None:
            return f"{call}(words.{view(test)}())"
        (read,) = _reads(test)
        return f"{call}({self._read(read)}{', words.time' if test.kind == 'listed' else ''})"

    def _read(self, read: _Read) -> str:
        what, field = read
        name = self._constant("name", field)
        path = self._constant("path", lookup.path_of(field))
        call = f"{what}(record, fields, {name}, {path})"
        if self._uses[read] == 1:
            return call
        local = self._locals.setdefault(read, f"field{len(self._locals)}")
        return f"({local} if {local} is not UNREAD else ({local} := {call}))"


_UNREAD = object()


def _joinable(test: Question) -> bool:
    """True for keywords that are found in all words joined exactly where they are found in one of them."""
    keyword = test.field is None and test.kind == "contains" and not test.cased
    return keyword and all(word and "\0" not in word for word in test.operands)


def _reads(test: Question) -> list[_Read]:
    return [(view(test), name) for name in test.names if name is not None]
