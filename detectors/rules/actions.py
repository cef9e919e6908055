"""Sigma 1's files of several documents: ``action: global`` adds its keys to the documents after it, ``reset`` ends
that, and ``repeat`` is the document before it with some keys changed. A document's own keys go before added ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from detectors.rules.documents import DocumentError

__all__ = ["acted"]


def acted(documents: Iterable[tuple[int, Any] | DocumentError]) -> Iterator[tuple[int, Any] | DocumentError]:
    """The documents that are left when every action is done.

    Of rules that share an id which an action gave them, all but the first get a number after it.
    """
    everywhere: dict[str, Any] = {}
    before: dict[str, Any] = {}
    given = Counter[str]()
    for found in documents:
        if isinstance(found, DocumentError) or not isinstance(found[1], dict):
            yield found
            continue
        line, document = found
        action = document.pop("action", None)
        if action == "global":
            everywhere = before = document
            continue
        if action == "reset":
            everywhere = {}
            continue
        if action not in (None, "repeat"):
            yield DocumentError(line, f"action {str(action)[:40]!r} is none of global, reset, repeat")
            continue
        own = document.get("id")
        if action == "repeat":
            document = _over(before, document)
        elif "correlation" not in document and "filter" not in document:
            document = _over(everywhere, document)
            before = document
        name = document.get("id")
        if isinstance(name, str):
            given[name] += 1
            if own is None and given[name] > 1:
                document = {**document, "id": f"{name}-{given[name]}"}
        yield line, document


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Both maps in one; where both have a value that is no map, the one of ``above``."""
    made = dict(below)
    for key, value in above.items():
        old = made.get(key)
        made[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return made
