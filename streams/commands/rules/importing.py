"""``rules import``: takes a user's download of rules, a folder or a zip, and says what will not run, and why.

A file that holds a rule which loads is copied byte for byte under its own name, so author, licence and references stay
as they are; files of licences come along. Nothing is overwritten unless told to.

Of an archive nothing is believed: a name that leads out of the folder, a link, a file or a whole that is too large ends
in a sentence, and what is unpacked is counted while it is read.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Final

from detectors.rules import Problem, Rule, load
from detectors.rules.documents import SIZE_LIMIT
from streams.commands.rules.fields import fitting
from streams.sources.known import Sources

__all__ = ["Imported", "NotImported", "as_json", "as_lines", "import_rules"]

#: Files that one download may hold, and bytes of them all; SigmaHQ's whole repository has a tenth of either.
FILES: Final = 50_000
BYTES: Final = 256 * 1024 * 1024
_RULES: Final = (".yml", ".yaml")
_LICENCE: Final = re.compile(r"(?:licen[cs]e|notice|copying)[\w.-]*", re.IGNORECASE)


class NotImported(ValueError):
    """The download is none, or not one to trust. Its message says why."""


@dataclass(slots=True)
class Imported:
    """What became of a download."""

    copied: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)  #: there already, byte for byte
    kept: list[str] = field(default_factory=list)  #: there already with other content, and left as they are
    left_out: list[str] = field(default_factory=list)  #: all their rules are of log sources that nothing here sends
    rules: list[Rule] = field(default_factory=list)  #: that load
    problems: list[Problem] = field(default_factory=list)
    unheard: Counter[str] = field(default_factory=Counter)  #: rules that load, by log source that nothing here sends


def import_rules(
    source: Path, target: Path, sources: Sources, *, replace: bool = False, only_fitting: bool = False
) -> Imported:
    """Copy what loads from ``source`` into ``target``. Raises NotImported, OSError."""
    if source.is_dir():
        return _import(source, target, sources, replace=replace, only_fitting=only_fitting)
    with TemporaryDirectory(prefix="wardwatch-rules-") as unpacked:
        _unpack(source, Path(unpacked))
        return _import(Path(unpacked), target, sources, replace=replace, only_fitting=only_fitting)


def as_lines(done: Imported, target: Path) -> Iterator[str]:
    """What became of it, in counts by reason."""
    yield f"{len(done.copied)} files copied to {target}, {len(done.same)} there already"
    if done.kept:
        yield f"{len(done.kept)} left as they are there, and differ from the download (--replace takes them):"
        yield from (f"  {name}" for name in done.kept)
    yield f"{len(done.rules)} rules load; nothing here sends the log source of {sum(done.unheard.values())}:"
    yield from (f"  {count:>5}  {name}" for name, count in done.unheard.most_common())
    if done.left_out:
        yield f"{len(done.left_out)} files left out, since nothing here sends their log source"
    if done.problems:
        yield f"{len(done.problems)} will not run:"
        yield from (f"  {count:>5}  {reason}" for reason, count in _reasons(done).most_common())


def as_json(done: Imported, target: Path) -> dict[str, Any]:
    """The same as one document, with each problem."""
    return {
        "target": str(target),
        "copied": done.copied,
        "already_there": done.same,
        "differ": done.kept,
        "left_out": done.left_out,
        "rules": len(done.rules),
        "no_source_sends": dict(done.unheard.most_common()),
        "will_not_run": dict(_reasons(done).most_common()),
        "problems": [
            {"path": one.path, "line": one.line, "rule_id": one.rule_id, "reason": one.reason} for one in done.problems
        ],
        "authors": sorted({rule.author for rule in done.rules if rule.author}),
    }


def _import(folder: Path, target: Path, sources: Sources, *, replace: bool, only_fitting: bool) -> Imported:
    done = Imported()
    names = _names(folder)
    loaded = load(folder / name for name in names if name.suffix in _RULES)
    by_file: dict[str, list[Rule]] = {}
    for rule in loaded.rules:
        by_file.setdefault(rule.path, []).append(rule)
    done.problems = [_named(problem, folder) for problem in loaded.problems]
    for name in names:
        if name.suffix not in _RULES:
            _copy(folder, name, target, done, replace=replace)
            continue
        rules = by_file.get(str(folder / name), [])
        heard = [rule for rule in rules if fitting(rule, sources)]
        if not rules:
            continue
        if only_fitting and not heard:
            done.left_out.append(str(name))
            continue
        done.rules += rules
        done.unheard.update(_log_source(rule) for rule in rules if rule not in heard)
        _copy(folder, name, target, done, replace=replace)
    return done


def _names(folder: Path) -> list[Path]:
    """Rules' and licences' files below ``folder``, links and hidden folders left out. Raises NotImported."""
    found: list[Path] = []
    size = 0
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(at, name)
            if (path.suffix in _RULES or _LICENCE.fullmatch(name)) and path.is_file() and not path.is_symlink():
                found.append(path.relative_to(folder))
                size += path.stat().st_size
        if len(found) > FILES or size > BYTES:
            raise NotImported(
                f"{folder} holds more than {FILES:,} files or {BYTES >> 20} MiB of rules: name a part of it"
            )
    return found


def _copy(folder: Path, name: Path, target: Path, done: Imported, *, replace: bool) -> None:
    content = (folder / name).read_bytes()
    if len(content) > SIZE_LIMIT:
        return
    place = target / name
    if place.is_symlink() or (place.exists() and not place.is_file()):
        done.kept.append(str(name))
        return
    if place.exists():
        if place.read_bytes() == content:
            done.same.append(str(name))
            return
        if not replace:
            done.kept.append(str(name))
            return
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.partial")
    partial.write_bytes(content)
    partial.replace(place)
    done.copied.append(str(name))


def _unpack(archive: Path, folder: Path) -> None:
    """The rules and licences of a zip, below ``folder``. Raises NotImported."""
    try:
        with zipfile.ZipFile(archive) as opened:
            _extract(opened, archive, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as exc:
        raise NotImported(f"{archive} is no zip that can be read ({exc}): download it again") from exc


def _extract(opened: zipfile.ZipFile, archive: Path, folder: Path) -> None:
    members = [member for member in opened.infolist() if not member.is_dir()]
    if len(members) > FILES:
        raise NotImported(f"{archive} holds {len(members):,} files, where {FILES:,} are taken: unpack and name a part")
    left = BYTES
    for member in members:
        name = _safe(member, archive)
        if name.suffix not in _RULES and not _LICENCE.fullmatch(name.name):
            continue
        with opened.open(member) as packed:
            content = packed.read(min(SIZE_LIMIT, left) + 1)
        left -= len(content)
        if left < 0:
            raise NotImported(f"{archive} unpacks to more than {BYTES >> 20} MiB of rules: name a part of it")
        place = folder / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                file.write(content)
        except (FileExistsError, NotADirectoryError) as exc:
            raise NotImported(f"{archive} holds {member.filename} twice: do not trust it") from exc


def _safe(member: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """The member's path below any folder. Raises NotImported where it leads out, or is a link."""
    name = PurePosixPath(member.filename)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise NotImported(f"{archive} holds a link, {member.filename}: unpack it yourself and name the folder")
    if name.is_absolute() or not name.parts or ".." in name.parts or any(c in member.filename for c in "\\:\0"):
        raise NotImported(f"{archive} holds a name that leads out of it, {member.filename}: do not trust it")
    return name


def _named(problem: Problem, folder: Path) -> Problem:
    path = Path(problem.path)
    inside = str(path.relative_to(folder)) if path.is_relative_to(folder) else problem.path
    return Problem(inside, problem.line, problem.rule_id, problem.reason.replace(f"{folder}{os.sep}", ""))


def _reasons(done: Imported) -> Counter[str]:
    """By reason, without what differs from one file to the next: names before a colon, ids, other files."""
    found: Counter[str] = Counter()
    for problem in done.problems:
        reason = re.sub(r"^\S+: ", "", problem.reason)
        found[re.sub(r"\S*/\S+|'[^']*'|\d+", "...", reason)] += 1
    return found


def _log_source(rule: Rule) -> str:
    parts = {"product": rule.product, "service": rule.service, "category": rule.category}
    return ", ".join(f"{part}: {value}" for part, value in parts.items() if value) or "any"
