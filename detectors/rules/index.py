"""Finds the few rules that an event could match, without trying the rest.

The rules of one log source lie in a tree by field name; each leaf maps texts to rules: exact texts through a
dict, substrings through a scan whose answer is remembered for each raw text. Which leaves to visit is
remembered for each set of keys an event has (its shape), so fields an event lacks cost nothing. What is
remembered is bounded: once full it is kept as it is, because clearing it would let a sender of ever new
values throw out the common ones.

The answer is a superset: each candidate still has to be tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from detectors.rules.lookup import flatten, text
from detectors.rules.witness import Atom

__all__ = ["Index"]

_REMEMBERED_TEXTS: Final = 4096  # for each field
_REMEMBERED_LENGTH: Final = 128  # characters of a text worth remembering
_REMEMBERED_SHAPES: Final = 1024  # for each log source, record and fields apart

_MISSING: Final = object()

Rules = tuple[int, ...]


class _Node:
    """One step of a field name, and the rules that a value found there makes candidates."""

    __slots__ = ("_equals", "_present", "_substrings", "children", "remembered")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.remembered: dict[str, Rules] = {}
        self._equals: dict[str, Rules] = {}
        self._substrings: dict[str, Rules] = {}
        self._present: Rules = ()

    def add(self, atom: Atom, rule: int) -> None:
        if atom.kind == "present":
            self._present += (rule,)
        else:
            table = self._equals if atom.kind == "equals" else self._substrings
            table[atom.literal] = (*table.get(atom.literal, ()), rule)

    def remember(self, value: str) -> Rules:
        """The rules for a text not seen before."""
        rules = self._rules(value)
        if len(self.remembered) < _REMEMBERED_TEXTS and len(value) <= _REMEMBERED_LENGTH:
            self.remembered[value] = rules
        return rules

    def _rules(self, value: str) -> Rules:
        folded = value.casefold()
        rules = self._present + self._equals.get(folded, ())
        for literal, more in self._substrings.items():
            if literal in folded:
                rules += more
        return rules

    def collect(self, value: Any) -> Rules:
        """The rules for any value found at this node."""
        if isinstance(value, str):
            rules = self.remembered.get(value)
            return self.remember(value) if rules is None else rules
        if isinstance(value, list | tuple):
            rules = self._present
            for element in flatten(value):
                rules += self.collect(element)
            return rules
        if isinstance(value, dict):
            rules = self._present
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
            return rules
        # Booleans and numbers are never remembered: 1, 1.0 and True are one key of a dict.
        found = text(value)
        return self._present if found is None else self._rules(found)


class Index:
    """The rules of one log source."""

    def __init__(self, witnesses: Iterable[tuple[int, frozenset[Atom] | None]]) -> None:
        """``witnesses``: number of a rule, and its witness; None puts it on every event."""
        self._always: Rules = ()
        self._tree: dict[str, _Node] = {}
        self._flat: dict[str, _Node] = {}
        self._record_shapes: dict[tuple[str, ...], tuple[tuple[str, _Node], ...]] = {}
        self._field_shapes: dict[tuple[str, ...], tuple[tuple[str, _Node], ...]] = {}
        for rule, atoms in witnesses:
            if atoms is None:
                self._always += (rule,)
            for atom in atoms or ():
                self._node(atom.field).add(atom, rule)

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

    def candidates(self, record: Mapping[str, Any], fields: Mapping[str, Any]) -> Rules:
        """Numbers of the rules to try, in no order and with repeats."""
        rules = self._always
        if not self._flat:
            return rules
        shape = tuple(record)
        probes = self._record_shapes.get(shape)
        if probes is None:
            probes = self._learn(self._record_shapes, shape, self._tree)
        for key, node in probes:
            value = record[key]
            if type(value) is str:
                hits = node.remembered.get(value)
                if hits is None:
                    hits = node.remember(value)
            else:
                hits = node.collect(value)
            if hits:
                rules += hits
        if not fields:
            return rules
        shape = tuple(fields)
        probes = self._field_shapes.get(shape)
        if probes is None:
            probes = self._learn(self._field_shapes, shape, {})
        for key, node in probes:
            hits = node.collect(fields[key])
            if hits:
                rules += hits
        return rules

    def _learn(
        self,
        shapes: dict[tuple[str, ...], tuple[tuple[str, _Node], ...]],
        shape: tuple[str, ...],
        tree: dict[str, _Node],
    ) -> tuple[tuple[str, _Node], ...]:
        probes = tuple(
            (key, node)
            for key in shape
            for node in {id(n): n for n in (tree.get(key), self._flat.get(key)) if n is not None}.values()
        )
        if len(shapes) < _REMEMBERED_SHAPES and len(shape) <= _REMEMBERED_LENGTH:
            shapes[shape] = probes
        return probes
