"""What must be in an event for a rule to match: the rule's witnesses, by which events find candidate rules.

A set of atoms is a witness of a rule when every event that matches the rule satisfies at least one of them.
Negations, ``null`` and keywords give none; a rule without a witness is tried on every event of its log
source. Among several possible sets the one expected to be rarest in events is taken. How rare a value is in
events is read off the rules themselves: what many rules name (a service) is common, what one rule names (an
operation) is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from detectors.rules.expression import And, Expression, Or, Test, tests

__all__ = ["Atom", "popularity", "witness"]


@dataclass(frozen=True, slots=True)
class Atom:
    """One thing to look for under one field name, in folded text."""

    field: str
    kind: Literal["equals", "contains", "present"]
    literal: str = ""


def popularity(trees: Iterable[Expression]) -> Counter[Atom]:
    """How many rules name each atom."""
    return Counter(atom for tree in trees for atom in {a for test in tests(tree) for a in _atoms(test) or ()})


def witness(tree: Expression, named: Counter[Atom]) -> frozenset[Atom] | None:
    """The witness of ``tree`` expected to be rarest, or None where it has none."""
    found = _search(tree, named)
    return found and found[1]


def _search(tree: Expression, named: Counter[Atom]) -> tuple[float, frozenset[Atom]] | None:
    if isinstance(tree, Test):
        atoms = _atoms(tree)
        return None if atoms is None else (sum(_cost(atom, named) for atom in atoms), atoms)
    if isinstance(tree, And):
        possible = [found for part in tree.parts if (found := _search(part, named))]
        return min(possible, key=lambda found: found[0], default=None)
    if isinstance(tree, Or):
        total, together = 0.0, frozenset[Atom]()
        for part in tree.parts:
            found = _search(part, named)
            if found is None:
                return None
            total += found[0]
            together |= found[1]
        return total, together
    return None


def _cost(atom: Atom, named: Counter[Atom]) -> float:
    if atom.kind == "present":
        return 1000.0
    common = named[atom] or 1
    if atom.kind == "equals":
        # Flags, levels and codes of one or two characters are in every event.
        return common + (100.0 if len(atom.literal) < 3 or atom.literal in _FLAGS else 0.0)
    return common + 5.0 + 100.0 / len(atom.literal)


_FLAGS = frozenset({"true", "false", "yes", "no", "success", "failure", "1.0", "0.0"})


def _atoms(test: Test) -> frozenset[Atom] | None:
    field = test.field
    if field is None or test.kind == "null" or (test.kind == "exists" and not test.operands[0]):
        return None
    present = frozenset({Atom(field, "present")})
    if test.kind == "equals":
        return frozenset(Atom(field, "equals", literal.casefold()) for literal in test.operands)
    literals: Iterable[str]
    if test.kind in ("contains", "startswith", "endswith"):
        literals = [literal.casefold() for literal in test.operands]
    elif test.kind == "like":
        literals = test.literals
    elif test.kind == "re":
        literals = [regex.literal for regex in test.operands]
    else:
        return present
    # An empty literal is in every text: then it is the field itself that must be there.
    return frozenset(Atom(field, "contains", literal) for literal in literals) if all(literals) else present
