"""Reads YAML that anyone may have written: bounded in size, depth and expansion, no code, no duplicate keys.

Scalars mean what the core schema of YAML 1.2 says, which Sigma names: ``no``, ``on`` and ``2026-01-05`` are texts, and
``010`` is ten. Keys are texts, as written. Each document of a file comes with the line it starts on. An error in the
syntax ends the file, since nothing after it can be trusted to mean what it says; the documents before it stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

__all__ = ["SIZE_LIMIT", "DocumentError", "documents"]

SIZE_LIMIT: Final = 1_000_000  #: bytes of one file
_DEPTH_LIMIT: Final = 50
_NODE_LIMIT: Final = 100_000  # of one document, with every alias written out
_DEEP: Final = re.compile(r"^ {100}|(?:[-?:][ \t]+){10}|(?:[\[{][^\[\]{}]*){25}", re.MULTILINE)

_STR, _NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "int", "float"))

#: Modifiers under which a value is text, whatever else YAML takes it for: the name of a field may be 43.40.
_TEXTUAL: Final = frozenset(
    [
        "contains",
        "startswith",
        "endswith",
        "fieldref",
        "cased",
        "re",
        "windash",
        "expand",
        "cidr",
        "base64",
        "base64offset",
        "wide",
        "utf16",
        "utf16le",
        "utf16be",
    ]
)


class _Loader(yaml.CSafeLoader):
    """libyaml with the plain scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: Final[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}  # type: ignore[misc]


for _tag, _pattern, _first in (
    (_NULL, r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    (_BOOL, r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    (_INT, r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z", list("-+0123456789")),
    (_FLOAT, r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", list("-+.0123456789")),
    (_FLOAT, r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z", list("-+.")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


class DocumentError(ValueError):
    """A document that cannot be read, and why."""

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def documents(content: bytes) -> Iterator[tuple[int, Any] | DocumentError]:
    """Each document as (1-based line, plain Python values), or what is wrong with it."""
    if len(content) > SIZE_LIMIT:
        yield DocumentError(None, f"file is larger than {SIZE_LIMIT} bytes; split it")
        return
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield DocumentError(None, f"file is not UTF-8 (byte {error.start}); save it as UTF-8")
        return
    try:
        if _DEEP.search(text):
            _check_depth(text)
        loader = _Loader(text)
        try:
            while loader.check_node():
                node: Any = loader.get_node()
                try:
                    yield node.start_mark.line + 1, _Builder().build(node)
                except DocumentError as broken:
                    yield broken
        finally:
            loader.dispose()
    except DocumentError as broken:
        yield broken
    except yaml.YAMLError as error:
        yield DocumentError(_line(error), f"YAML is invalid: {_say(error)}")


def _line(error: Exception) -> int | None:
    mark = getattr(error, "problem_mark", None)
    return None if mark is None else mark.line + 1


def _say(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error)


def _check_depth(text: str) -> None:
    """The composer recurses in C, so a text nested too deep must not reach it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH_LIMIT:
                raise DocumentError(None, f"nested deeper than {_DEPTH_LIMIT} levels; flatten it")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Builder:
    """Values of one document. ``_left``: how many nodes it may still have, each alias counted where it stands."""

    def __init__(self) -> None:
        self._left = _NODE_LIMIT
        self._open: set[int] = set()

    def build(self, node: Any, *, raw: bool = False) -> Any:
        """``raw``: plain scalars but null as they are written."""
        self._left -= 1
        if self._left < 0:
            line = node.start_mark.line + 1
            raise DocumentError(line, f"holds more than {_NODE_LIMIT} values, with its aliases written out; split it")
        kind = type(node)
        if kind is yaml.ScalarNode:
            return node.value if node.tag == _STR or (raw and node.tag != _NULL) else _scalar(node)
        line = node.start_mark.line + 1
        if id(node) in self._open or len(self._open) > _DEPTH_LIMIT:
            raise DocumentError(line, "an alias refers to a part that holds it; write it out")
        self._open.add(id(node))
        if kind is yaml.SequenceNode:
            made: Any = [self.build(item, raw=raw) for item in node.value]
        else:
            made = self._map(node, raw)
        self._open.discard(id(node))
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.rsplit(":", 1)[1] not in ("map", "seq"):
            raise DocumentError(line, f"YAML value is invalid: unknown tag {node.tag!r}; remove it")
        return made

    def _map(self, node: Any, raw: bool) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if type(key_node) is not yaml.ScalarNode:
                raise DocumentError(line, "YAML value is invalid: a key is a list or a map; a key is a text")
            key = key_node.value
            if key == "<<":
                for one in _merged(self.build(value_node), line):
                    merged = {**one, **merged}
                continue
            if key in made:
                raise DocumentError(line, f"key {key!r} stands twice; only one can count")
            textual = raw or ("|" in key and not _TEXTUAL.isdisjoint(key.split("|")))
            made[key] = self.build(value_node, raw=textual)
        return {**merged, **made} if merged else made


def _merged(value: Any, line: int) -> list[dict[str, Any]]:
    maps = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in maps):
        raise DocumentError(line, "YAML value is invalid: << merges maps alone; name one")
    return maps


def _scalar(node: Any) -> Any:
    text, line = node.value, node.start_mark.line + 1
    try:
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL:
            return {"true": True, "false": False}[text.lower()]
        if node.tag == _INT:
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if node.tag == _FLOAT:
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    except (ValueError, KeyError) as error:
        raise DocumentError(line, f"YAML value is invalid: no {node.tag.rsplit(':', 1)[1]}; quote it") from error
    raise DocumentError(line, f"YAML value is invalid: unknown tag {node.tag!r}; remove it")
