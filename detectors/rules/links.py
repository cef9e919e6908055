"""Where people read a rule: an address of the installation's own, in its repository or wiki."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from detectors.rules.correlation import Correlation
from detectors.rules.rule import Rule

__all__ = ["Links", "check_template"]

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_PARTS: Final = ("id", "path")


def check_template(template: str) -> str:
    """``template`` itself. Raises ValueError where it is no address, or names no part of a rule."""
    if template:
        if not template.startswith(("https://", "http://")) or any(c.isspace() for c in template):
            raise ValueError("it is no https:// or http:// address")
        named = _PLACE.findall(template)
        if not named or not set(named) <= set(_PARTS):
            raise ValueError("it names a rule by {path} or {id}, and by nothing else")
    return template


class Links:
    """Makes a rule's address from ``template``, in which ``{id}`` and ``{path}`` stand for the rule's.

    ``roots``: the folders that rules were loaded from. A path is relative to the one that holds it, and that of a
    rule of the starter pack begins with ``packs/``.
    """

    def __init__(self, template: str = "", roots: Iterable[str] = ()) -> None:
        self._template = check_template(template)
        self._roots = sorted(map(PurePath, roots), key=lambda root: -len(root.parts))

    def path(self, rule: Rule | Correlation) -> str:
        """Where the rule stands below its root; its file's name where it is loaded by that."""
        pure = PurePath(rule.path)
        for root in self._roots:
            if pure != root and pure.is_relative_to(root):
                return pure.relative_to(root).as_posix()
        return pure.name if pure.is_absolute() or ".." in pure.parts else pure.as_posix()

    def address(self, rule: Rule | Correlation) -> str:
        """Empty without a template."""
        parts = {"id": quote(rule.id, safe=""), "path": quote(self.path(rule))}
        return _PLACE.sub(lambda place: parts[place[1]], self._template)
