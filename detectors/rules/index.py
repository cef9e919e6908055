"""Finds the few rules that an event could match, without trying the rest.

The rules of one log source lie in a tree by field name; each leaf maps texts to rules: exact texts through a
dict, substrings through a scan whose answer is remembered for each raw text. Which leaves to visit is
remembered for each set of keys an event has (its shape), so fields an event lacks cost nothing. What is
remembered is bounded: once full it is kept as it is, because clearing it would let a sender of ever new
values throw out the common ones.

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
_FEW: Final = 12  # probes up to which asking for each is cheaper than knowing the shape
_REMEMBERED_SHAPES: Final = 1024  # for each log source, record and fields apart

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


_Probes = tuple[tuple[str, _Node], ...]


class Index:
    """The rules of one log source."""

    def __init__(self, witnesses: Iterable[tuple[int, frozenset[Atom] | None]]) -> None:
        """``witnesses``: number of a rule, and its witness; None puts it on every event."""
        self._always: Rules = ()
        self._tree: dict[str, _Node] = {}
        self._flat: dict[str, _Node] = {}
        self._record_shapes: dict[tuple[str, ...], _Probes] = {}
        self._field_shapes: dict[tuple[str, ...], _Probes] = {}
        for rule, atoms in witnesses:
            if atoms is None:
                self._always += (rule,)
            for atom in atoms or ():
                self._node(atom.field).add(atom, rule)
        self._field_probes: _Probes = tuple(self._flat.items())
        dotted = tuple((name, node) for name, node in self._field_probes if "." in name)
        self._record_probes: _Probes = (*self._tree.items(), *dotted)
        self._probe = probe(self._record_probes) if len(self._record_probes) <= _FEW else None

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
        rules = self._by_shape(record) if self._probe is None else self._probe(record, self._always)
        if fields:
            for key, node in self._probes(fields, self._field_probes, self._field_shapes):
                value = fields.get(key, _MISSING)
                if value is not _MISSING:
                    rules += node.collect(value)
        return rules

    def _by_shape(self, record: Mapping[str, Any]) -> Rules:
        rules = self._always
        for key, node in self._probes(record, self._record_probes, self._record_shapes):
            value = record.get(key, _MISSING)
            if type(value) is str:
                hits = node.remembered.get(value)
                if hits is None:
                    hits = node.remember(value)
                if hits:
                    rules += hits
            elif value is not _MISSING:
                rules += node.collect(value)
        return rules

    def _probes(self, event: Mapping[str, Any], every: _Probes, shapes: dict[tuple[str, ...], _Probes]) -> _Probes:
        """The nodes worth asking, out of ``every``: all where they are few, else those the event has a key for."""
        if len(every) <= _FEW:
            return every
        shape = tuple(event)
        probes = shapes.get(shape)
        if probes is None:
            probes = tuple((key, node) for key, node in every if key in event)
            if len(shapes) < _REMEMBERED_SHAPES and len(shape) <= _REMEMBERED_LENGTH:
                shapes[shape] = probes
        return probes
