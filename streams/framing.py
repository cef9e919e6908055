"""Where one record ends and the next begins, in files of XML, of syslog messages and of HL7 v2.

- XML: each ``AuditMessage`` by itself, one after the other or within an element that holds them all; a file without any
  is one record.
- Syslog: counted messages by their count (RFC 5425), others by the line that begins with a priority.
- HL7 v2: a message begins with MSH; batch headers and trailers (FHS, BHS, BTS, FTS) and MLLP's framing are left out.

A file is read piece by piece; no record takes more than its limit of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from re import Match
from re import compile as regex
from typing import IO, Final, NamedTuple

from streams.er7 import END, START
from streams.syslog import COUNTED

__all__ = ["Piece", "pieces"]

_CHUNK: Final = 64 * 1024
_MESSAGE: Final = regex(rb"<((?:[\w.-]{1,64}:)?AuditMessage)(?=[\s/>])")
_ELEMENT: Final = regex(rb"<[A-Za-z_]")
_DECLARATION: Final = regex(rb"<\?xml[^>]{0,200}\?>")
_PRIORITY: Final = regex(rb"\s*<[0-9]{1,3}>")
#: A message over several lines is whole when what it carries is closed; what follows belongs to nobody.
_WHOLE: Final = regex(rb"AuditMessage\s*>\s*\Z")
_BATCH: Final = (b"FHS", b"BHS", b"BTS", b"FTS")


class Piece(NamedTuple):
    """One record's bytes; ``None`` where it was longer than allowed. ``line`` counts from 1."""

    line: int
    content: bytes | None


def pieces(first: bytes, stream: IO[bytes], line: int, limit: int) -> Iterator[Piece]:
    """The records of a file that is no JSON. ``first``: what was read of it, up to the end of line ``line``."""
    start = first.lstrip()
    if COUNTED.match(start):
        return _counted(_Source(start, stream, line), limit)
    if _PRIORITY.match(start):
        return _by_line(first, stream, line, limit)
    if start[:3] in (b"MSH", *_BATCH) or start[:1] == START:
        return _messages(first, stream, line, limit)
    return _elements(_Source(first, stream, line), limit)


class _Source:
    """A file's bytes, as many as are needed, and the line they begin on."""

    def __init__(self, first: bytes, stream: IO[bytes], line: int) -> None:
        self.held = first
        self.line = line
        self._stream = stream

    def more(self) -> bool:
        found = self._stream.read(_CHUNK)
        self.held += found
        return bool(found)

    def take(self, size: int) -> bytes:
        taken, self.held = self.held[:size], self.held[size:]
        self.line += taken.count(b"\n")
        return taken


def _counted(source: _Source, limit: int) -> Iterator[Piece]:
    while source.held.strip() or source.more():
        source.take(len(source.held) - len(source.held.lstrip()))
        if not source.held:
            continue
        counted = COUNTED.match(source.held)
        if counted is None:
            if len(source.held) < 16 and source.more():
                continue
            # Nothing after this can be trusted to begin where it seems to.
            yield Piece(source.line, source.held[:limit])
            return
        size = int(counted[1])
        end = counted.end() + size
        while len(source.held) < end and source.more():
            pass
        line = source.line
        message = source.take(end)
        yield Piece(line, message if size <= limit else None)


def _by_line(first: bytes, stream: IO[bytes], line: int, limit: int) -> Iterator[Piece]:
    held, began = first, line
    for number, text in enumerate(stream, line + 1):
        if _PRIORITY.match(text) or (text.strip() and _WHOLE.search(held, max(0, len(held) - 128))):
            yield Piece(began, held.strip() if len(held) <= limit else None)
            held, began = text, number
        elif len(held) <= limit:
            held += text
    yield Piece(began, held.strip() if len(held) <= limit else None)


def _messages(first: bytes, stream: IO[bytes], line: int, limit: int) -> Iterator[Piece]:
    """HL7 v2. Segments end with CR alone in what was sent, so a line of a file may hold whole messages."""
    held, began, number = b"", line, line
    for text in _lines(first, stream):
        for segment in text.replace(START, b"\r").replace(END, b"\r").split(b"\r"):
            name = segment.lstrip()[:3]
            if name == b"MSH" or name in _BATCH:
                if held.strip():
                    yield Piece(began, held if len(held) <= limit else None)
                held, began = b"", number
            if segment.strip() and name not in _BATCH and len(held) <= limit:
                held += segment.strip(b"\n") + b"\r"
        number += 1
    if held.strip():
        yield Piece(began, held if len(held) <= limit else None)


def _lines(first: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    yield first
    yield from stream


def _elements(source: _Source, limit: int) -> Iterator[Piece]:
    declaration, wrapped, found_any = b"", False, False
    while (begin := _next(source, limit)) is not None:
        found_any = True
        close = regex(rb"</" + begin[1] + rb"\s*>")
        end = close.search(source.held, begin.end())
        while end is None and len(source.held) <= limit + begin.start():
            searched = max(begin.end(), len(source.held) - len(begin[1]) - 64)
            if not source.more():
                break
            end = close.search(source.held, searched)
        before = source.held[: begin.start()]
        line = source.line + before.count(b"\n")
        message = source.take(end.end() if end else len(source.held))[begin.start() :]
        declared = None
        for declared in _DECLARATION.finditer(before):
            declaration = declared[0]
        if _ELEMENT.search(before, declared.end() if declared else 0):
            wrapped = True
        elif declared:
            wrapped = False
        if len(message) > limit:
            yield Piece(line, None)
        elif b"<!" in before and not wrapped:  # the parser must see what is declared there
            yield Piece(line, before[declared.start() if declared else 0 :] + message)
        else:
            yield Piece(line, (declaration if declared or wrapped else b"") + message)
    if not found_any and source.held.strip():
        while len(source.held) <= limit and source.more():
            pass
        yield Piece(source.line, source.held if len(source.held) <= limit else None)


def _next(source: _Source, limit: int) -> Match[bytes] | None:
    """Where the next audit message begins; None where there is none within the limit."""
    searched = 0
    while (begin := _MESSAGE.search(source.held, searched)) is None:
        searched = max(0, len(source.held) - 128)
        if len(source.held) > limit or not source.more():
            return None
    return begin
