"""Rules' files as their authors see them: each document with the line of each of its keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from detectors.rules import Rule, RuleSet, load
from detectors.rules.documents import SIZE_LIMIT, DocumentError, documents

__all__ = ["Paper", "as_told", "found_rule", "paper_of", "papers", "starter_folder"]

Place = tuple[str | int, ...]


class Paper(NamedTuple):
    """One document of a rule's file."""

    path: str
    line: int  #: 1-based, where it starts
    document: Mapping[str, Any]
    lines: Mapping[Place, int]  #: where each key and each item of a list stands

    def at(self, *place: str | int) -> int:
        """The line of a part, or of the nearest part around it that there is."""
        while place:
            if place in self.lines:
                return self.lines[place]
            place = place[:-1]
        return self.line

    @property
    def id(self) -> str:
        return str(self.document.get("id") or "")


def papers(paths: Iterable[Path]) -> Iterator[Paper]:
    """Every document of ``paths``, files or folders, that is YAML and a map; the loader tells of the others."""
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix in (".yml", ".yaml")) if path.is_dir() else [path]
        for file in inside:
            try:
                content = file.read_bytes()
            except OSError:
                continue
            yield from _of(str(file), content)


def paper_of(rule: Rule) -> Paper | None:
    """The document that ``rule`` was read from; None where it is no longer there."""
    path = starter_folder() / rule.path.removeprefix("packs/") if rule.path.startswith("packs/") else Path(rule.path)
    return next((paper for paper in papers([path]) if paper.line == rule.line), None)


def starter_folder() -> Path:
    """Where the starter pack lies."""
    with as_file(files("detectors.rules") / "packs") as folder:
        return folder


def found_rule(named: str, active: RuleSet) -> tuple[list[Rule], str]:
    """The rules of a file, or the active one whose id or title is ``named``; without any, why there is none."""
    path = Path(named)
    if path.exists():
        loaded = load([path])
        return list(loaded.rules), "; ".join(map(str, loaded.problems)) or f"{named} holds no rule"
    if any(named in (plan.rule.id, plan.rule.title) for plan in active.correlations.plans):
        return (
            [],
            f"{named} is a correlation, and this is for rules of one event: rules test tries the courses inside it",
        )
    found = [rule for rule in active.rules if named in (rule.id, rule.title)]
    return found, f"{named} is no file, and neither id nor title of an active rule: rules list has them"


def as_told(path: str) -> str:
    """``path`` as people and their tools know it: relative to here where it lies below."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return path


def _of(path: str, content: bytes) -> Iterator[Paper]:
    if len(content) > SIZE_LIMIT:
        return
    read = list(documents(content))
    if not any(isinstance(one, tuple) for one in read):
        return
    lines = _lines(content, {one[0] for one in read if isinstance(one, tuple)})
    for one in read:
        if not isinstance(one, DocumentError) and isinstance(one[1], Mapping):
            line, document = one
            yield Paper(path, line, document, lines.get(line, {}))


def _lines(content: bytes, sound: Set[int]) -> dict[int, dict[Place, int]]:
    """By the line a document starts on, of those that are ``sound``: others may refer to themselves without end.

    What breaks the syntax further down ends it, as it ends the reading.
    """
    found: dict[int, dict[Place, int]] = {}
    loader = yaml.CSafeLoader(content.decode("utf-8-sig"))
    try:
        while loader.check_node():
            node: Any = loader.get_node()
            line = node.start_mark.line + 1
            if line in sound:
                _walk(node, (), found.setdefault(line, {}))
    except yaml.YAMLError:
        pass
    finally:
        loader.dispose()
    return found


def _walk(node: Any, place: Place, places: dict[Place, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            places[inner] = key.start_mark.line + 1
            _walk(value, inner, places)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            inner = (*place, number)
            places[inner] = value.start_mark.line + 1
            _walk(value, inner, places)
