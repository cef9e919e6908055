"""What must be in an event for a rule to match: the rule's witnesses, by which events find candidate rules.

A set of atoms is a witness of a rule when every event that matches the rule satisfies at least one of them.
Negations, ``null`` and keywords give none; a rule without a witness is tried on every event of its log
source. Among several possible sets the one expected to be rarest in events is taken.

How rare is read off the rules themselves. A value that many rules name (a service) is more common than one that a
single rule names (an operation); a field under which rules name many values divides events finely; flags and
codes of one or two characters are in every event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from detectors.rules.expression import And, Expression, Or, Question, questions

__all__ = ["Atom", "Rarity", "witness"]


@dataclass(frozen=True, slots=True)
class Atom:
    """One thing to look for under one field name, in folded text."""

    field: str
    kind: Literal["equals", "contains", "present"]
    literal: str = ""


class Rarity:
    """What a set of rules tells of how common their values are in events."""

    def __init__(self, trees: Iterable[Expression]) -> None:
        self._rules = Counter(
            atom for tree in trees for atom in {atom for test in questions(tree) for atom in _atoms(test) or ()}
        )
        self._values = Counter(atom.field for atom in self._rules)

    def cost(self, atom: Atom) -> float:
        """Grows with the share of events expected to satisfy ``atom``; only its order means anything."""
        if atom.kind == "present":
            return 1000.0
        cost = self._rules[atom] / self._values[atom.field]
        if atom.kind == "contains":
            return cost + 1.0 + 20.0 / len(atom.literal)
        if atom.literal in _FLAGS or (len(atom.literal) < 3 and atom.literal.isdigit()):
            return cost + 100.0
        return cost + (50.0 if len(atom.literal) < 3 else 0.0)


def witness(tree: Expression, rarity: Rarity) -> frozenset[Atom] | None:
    """The witness of ``tree`` expected to be rarest, or None where it has none."""
    found = _search(tree, rarity)
    return found and found[1]


_Found = tuple[float, frozenset[Atom]]


def _search(tree: Expression, rarity: Rarity) -> _Found | None:
    if isinstance(tree, Question):
        atoms = _atoms(tree)
        return None if atoms is None else (_union(map(rarity.cost, atoms)), atoms)
    if isinstance(tree, And):
        possible = [found for part in tree.parts if (found := _search(part, rarity))]
        return min(possible, key=lambda found: found[0], default=None)
    if isinstance(tree, Or):
        every = [found for part in tree.parts if (found := _search(part, rarity))]
        if len(every) < len(tree.parts):
            return None
        return _union(cost for cost, _ in every), frozenset().union(*(atoms for _, atoms in every))
    return None


def _union(costs: Iterable[float]) -> float:
    """Of alternatives the most common one counts, and each other a little: lists of operations are still rare."""
    ordered = sorted(costs)
    return ordered[-1] + 0.1 * sum(ordered[:-1])


_FLAGS = frozenset({"true", "false", "yes", "no", "success", "failure", "1.0", "0.0"})


def _atoms(test: Question) -> frozenset[Atom] | None:
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
