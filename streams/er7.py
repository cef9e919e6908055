"""HL7 v2 messages in ER7, the encoding with bars and carets (HL7 v2.9 chapter 2), as a Mapping.

``PID-3.4.2`` of the first PID is found at ``PID.3.4.2``: a segment is a Mapping of its fields by number, a field one of
its components, a component text, or a Mapping of its subcomponents where it has several. What repeats is a list: fields
that repeat, and segments that occur again. Empty parts are left out; escapes are read. ``MSH.1`` and ``MSH.2`` are the
delimiters. Segments end with CR; LF and CRLF, which files are saved with, are taken too.
"""

from __future__ import annotations

from re import compile as regex
from typing import Any, Final

from streams.sources.base import BadRecord

__all__ = ["END", "START", "is_er7", "parse_er7"]

#: MLLP (HL7 v2.9 Appendix C): what stands before and after a message.
START: Final = b"\x0b"
END: Final = b"\x1c"
_SEGMENT: Final = regex(r"[A-Z][A-Z0-9]{2}")
_LINES: Final = regex(r"[\r\n]+")
#: Segments, and parts of all of them.
_MOST_SEGMENTS: Final = 5_000
_MOST: Final = 100_000
#: What a character set in MSH-18 is to Python (HL7 table 0211); a message that names none is UTF-8 or Latin-1.
_CHARSETS: Final = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    **{f"8859/{number}": f"iso8859-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}


def is_er7(raw: bytes) -> bool:
    """Whether it begins as a message or a batch of them does, framed or not."""
    return raw.lstrip(b"\r\n\x0b ")[:3] in (b"MSH", b"FHS", b"BHS")


def parse_er7(raw: bytes) -> dict[str, Any]:
    """One message. Raises BadRecord, which names the segment by its place and quotes nothing."""
    text = _text(raw.strip(b"\r\n \x0b\x1c"))
    if text[:3] != "MSH":
        raise BadRecord("the record is a batch of HL7 messages: send each by itself")
    if len(text) < 8:
        raise BadRecord("the HL7 message breaks off within MSH")
    bar, rest = text[3], text[4:]
    delimiters = rest.partition(bar)[0]
    if not 2 <= len(delimiters) <= 5 or len({bar, *delimiters}) != 1 + len(delimiters) or delimiters.isalnum():
        raise BadRecord("MSH-1 and MSH-2 are no delimiters such as |^~\\&")
    reader = _Reader(bar, delimiters)
    found: dict[str, Any] = {}
    lines = [line for line in _LINES.split(text) if line.strip()]
    if len(lines) > _MOST_SEGMENTS:
        raise BadRecord(f"the HL7 message has more than {_MOST_SEGMENTS} segments")
    for number, line in enumerate(lines, 1):
        name = line[:3]
        if not _SEGMENT.fullmatch(name) or line[3:4] not in ("", bar) or (number > 1 and name == "MSH"):
            raise BadRecord(f"segment {number} of the HL7 message does not begin with a name and a field separator")
        segment = reader.header(line) if number == 1 else reader.fields(line[4:], 1)
        if name not in found:
            found[name] = segment
        elif isinstance(found[name], list):
            found[name].append(segment)
        else:
            found[name] = [found[name], segment]
    return found


def _text(raw: bytes) -> str:
    fields = raw.partition(b"\r")[0].partition(b"\n")[0].split(raw[3:4] or b"|")
    named = fields[17].decode("latin-1").partition("~")[0].strip().upper() if len(fields) > 17 else ""
    for charset in (_CHARSETS.get(named, "utf-8"), "utf-8"):
        try:
            return raw.decode(charset)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1")


class _Reader:
    """Takes segments apart by the delimiters of one message."""

    def __init__(self, bar: str, delimiters: str) -> None:
        self._bar = bar
        self._delimiters = delimiters
        self._component, self._repetition, self._escape, self._sub = tuple((delimiters + "\0\0")[:4])
        if self._escape in "\0":
            self._escape = ""
        self._count = 0
        escaped = {"F": bar, "S": self._component, "R": self._repetition, "E": self._escape, "T": self._sub}
        self._escapes = {f"{self._escape}{name}{self._escape}": char for name, char in escaped.items()}

    def header(self, line: str) -> dict[str, Any]:
        rest = line[4:].partition(self._bar)[2]
        return {"1": {"1": self._bar}, "2": {"1": self._delimiters}, **self.fields(rest, 3)}

    def fields(self, line: str, first: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, field in enumerate(line.split(self._bar), first):
            if not field:
                continue
            repetitions = [self._components(part) for part in field.split(self._repetition) if part]
            if len(repetitions) > 1:
                found[str(number)] = repetitions
            elif repetitions:
                found[str(number)] = repetitions[0]
        return found

    def _components(self, field: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number, component in enumerate(field.split(self._component), 1):
            self._count += 1
            if self._count > _MOST:
                raise BadRecord(f"the HL7 message has more than {_MOST} parts")
            if not component:
                continue
            parts = component.split(self._sub)
            if len(parts) == 1:
                found[str(number)] = self._plain(component)
            else:
                self._count += len(parts)
                found[str(number)] = {str(place): self._plain(part) for place, part in enumerate(parts, 1) if part}
        return found

    def _plain(self, text: str) -> str:
        if self._escape and self._escape in text:
            for escape, char in self._escapes.items():
                if escape != f"{self._escape}E{self._escape}":
                    text = text.replace(escape, char)
            text = text.replace(f"{self._escape}E{self._escape}", self._escape)
        return text
