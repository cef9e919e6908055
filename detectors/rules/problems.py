"""What is wrong with a rule, said so that its author can mend it; a broken rule costs only itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Problem", "RuleError"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule, or a whole file, that was not loaded."""

    path: str
    line: int | None  #: 1-based line where the rule's document starts, or where YAML stopped making sense
    rule_id: str | None
    reason: str

    def __str__(self) -> str:
        where = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{where}: {self.reason}"


class RuleError(ValueError):
    """A rule asks for something this evaluator does not do. It is refused, since a guess would be silent."""
