"""Passes over the lines of a file in which no rule finds anything, without reading them whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Final

from detectors.rules import RuleSet
from detectors.rules.projection import Clock, Passes
from streams.privacy import OLDEST, TOLERANCE
from streams.reading import LIMIT
from streams.sources.base import BadRecord, Source
from streams.sources.plain import Plain

__all__ = ["Scan"]


_SAMPLED: Final = 16  # pieces, of which one begins with a line that is read anyway
_CHUNK: Final = 1 << 16  # bytes; larger ones are mapped and unmapped each time


def _none(line: memoryview) -> bool:
    return False


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """The rest of ``stream`` in pieces of whole lines; the last line ends as the others do."""
    begun: list[bytes] = []  # of a line whose end is not there yet
    while chunk := stream.read1(_CHUNK):  # type: ignore[attr-defined]
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*begun, chunk[:end]])
            begun.clear()
        if end < len(chunk):
            begun.append(chunk[end:])
    if begun:
        yield b"".join([*begun, b"\n"])


def _is_text(line: memoryview) -> bool:
    try:
        str(line, "utf-8")
    except UnicodeDecodeError:
        return False
    return True


#: Time of an event, ms, and the lateness of its source -> True where it would change nothing but a watermark.
Still = Callable[[int, int], bool]


class Scan:
    """Learns from the records that were read what the next lines will be like.

    A line that it passes over would have given no finding and no error.
    """

    def __init__(self, rules: RuleSet, *, sample: bool = False, still: Still | None = None, received: int = 0) -> None:
        """``sample``: let some lines be read that need not be, about one in a thousand and a file's last.

        ``still``: told of every timely event that would be passed over, in order; without it no time is looked at.
        ``received``: when the records are said to arrive, ms since the epoch; it decides which are timely.
        """
        self._rules = rules
        self._sample = sample
        self._still = still
        self._received = received
        self.passed = 0  #: lines that were passed over
        self.last: tuple[str, int] | None = None  #: file and number of the last of them, until somebody clears it
        self._source: Source | None = None
        self._passes: Passes = _none
        self._known: dict[str, Passes] = {}

    def unread(self, name: str, stream: IO[bytes], number: int) -> Iterator[tuple[int, bytes]]:
        """Those lines of ``stream`` that must be read, each with its number; ``number`` is that of the line before.

        What is read must be dealt with before the next is asked for.
        """
        last: bytes | None = None
        for count, piece in enumerate(_pieces(stream)):
            if last is not None:
                yield from self._unread(name, last, number, first=self._sample and count % _SAMPLED == 1)
                number += last.count(b"\n")
            last = piece
        if last is not None:
            start = last.rfind(b"\n", 0, -1) + 1 if self._sample else len(last)
            yield from self._unread(name, last[:start], number, first=False)
            yield from self._unread(name, last[start:], number + last.count(b"\n", 0, start), first=True)

    def _unread(self, name: str, lines: bytes, number: int, *, first: bool) -> Iterator[tuple[int, bytes]]:
        """Of whole ``lines``; what is passed over is not even copied. ``first``: whether the first is not."""
        find, view, all_ascii, end = lines.find, memoryview(lines), lines.isascii(), len(lines)
        passes = _none if first else self._passes
        start, passed, latest = 0, self.passed, 0
        while start < end:
            number += 1
            stop = find(b"\n", start)
            line = view[start:stop]
            start = stop + 1
            # A text that nothing asks for would be passed over with whatever bytes it holds.
            # What passes comes last: it has told the time of what is passed over then.
            if len(line) <= LIMIT and (all_ascii or _is_text(line)) and passes(line):
                passed += 1
                latest = number
                continue
            if latest:
                self.passed, self.last, latest = passed, (name, latest), 0
            yield number, bytes(line)
            passes = self._passes  # whoever read it may have told of another source
        if latest:
            self.passed, self.last = passed, (name, latest)

    def met(self, source: Source) -> None:
        """Called for each record that was read whole, with its source."""
        if source is self._source:
            return
        self._source = source
        plain: Plain | None = getattr(source, "plain", None)
        if plain is None:
            return
        if source.name not in self._known:
            clock = None if self._still is None else Clock(plain.time, self._clock(plain, source.lateness, self._still))
            passes = self._rules.passes(source.logsource, plain, source.released, clock)
            self._known[source.name] = passes or _none
        self._passes = self._known[source.name]

    def _clock(self, plain: Plain, lateness: int, still: Still) -> Callable[[str], bool]:
        oldest, newest = self._received - OLDEST, self._received + TOLERANCE
        before = ""

        def passes(text: str) -> bool:
            nonlocal before
            if text == before:  # within a second of a busy log
                return True
            try:
                time = plain.moment(text)
            except BadRecord:
                return False
            if not oldest <= time <= newest or not still(time, lateness):
                return False
            before = text
            return True

        return passes
