"""Loads Sigma rules from files, and the starter pack that ships with the product.

A rule that is broken, or asks for what this evaluator does not do, becomes a :class:`Problem` that names
file, line and reason, and costs only itself. Correlations are read here and linked by :class:`RuleSet`; filters are
joined to the rules that they reach once all are read (:mod:`detectors.rules.filters`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.rules.actions import acted
from detectors.rules.cache import Cache, Found
from detectors.rules.correlation import Correlation, read_correlation
from detectors.rules.documents import SIZE_LIMIT, DocumentError, documents
from detectors.rules.filters import Filter, filtered, read_filter
from detectors.rules.problems import Problem, RuleError
from detectors.rules.rule import Rule, read_rule
from detectors.rules.ruleset import RuleSet
from detectors.rules.tables import Tables, load_tables

if TYPE_CHECKING:
    from detectors.rules.pipelines import Pipelines

__all__ = ["load", "starter_rules"]

_SUFFIXES = (".yml", ".yaml")


def load(
    paths: Iterable[Path],
    *,
    beside_starter: bool = False,
    published: Mapping[str, str] | None = None,
    lists: Iterable[Path] = (),
    pipelines: Iterable[Path] = (),
    cache: Path | None = None,
) -> RuleSet:
    """Load every rule in ``paths``: files, or folders searched for ``*.yml`` and ``*.yaml``. Never raises.

    ``beside_starter``: with the starter pack before them. ``published``: texts of files by name; a rule in one takes
    the place of any other of its id. ``lists``: folders of what placeholders stand for, see
    :mod:`detectors.rules.tables`. ``pipelines``: files of processing pipelines; the starter pack needs none and goes
    through none. ``cache``: a file that keeps what was read for the next time, see :mod:`detectors.rules.cache`.
    """
    tables, problems = load_tables(lists)
    piped: Pipelines | None = None
    if files_of_pipelines := list(pipelines):
        from detectors.rules.pipelines import load_pipelines  # noqa: PLC0415 - pySigma takes a while to import

        piped, more = load_pipelines(files_of_pipelines)
        problems += more
    starter = _starter() if beside_starter else iter(())
    kept = Cache(cache, tables) if cache else None
    texts = ((name, text.encode("utf-8", "surrogatepass")) for name, text in sorted((published or {}).items()))
    rules = _load([(texts, piped), (starter, None), (_files(paths), piped)], tables, problems, kept)
    if kept:
        kept.save()
    return rules


def starter_rules() -> RuleSet:
    """The rules and correlations that ship with the product, alone; ``docs/rules-packs.md`` lists them."""
    return _load([(_starter(), None)], Tables(), [])


_File = tuple[str, bytes | Problem]


def _starter() -> Iterator[_File]:
    return _packaged(files("detectors.rules") / "packs", "packs")


def _load(
    sources: Iterable[tuple[Iterable[_File], Pipelines | None]],
    tables: Tables,
    problems: list[Problem],
    cache: Cache | None = None,
) -> RuleSet:
    """``sources``: what was published first, whose rules take the place of others."""
    rules: dict[str, Rule | Correlation] = {}
    replaced: frozenset[str] = frozenset()
    filters: list[Filter] = []
    for number, (group, pipelines) in enumerate(sources):
        if number == 1:
            replaced = frozenset(rules)
        for path, content in group:
            if isinstance(content, Problem):
                problems.append(content)
                continue
            read = partial(_read, path, content, tables, pipelines)
            made_by = pipelines.digest if pipelines else ""
            for found in cache.get(content, path, read, made_by) if cache else read():
                if isinstance(found, Problem):
                    problems.append(found)
                elif isinstance(found, Filter):
                    filters.append(found)
                elif found.id in replaced:
                    continue
                elif found.id in rules:
                    first = rules[found.id].path
                    reason = f"id is taken by {first}; give this rule its own"
                    problems.append(Problem(path, found.line, found.id, reason))
                else:
                    rules[found.id] = found
    correlations = [one for one in rules.values() if isinstance(one, Correlation)]
    made, unmet = filtered([one for one in rules.values() if isinstance(one, Rule)], filters)
    return RuleSet(made, problems + unmet, correlations)


def _read(path: str, content: bytes, tables: Tables, pipelines: Pipelines | None) -> list[Found]:
    made: list[Found] = []
    for document in acted(documents(content)):
        if isinstance(document, DocumentError):
            made.append(Problem(path, document.line, None, document.reason))
        elif document[1] is not None:  # an empty document, as after a closing "---"
            made.append(_document(path, *document, tables, pipelines))
    return made


def _document(path: str, line: int, document: Any, tables: Tables, pipelines: Pipelines | None) -> Found:
    if not isinstance(document, Mapping):
        return Problem(path, line, None, "document is no map; a rule starts with 'title:'")
    rule_id = document.get("id")
    named = rule_id if isinstance(rule_id, str) else None
    try:
        if "correlation" in document:
            return read_correlation(document, path, line)
        if "filter" in document:
            return read_filter(document, path, line, tables=tables)
        return read_rule(document, path, line, tables=tables, pipelines=pipelines)
    except RuleError as error:
        return Problem(path, line, named, str(error))
    except Exception as error:  # arbitrary YAML arrives here; what it trips over must cost one rule
        return Problem(path, line, named, f"rule cannot be read ({type(error).__name__}: {str(error)[:300]})")


def _files(paths: Iterable[Path]) -> Iterator[_File]:
    for path in paths:
        for name in _inside(str(path)) if path.is_dir() else (str(path),):
            if isinstance(name, Problem):
                yield name.path, name
                continue
            try:
                with open(name, "rb") as stream:
                    yield name, stream.read(SIZE_LIMIT + 1)
            except OSError as error:
                yield name, Problem(name, None, None, f"file cannot be read: {error.strerror or error}")


def _inside(folder: str) -> Iterator[str | Problem]:
    """The rule files below ``folder`` in order of their names; folders that are links are left alone."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        yield Problem(folder, None, None, f"folder cannot be read: {error.strerror or error}")
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _inside(entry.path)
        elif entry.name.endswith(_SUFFIXES) and not entry.is_dir():
            yield entry.path


def _packaged(folder: Traversable, name: str) -> Iterator[_File]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        path = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _packaged(entry, path)
        elif entry.name.endswith(_SUFFIXES):
            yield path, entry.read_bytes()
