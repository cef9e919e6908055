"""Sigma's texts: plain characters, wildcards, dashes of any kind, and placeholders, in the order they stand.

Backslashes are read as the specification's "Escape Character" says: they escape ``*``, ``?`` and themselves, and are
plain before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from detectors.rules.problems import RuleError

__all__ = ["DASHES", "Part", "Parts", "Placeholder", "Wild", "decoded", "parse", "plain", "spelled", "windash"]

#: What ``windash`` takes for one another: hyphen, slash, en dash, em dash, horizontal bar.
DASHES: Final = "-/\u2013\u2014\u2015"

_SPECIAL: Final = re.compile(r"\\[*?\\]|[*?]")
_EXPANDED: Final = re.compile(r"\\[*?\\]|[*?]|\\?%")
_NAME: Final = re.compile(r"[^%\\*?]+(?=%)")
_DASH: Final = re.compile(f"[{DASHES}]")
_SPELLINGS: Final = 125  # of one text: three dashes, before what is encoded


class Wild(Enum):
    """A place in a text that several characters fit."""

    MANY = "*"
    ONE = "?"
    DASH = "-"  #: any of DASHES


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A place whose texts a table gives."""

    name: str


#: Bytes stand for text that UTF-16 encoded.
Part = str | bytes | Wild | Placeholder
Parts = tuple[Part, ...]


def parse(text: str, *, expand: bool = False) -> Parts:
    """The parts of a value; ``expand``: ``%name%`` is a placeholder.

    ``\\%`` is a plain percent sign where the signs after it still pair up, as in the specification's
    ``\\%plain%name%``. Else it is a backslash and the start of a placeholder, as in ``C:\\Users\\%user%\\Desktop``.
    """
    special = _EXPANDED if expand else _SPECIAL
    if not special.search(text):
        return (text,) if text else ()
    parts: list[Part] = []
    held = ""
    at = 0
    while found := special.search(text, at):
        held += text[at : found.start()]
        sign, at = found[0], found.end()
        if sign[-1] != "%":
            if len(sign) == 2:
                held += sign[1]
                continue
            new: Part = Wild(sign)
        else:
            name = None
            if sign == "%" or text.count("%", at) % 2:
                held += sign[:-1]
                name = _NAME.match(text, at)
            if name is None:
                held += "%"
                continue
            new, at = Placeholder(name[0]), name.end() + 1
        if held:
            parts.append(held)
            held = ""
        parts.append(new)
    held += text[at:]
    return (*parts, held) if held else tuple(parts)


def windash(parts: Parts) -> Parts:
    """``parts`` in which each dash is any dash, whatever stands beside it."""
    made: list[Part] = []
    for part in parts:
        if not isinstance(part, str):
            made.append(part)
            continue
        for number, piece in enumerate(_DASH.split(part)):
            if number:
                made.append(Wild.DASH)
            if piece:
                made.append(piece)
    return tuple(made)


def spelled(parts: Parts) -> Iterator[Parts]:
    """Every spelling of ``parts`` with its dashes chosen. Raises RuleError where they are too many."""
    where = [number for number, part in enumerate(parts) if part is Wild.DASH]
    if len(DASHES) ** len(where) > _SPELLINGS:
        raise RuleError("windash of more than three dashes cannot be encoded; give each its own value")
    choices: list[Parts] = [parts]
    for number in where:
        choices = [(*one[:number], dash, *one[number + 1 :]) for one in choices for dash in DASHES]
    return map(_joined, choices)


def plain(parts: Parts, modifier: str) -> bytes:
    """The bytes of ``parts`` for an encoding. Raises RuleError where a wildcard or a placeholder is among them."""
    found = b""
    for part in parts:
        if isinstance(part, Wild | Placeholder):
            raise RuleError(f"{modifier} of a wildcard or a placeholder has no meaning; escape it, or write it out")
        found += part.encode() if isinstance(part, str) else part
    return found


def decoded(parts: Parts) -> Parts:
    """``parts`` without bytes, as UTF-16 looks in an event that took it for UTF-8. Raises RuleError."""
    if not any(isinstance(part, bytes) for part in parts):
        return parts
    made: list[Part] = []
    for part in parts:
        if not isinstance(part, bytes):
            made.append(part)
            continue
        mark = "\ufeff" if part.startswith(b"\xff\xfe") else ""
        try:
            made.append(mark + (part[2:] if mark else part).decode())
        except UnicodeDecodeError as error:
            raise RuleError(
                "UTF-16 of letters beyond ASCII is no text; encode it with base64 or base64offset"
            ) from error
    return _joined(made)


def _joined(parts: Sequence[Part]) -> Parts:
    """Neighbouring texts as one."""
    made: list[Part] = []
    for part in parts:
        if isinstance(part, str) and made and isinstance(made[-1], str):
            made[-1] += part
        else:
            made.append(part)
    return tuple(made)
