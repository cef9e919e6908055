"""Finds the few rules that an event could match, without trying the rest.

The rules of one log source lie in a tree by field name; each leaf maps texts to rules: exact texts through a
dict, substrings through a scan whose answer is remembered for each raw text. What is remembered is bounded: once
full it is kept as it is, because clearing it would let a sender of ever new values throw out the common ones.

The answer is a superset: each candidate still has to be tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from detectors.rules.lookup import flatten, text
from detectors.rules.probe import probe
from detectors.rules.witness import Atom

__all__ = ["Index"]

_REMEMBERED_TEXTS: Final = 4096  # for each field
_REMEMBERED_LENGTH: Final = 128  # characters of a text worth remembering
_FEW: Final = 24  # first names up to which asking for each, in one function, is cheaper than intersecting

_MISSING: Final = object()

Rules = tuple[int, ...]


class _Node:
    """One step of a field name, and the rules that a value found there makes candidates."""

    __slots__ = ("children", "equals", "present", "remembered", "substrings")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.remembered: dict[str, Rules] = {}
        self.equals: dict[str, Rules] = {}
        self.substrings: dict[str, Rules] = {}
        self.present: Rules = ()

    @property
    def bare(self) -> bool:
        """True where no rule waits for a value at this very node."""
        return bool(self.children) and not (self.equals or self.substrings or self.present)

    def add(self, atom: Atom, rule: int) -> None:
        if atom.kind == "present":
            self.present += (rule,)
        else:
            table = self.equals if atom.kind == "equals" else self.substrings
            table[atom.literal] = (*table.get(atom.literal, ()), rule)

    def remember(self, value: str) -> Rules:
        """The rules for a text not seen before."""
        folded = value.casefold()
        rules = self.present + self.equals.get(folded, ())
        for literal, more in self.substrings.items():
            if literal in folded:
                rules += more
        if len(self.remembered) < _REMEMBERED_TEXTS and len(value) <= _REMEMBERED_LENGTH:
            self.remembered[value] = rules
        return rules

    def _rules(self, value: str) -> Rules:
        folded = value.casefold()
        rules = self.present + self.equals.get(folded, ())
        for literal, more in self.substrings.items():
            if literal in folded:
                rules += more
        return rules

    def collect(self, value: Any) -> Rules:  # noqa: PLR0912 - one branch for each type, and no calls to spare
        """The rules for any value found at this node."""
        kind = type(value)
        if kind is str:
            rules = self.remembered.get(value)
            return self.remember(value) if rules is None else rules
        rules = self.present
        if kind is dict:
            children = self.children
            if len(children) <= len(value):
                for key, child in children.items():
                    inner = value.get(key, _MISSING)
                    if inner is not _MISSING:
                        rules += child.collect(inner)
            else:
                for key, inner in value.items():
                    below = children.get(key)
                    if below is not None:
                        rules += below.collect(inner)
        elif kind is list or kind is tuple:
            for element in value:
                if type(element) is list or type(element) is tuple:
                    for inner in flatten(element):
                        rules += self.collect(inner)
                else:
                    rules += self.collect(element)
        else:
            # Booleans and numbers are never remembered: 1, 1.0 and True are one key of a dict.
            found = text(value)
            if found is not None:
                return self._rules(found)
        return rules


class Index:
    """The rules of one log source."""

    def __init__(self, witnesses: Iterable[tuple[int, frozenset[Atom] | None]]) -> None:
        """``witnesses``: number of a rule, and its witness; None puts it on every event."""
        self._always: Rules = ()
        self._tree: dict[str, _Node] = {}
        self._flat: dict[str, _Node] = {}
        for rule, atoms in witnesses:
            if atoms is None:
                self._always += (rule,)
            for atom in atoms or ():
                self._node(atom.field).add(atom, rule)
        # Sets that are intersected with an event's keys: what it has no key for costs nothing.
        self._names = frozenset(self._flat)
        self._firsts = frozenset(self._tree)
        self._dotted = frozenset(name for name in self._flat if "." in name)
        self._probe = probe(self._tree.items()) if len(self._tree) <= _FEW else None

    def _node(self, name: str) -> _Node:
        known = self._flat.get(name)
        if known is not None:
            return known
        node = _Node()
        node.children = self._tree
        for step in name.split("."):
            node = node.children.setdefault(step, _Node())
        self._flat[name] = node
        return node

    @property
    def always(self) -> Rules:
        """Rules that are candidates on every event."""
        return self._always

    def wanted(self) -> Iterator[tuple[str, _Node]]:
        """Each field name that a witness stands under, and what is asked of a value there."""
        yield from self._flat.items()

    def candidates(self, record: Mapping[str, Any], fields: Mapping[str, Any]) -> Rules:
        """Numbers of the rules to try, in no order and with repeats."""
        if self._probe is not None:
            rules = self._probe(record, self._always)
        else:
            rules = self._always
            for key in self._firsts.intersection(record):
                rules += self._tree[key].collect(record[key])
        if not self._dotted.isdisjoint(record):
            for key in self._dotted.intersection(record):
                rules += self._flat[key].collect(record[key])
        for key in self._names.intersection(fields):
            rules += self._flat[key].collect(fields[key])
        return rules
