"""MITRE ATT&CK for Enterprise, version 19: which techniques there are, and which tactics each serves.

``attack.json`` holds the ids alone, with MITRE's notice. Techniques that ATT&CK revoked or deprecated are not among
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Attack", "attack"]


@dataclass(frozen=True, slots=True)
class Attack:
    """The catalog."""

    version: str
    domain: str  #: as Navigator layers name it
    tactics: Mapping[str, str]  #: short name, as in ``initial-access``, to id, in the order of the matrix
    techniques: Mapping[str, tuple[str, ...]]  #: id, as in ``T1078.004``, to the short names of its tactics


@cache
def attack() -> Attack:
    """The catalog that is shipped, read once."""
    read = json.loads((files("detectors.rules") / "attack.json").read_text())
    techniques = {name: tuple(tactics) for name, tactics in read["techniques"].items()}
    return Attack(read["version"], read["domain"], read["tactics"], techniques)
