"""Reads YAML that anyone may have written: bounded in size, depth and expansion, no code, no duplicate keys.

Each document of a file comes with the line it starts on. An error in the syntax ends the file, since nothing
after it can be trusted to mean what it says; the documents before it stand.
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
        loader = yaml.CSafeLoader(text)
        try:
            while loader.check_node():
                node: Any = loader.get_node()
                line = node.start_mark.line + 1
                try:
                    _check_node(node)
                    yield line, loader.construct_document(node)
                except DocumentError as broken:
                    yield broken
                except (yaml.constructor.ConstructorError, ValueError) as error:
                    yield DocumentError(_line(error) or line, f"YAML value is invalid: {_say(error)}")
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


def _check_node(root: Any) -> None:
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Any, depth: int) -> int:
        known = sizes.get(id(node))
        if known is not None:
            return known
        line = node.start_mark.line + 1
        if id(node) in open_nodes or depth > _DEPTH_LIMIT:
            raise DocumentError(line, "an alias refers to a part that holds it; write it out")
        open_nodes.add(id(node))
        total = 1
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                    if key.value in keys:
                        at = key.start_mark.line + 1
                        raise DocumentError(at, f"key {key.value!r} stands twice; only one can count")
                    keys.add(key.value)
                total += size(key, depth + 1) + size(value, depth + 1)
        elif isinstance(node, yaml.SequenceNode):
            total += sum(size(item, depth + 1) for item in node.value)
        open_nodes.discard(id(node))
        if total > _NODE_LIMIT:
            raise DocumentError(line, f"expands to more than {_NODE_LIMIT} values; write less through aliases")
        sizes[id(node)] = total
        return total

    size(root, 0)
