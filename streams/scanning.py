"""Passes over the lines of a file in which no rule finds anything, without reading them whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

from detectors.rules import RuleSet
from detectors.rules.projection import Passes
from streams.reading import LIMIT
from streams.sources.base import Source
from streams.sources.plain import Plain

__all__ = ["Scan"]


_CHUNK: Final = 1 << 16  # bytes; larger ones are mapped and unmapped each time


def _none(line: memoryview) -> bool:
    return False


def _is_text(line: memoryview) -> bool:
    try:
        str(line, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


class Scan:
    """Learns from the records that were read what the next lines will be like.

    A line that it passes over would have given no finding and no error.
    """

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._source: Source | None = None
        self._passes: Passes = _none
        self._known: dict[str, Passes] = {}

    def unread(self, stream: IO[bytes], number: int) -> Iterator[tuple[int, bytes]]:
        """Those lines of ``stream`` that must be read, each with its number; ``number`` is that of the line before."""
        begun: list[bytes] = []  # of a line whose end is not there yet
        while chunk := stream.read1(_CHUNK):  # type: ignore[attr-defined]
            begun.append(chunk)
            last = chunk.rfind(b"\n") + 1
            if last:
                lines = b"".join(begun)
                begun = [chunk[last:]]
                end = len(lines) - len(begun[0])
                yield from self._unread(lines, end, number)
                number += lines.count(b"\n", 0, end)
        if any(begun):
            lines = b"".join([*begun, b"\n"])
            yield from self._unread(lines, len(lines), number)

    def _unread(self, lines: bytes, end: int, number: int) -> Iterator[tuple[int, bytes]]:
        """Of ``lines``, whole up to ``end``; what is passed over is not even copied."""
        passes, find, view, all_ascii = self._passes, lines.find, memoryview(lines), lines.isascii()
        start = 0
        while start < end:
            number += 1
            stop = find(b"\n", start)
            line = view[start:stop]
            start = stop + 1
            # A text that nothing asks for would be passed over with whatever bytes it holds.
            if passes(line) and (all_ascii or _is_text(line)) and len(line) <= LIMIT:
                continue
            yield number, bytes(line)
            passes = self._passes  # whoever read it may have told of another source

    def met(self, source: Source) -> None:
        """Called for each record that was read whole, with its source."""
        if source is self._source:
            return
        self._source = source
        plain: Plain | None = getattr(source, "plain", None)
        if plain is None:
            return
        if source.name not in self._known:
            self._known[source.name] = self._rules.passes(source.logsource, plain, source.released) or _none
        self._passes = self._known[source.name]
