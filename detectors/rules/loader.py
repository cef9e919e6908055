"""Loads Sigma rules from files, and the starter pack that ships with the product.

A rule that is broken, or asks for what this evaluator does not do, becomes a :class:`Problem` that names
file, line and reason, and costs only itself. Refused for now: correlation rules and filters (Sigma 2),
``action`` documents (Sigma 1), placeholders.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path
from typing import Any

from detectors.rules.documents import SIZE_LIMIT, DocumentError, documents
from detectors.rules.problems import Problem, RuleError
from detectors.rules.rule import Rule, read_rule
from detectors.rules.ruleset import RuleSet

__all__ = ["load", "starter_rules"]

_SUFFIXES = (".yml", ".yaml")
_REFUSED = {
    "correlation": "correlation rules are not evaluated yet; the rules they refer to still are",
    "filter": "filters are not evaluated yet: what this names matches unfiltered; put it into the rules",
    "action": "'action' belongs to Sigma 1; write each rule out in full",
}


def load(paths: Iterable[Path], *, beside_starter: bool = False, published: Mapping[str, str] | None = None) -> RuleSet:
    """Load every rule in ``paths``: files, or folders searched for ``*.yml`` and ``*.yaml``. Never raises.

    ``beside_starter``: with the starter pack before them. ``published``: texts of files by name; a rule in one takes
    the place of any other of its id.
    """
    first = _load((name, text.encode("utf-8", "surrogatepass")) for name, text in sorted((published or {}).items()))
    replaced = {rule.id: rule for rule in first.rules}
    others = _load(chain(_starter() if beside_starter else (), _files(paths)), replaced)
    return RuleSet([*first.rules, *others.rules], [*first.problems, *others.problems]) if published else others


def starter_rules() -> RuleSet:
    """The rules that ship with the product, for EHR access, medical devices and AWS CloudTrail."""
    return _load(_starter())


_File = tuple[str, bytes | Problem]


def _starter() -> Iterator[_File]:
    return _packaged(files("detectors.rules") / "packs", "packs")


def _load(sources: Iterable[_File], replaced: Container[str] = ()) -> RuleSet:
    rules: dict[str, Rule] = {}
    problems: list[Problem] = []
    for path, content in sources:
        if isinstance(content, Problem):
            problems.append(content)
            continue
        for found in _read(path, content):
            if isinstance(found, Problem):
                problems.append(found)
            elif found.id in replaced:
                continue
            elif found.id in rules:
                first = rules[found.id].path
                problems.append(Problem(path, found.line, found.id, f"id is taken by {first}; give this rule its own"))
            else:
                rules[found.id] = found
    return RuleSet(rules.values(), problems)


def _read(path: str, content: bytes) -> Iterator[Rule | Problem]:
    for document in documents(content):
        if isinstance(document, DocumentError):
            yield Problem(path, document.line, None, document.reason)
        elif document[1] is not None:  # an empty document, as after a closing "---"
            yield _rule(path, *document)


def _rule(path: str, line: int, document: Any) -> Rule | Problem:
    if not isinstance(document, Mapping):
        return Problem(path, line, None, "document is no map; a rule starts with 'title:'")
    rule_id = document.get("id")
    named = rule_id if isinstance(rule_id, str) else None
    for key, reason in _REFUSED.items():
        if key in document:
            return Problem(path, line, named, reason)
    try:
        return read_rule(document, path, line)
    except RuleError as error:
        return Problem(path, line, named, str(error))
    except Exception as error:  # pySigma meets arbitrary YAML here; what it trips over must cost one rule
        return Problem(path, line, named, f"rule cannot be read ({type(error).__name__}: {str(error)[:300]})")


def _files(paths: Iterable[Path]) -> Iterator[_File]:
    for path in paths:
        inside = sorted(found for found in path.rglob("*") if found.suffix in _SUFFIXES) if path.is_dir() else [path]
        for file in inside:
            name = str(file)
            try:
                with file.open("rb") as stream:
                    yield name, stream.read(SIZE_LIMIT + 1)
            except OSError as error:
                yield name, Problem(name, None, None, f"file cannot be read: {error.strerror or error}")


def _packaged(folder: Traversable, name: str) -> Iterator[_File]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _packaged(entry, path)
        elif entry.name.endswith(_SUFFIXES):
            yield path, entry.read_bytes()
