"""What placeholders stand for: lists of values and of indicators, read from a folder.

``NAME.txt`` (one value a line, ``#`` before a remark), ``NAME.csv`` (the column ``value``, else the first) and
``*.yml`` (names to values) give the values of ``%NAME%``; they may have Sigma's wildcards. In ``*.yml``,
``NAME: {field: user.name}`` has ``%NAME%`` stand for what the event has under that name.

What lies in the folder ``indicators`` is sorted by kind into ``%indicators.addresses%``, ``%indicators.domains%``,
``%indicators.hashes%``, ``%indicators.urls%`` and ``%indicators.users%``: plain text, CSV with the columns ``value``,
``type`` and ``valid_until``, and STIX 2.1 as JSON. A file there that has the name of a kind holds that kind alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from detectors.base import digest
from detectors.rules.documents import DocumentError, documents
from detectors.rules.indicators import FOREVER, KINDS, IndicatorKind, Indicators, kind_of, listed
from detectors.rules.problems import Problem, RuleError
from detectors.rules.stix import StixError, indicators_of, moment

__all__ = ["NO_TABLES", "Tables", "load_tables"]

_SIZE_LIMIT: Final = 100_000_000  # bytes of one file
_ENTRY_LIMIT: Final = 1_000_000  # of one list
_LONG: Final = 1_000  # values beyond which a list without wildcards is looked up whole
_TOLD: Final = 3  # unreadable entries of one file that are told one by one
_TYPES: Final[Mapping[str, IndicatorKind]] = {
    **{kind: kind for kind in KINDS},
    **dict.fromkeys(("ip", "ipv4", "ipv6", "address", "cidr", "network", "ipv4-addr", "ipv6-addr"), "addresses"),
    **dict.fromkeys(("domain", "hostname", "fqdn", "domain-name"), "domains"),
    **dict.fromkeys(("hash", "md5", "sha1", "sha256", "sha512", "file"), "hashes"),
    **dict.fromkeys(("url", "uri"), "urls"),
    **dict.fromkeys(("user", "user_id", "account", "user-account"), "users"),
}


class Tables:
    """Placeholders and their values."""

    def __init__(
        self,
        values: Mapping[str, Iterable[str]] | None = None,
        lists: Iterable[Indicators] = (),
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """``fields``: placeholders that stand for what the event has under the name of a field."""
        self._fields = dict(fields or {})
        self._values = {name: tuple(dict.fromkeys(found)) for name, found in (values or {}).items()}
        self._lists = {one.name: one for one in lists}
        for name, found in self._values.items():
            if len(found) > _LONG and not any("*" in one or "?" in one or "\\" in one for one in found):
                self._lists[name] = listed(name, "texts", {one.casefold(): FOREVER for one in found})
        #: Of everything a rule could get from here.
        self.digest = digest(
            *(part for name in sorted(self._values) for part in (name, *self._values[name], "")),
            *sorted(one.digest for one in self._lists.values()),
            *(part for pair in sorted(self._fields.items()) for part in pair),
        )

    def digest_of(self, name: str) -> str:
        """Of what ``%name%`` stands for."""
        known = self._lists.get(name)
        return known.digest if known else digest(self._fields.get(name, ""), *self._values.get(name, ()))

    def field(self, name: str) -> str | None:
        """The field whose value ``%name%`` stands for; None where it stands for something else."""
        return self._fields.get(name)

    def indicators(self, name: str) -> Indicators | None:
        """The list that ``%name%`` is looked up in; None where it stands for values."""
        return self._lists.get(name)

    def values(self, name: str) -> tuple[str, ...]:
        """What ``%name%`` stands for, with wildcards. Raises RuleError."""
        found = self._values.get(name)
        if found:
            return found
        if name in self._lists:
            raise RuleError(f"%{name}% is looked up whole and cannot be a part of a value; let it stand alone")
        if found is not None:
            raise RuleError(f"%{name[:60]}% is an empty list; give it a value")
        raise RuleError(
            f"placeholders (expand) have no values here: no list is named {name[:60]!r}; add it to rule_lists"
        )


NO_TABLES: Final = Tables()


def load_tables(folders: Iterable[Path]) -> tuple[Tables, list[Problem]]:
    """Everything in ``folders``, and what of it could not be read. Never raises. A name counts once, the first."""
    values: dict[str, list[str]] = {}
    fields: dict[str, str] = {}
    entries: dict[IndicatorKind, dict[str, int]] = {kind: {} for kind in KINDS}
    problems: list[Problem] = []
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_dir() or path.name.startswith("."):
                continue
            try:
                text = _text(path)
                if "indicators" in path.relative_to(folder).parts[:-1]:
                    problems += _add(path, text, entries)
                else:
                    for name, found in _named(path, text):
                        if name in values or name in fields:
                            raise DocumentError(None, f"%{name[:60]}% has a list already; name this one otherwise")
                        if isinstance(found, str):
                            fields[name] = found
                        else:
                            values[name] = found
            except DocumentError as error:
                problems.append(Problem(str(path), error.line, None, error.reason))
    return Tables(
        values, [listed(f"indicators.{kind}", kind, found) for kind, found in entries.items()], fields
    ), problems


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_SIZE_LIMIT + 1)
    except OSError as error:
        raise DocumentError(None, f"file cannot be read: {error.strerror or error}") from error
    if len(content) > _SIZE_LIMIT:
        raise DocumentError(None, f"file is larger than {_SIZE_LIMIT} bytes; split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(None, f"file is not UTF-8 (byte {error.start}); save it as UTF-8") from error


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        value = line.split(" #")[0].strip()
        if value and not value.startswith("#"):
            yield number, value


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(text.splitlines())
    names: list[str] | None = None
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if names is None:
                folded = [cell.casefold() for cell in cells]
                if {"value", "indicator"} & set(folded):
                    names = ["value" if name == "indicator" else name for name in folded]
                    continue
                names = ["value"]
            found = dict(zip(names, cells, strict=False))
            if found.get("value"):
                yield reader.line_num, found
    except csv.Error as error:
        raise DocumentError(reader.line_num, f"CSV is invalid: {error}") from error


def _named(path: Path, text: str) -> Iterator[tuple[str, list[str] | str]]:
    """Names with their values, or with the field that they stand for."""
    if path.suffix == ".txt":
        yield path.stem, [value for _, value in _lines(text)]
    elif path.suffix == ".csv":
        yield path.stem, [row["value"] for _, row in _rows(text)]
    elif path.suffix in (".yml", ".yaml"):
        for document in documents(text.encode()):
            if isinstance(document, DocumentError):
                raise document
            line, content = document
            if not isinstance(content, dict):
                raise DocumentError(line, "is no map; write 'name: [value, …]'")
            for name, found in content.items():
                if isinstance(found, dict) and list(found) == ["field"] and isinstance(found["field"], str):
                    yield name, found["field"]
                    continue
                many = found if isinstance(found, list) else [found]
                if any(isinstance(one, list | dict | bool) or one is None for one in many):
                    raise DocumentError(line, f"{name[:60]} has a value that is no text; write texts")
                yield name, [str(one) for one in many]
    else:
        raise DocumentError(None, "is no .txt, .csv or .yml; give it the ending of what it is")


def _add(path: Path, text: str, entries: dict[IndicatorKind, dict[str, int]]) -> list[Problem]:
    """Put the indicators of one file on the lists."""
    problems: list[Problem] = []
    unread = 0

    def tell(line: int | None, reason: str) -> None:
        nonlocal unread
        unread += 1
        if unread <= _TOLD:
            problems.append(Problem(str(path), line, None, reason))

    for line, kind, value, until in _indicators(path, text, tell):
        found = kind_of(value, kind)
        if found is None:
            tell(line, f"an entry has not the form of {kind or 'any kind of indicator'}; mend it or give its type")
            continue
        table = entries[found[0]]
        if len(table) >= _ENTRY_LIMIT and found[1] not in table:
            raise DocumentError(line, f"makes more than {_ENTRY_LIMIT} {found[0]}; leave out the oldest")
        table[found[1]] = max(until, table.get(found[1], 0))
    if unread > _TOLD:
        problems.append(Problem(str(path), None, None, f"{unread - _TOLD} more entries are left out"))
    return problems


_Told = Iterator[tuple[int | None, IndicatorKind | None, str, int]]


def _indicators(path: Path, text: str, tell: Any) -> _Told:
    own = _TYPES.get(path.stem.casefold())
    if path.suffix == ".json":
        try:
            bundle = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DocumentError(None, "is no JSON; save the bundle as STIX 2.1") from error
        for one in indicators_of(bundle):
            if isinstance(one, StixError):
                tell(None, str(one))
            else:
                yield None, *one
    elif path.suffix == ".csv":
        for line, row in _rows(text):
            given = row.get("type", "")
            kind = _TYPES.get(given.casefold()) if given else own
            if given and kind is None:
                tell(line, f"type {given[:40]!r} is no kind of indicator; use one of {', '.join(KINDS)}")
                continue
            try:
                until = moment(row["valid_until"]) if row.get("valid_until") else FOREVER
            except StixError as error:
                tell(line, str(error))
                continue
            yield line, kind, row["value"], until
    elif path.suffix == ".txt":
        for line, value in _lines(text):
            yield line, own, value, FOREVER
    else:
        raise DocumentError(None, "is no .txt, .csv or .json; give it the ending of what it is")
