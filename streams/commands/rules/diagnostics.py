"""What ``rules check`` says of a rule: one line each, with a code that does not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["CODES", "Code", "Diagnostic"]

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding. Errors keep a rule from running; notes do not change the exit code."""

    level: Level
    summary: str


#: By what they begin with: 1 what cannot be read, 2 fields and log sources, 3 detections, 4 tags, 5 style.
CODES: Final[dict[str, Code]] = {
    "WR101": Code("error", "The file or the rule cannot be loaded"),
    "WR102": Code("error", "Not as the Sigma schema has it"),
    "WR103": Code("error", "The id is another rule's too"),
    "WR201": Code("warning", "A field that no source of this log source fills"),
    "WR202": Code("note", "A field of the vendor's that nothing here declares"),
    "WR203": Code("warning", "A log source that no source here sends"),
    "WR301": Code("warning", "Nothing singles events out, so the rule is tried on every event of its log source"),
    "WR302": Code("warning", "A detection that holds for whatever has its fields"),
    "WR303": Code("warning", "The same detection stands under another id"),
    "WR401": Code("error", "A technique that is not in ATT&CK"),
    "WR402": Code("error", "A tactic that is not in ATT&CK"),
    "WR403": Code("warning", "A technique none of whose tactics is named"),
    "WR404": Code("warning", "A tag of no namespace of Sigma's, or not in its form"),
    "WR405": Code("note", "A tactic that no named technique serves"),
    "WR501": Code("warning", "The title is missing, long, or ends in a full stop"),
    "WR502": Code("warning", "The description is missing or says little"),
    "WR503": Code("warning", "The status is missing"),
    "WR504": Code("warning", "The date is missing, or lies after the one it was modified on"),
    "WR505": Code("warning", "The level is missing"),
    "WR506": Code("warning", "The id is missing or no random UUID (version 4)"),
    "WR507": Code("warning", "The file's name is not small letters, digits, _ and - with .yml"),
    "WR508": Code("note", "The author is missing"),
    "WR509": Code("note", "It does not say what else may fire it (falsepositives)"),
    "WR510": Code("note", "It has no events that it must and must not match"),
    "WR511": Code("note", "It does not say what to do about a match"),
}


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One thing that is wrong with one rule."""

    path: str
    line: int  #: 1-based
    code: str
    message: str  #: one sentence; of the rule's own words, and never of an event's
    rule_id: str = ""

    @property
    def level(self) -> Level:
        return CODES[self.code].level

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.code}: {self.message}"
