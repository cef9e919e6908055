"""Records from bytes and from files, whatever the files are like; what cannot be read is told with file and line.

A record is JSON; where it is none, its first bytes say whether it is XML, syslog or HL7 v2 (:mod:`streams.wire`).

A file is JSON lines, one JSON value over several lines, a JSON array, a FHIR Bundle, lines of VPC flow logs, or what a
cloud wraps records in (:mod:`streams.wrappers`); a delimited table with a header (``.csv``, ``.tsv``) or lines of text;
or holds audit messages in XML, syslog messages or HL7 v2 (:mod:`streams.framing`); each also gzipped. ``-`` is standard
input. Lines and rows are read one at a time.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import orjson

from streams.delimited import rows
from streams.framing import pieces
from streams.sources.base import BadRecord, Source
from streams.sources.catalog import recognise
from streams.sources.vpc_flow import flow_header, flow_line
from streams.wire import is_other, parse_other
from streams.wrappers import DEEPEST, unwrap

__all__ = ["FORMS", "LIMIT", "Item", "numbered", "opened", "parse", "read_files", "record_of"]

#: What the records of a file are written as; ``auto`` goes by its name and by what is in it.
FORMS = ("auto", "json", "csv", "lines")

#: A file's name, its rest, and the number of the line before that -> the lines that must be read, with their numbers.
Unread = Callable[[str, IO[bytes], int], Iterator[tuple[int, bytes]]]

#: Bytes of one record; Kafka takes no more either.
LIMIT = 4 * 1024 * 1024
#: Bytes of a file that holds one JSON value and must be read whole.
WHOLE = 512 * 1024 * 1024


class Item(NamedTuple):
    """One record of a file, or why there is none. ``line`` counts from 1; in an array or Bundle, the records."""

    file: str
    line: int
    record: Mapping[str, Any] | None
    error: str | None
    raw: bytes | None = None  #: as it was, where it is no JSON
    source: Source | None = None  #: the one of the catalog whose shape the record has
    member: str = ""  #: which of the records that lay in that one: ``.2``, or ``.2.1`` where they held some themselves

    @property
    def place(self) -> str:
        """Names the record to a person, and no other; the file, where none of its records can be read."""
        return f"{self.file}:{self.line}{self.member}" if self.line else self.file


def parse(raw: bytes) -> Mapping[str, Any]:
    """One record as a Mapping. Raises BadRecord that says where it breaks off, and quotes nothing."""
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        if is_other(raw):
            return parse_other(raw, parse)
        where = f"at character {exc.pos}" if raw else "it is empty"
        raise BadRecord(f"the record is no JSON: {_why(exc)} {where}") from None
    except RecursionError:
        raise BadRecord("the record is nested too deeply") from None
    if not isinstance(record, dict):
        raise BadRecord("the record is JSON, but no object")
    return record


def record_of(raw: bytes, source: Source) -> Mapping[str, Any]:
    """The record of ``source``: one JSON object, or a line of text where the source reads such, as ``message``.

    Raises BadRecord, as :func:`parse` does.
    """
    try:
        return parse(raw)
    except BadRecord:
        if not getattr(source, "lines", False) or raw.lstrip()[:1] in (b"{", b"["):
            raise
    return {"message": _text(raw)}


def _text(raw: bytes) -> str:
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise BadRecord("the line is no UTF-8") from None


def _why(exc: orjson.JSONDecodeError) -> str:
    """orjson's reason without the position it repeats."""
    return exc.msg.partition(":")[0] or "broken"


def numbered(name: str, stream: IO[bytes], number: int) -> Iterator[tuple[int, bytes]]:
    """Every line; ``number`` is that of the line before."""
    return enumerate(stream, number + 1)


def read_files(files: Iterable[str], form: str = "auto", unread: Unread = numbered) -> Iterator[Item]:
    """Every record of ``files``, in order; ``form`` is one of :data:`FORMS`. Never raises for what a file holds.

    ``unread``: given the lines of JSON of a file after its first, tells which of them must be read.
    """
    for name in files:
        try:
            with _open(name) as stream:
                read = _READERS[_form(name) if form == "auto" else form]
                if read in (_read, _log):
                    read = partial(read, unread=unread)
                for item in read(name, stream):
                    yield from opened(item)
        except BadRecord as exc:
            yield Item(name, 1, None, str(exc))
        except (OSError, EOFError, zlib.error) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc) or type(exc).__name__
            yield Item(name, 0, None, f"the file cannot be read: {reason}")


def opened(item: Item, depth: int = 0) -> Iterator[Item]:
    """The record itself, or those in it where no source reads it as it stands."""
    source = None if item.record is None else _source(item.record)
    held = None if item.record is None or source is not None or depth >= DEEPEST else unwrap(item.record)
    if held is None:
        yield item if source is None else item._replace(source=source)
        return
    for number, member in enumerate(held, 1):
        inner = Item(item.file, item.line, None, "the record is JSON, but no object", member=f"{item.member}.{number}")
        if isinstance(member, dict):
            inner = inner._replace(record=member, error=None)
        yield from opened(inner, depth + 1)


def _source(record: Mapping[str, Any]) -> Source | None:
    try:
        return recognise(record)
    except BadRecord:
        return None


@contextmanager
def _open(name: str) -> Iterator[IO[bytes]]:
    """The file's bytes, unzipped where it is gzipped; closed at the end, but for standard input."""
    with ExitStack() as files:
        stream = sys.stdin.buffer if name == "-" else files.enter_context(Path(name).open("rb"))
        buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
        if buffered.peek(2)[:2] == b"\x1f\x8b":
            yield cast(IO[bytes], files.enter_context(gzip.open(buffered)))
        else:
            yield buffered


def _form(name: str) -> str:
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    return {".csv": "csv", ".tsv": "csv", ".log": "log"}.get(suffix, "json")


def _log(name: str, stream: IO[bytes], unread: Unread = numbered) -> Iterator[Item]:
    """A log is records or text, and its first line tells."""
    head = cast(io.BufferedReader, stream).peek(512).lstrip()
    first = head.partition(b"\n")[0].decode("ascii", "replace")
    records = head[:1] in (b"{", b"[") or is_other(head) or flow_header(first) or flow_line(first)
    yield from _read(name, stream, unread) if records else _texts(name, stream)


def _rows(name: str, stream: IO[bytes]) -> Iterator[Item]:
    for number, row in rows(stream):
        yield Item(name, number, None, row) if isinstance(row, str) else Item(name, number, row, None)


def _texts(name: str, stream: IO[bytes]) -> Iterator[Item]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        if len(line) > LIMIT:
            yield Item(name, number, None, f"the line has {len(line)} bytes where {LIMIT} are allowed")
            continue
        try:
            yield Item(name, number, {"message": _text(line)}, None)
        except BadRecord as exc:
            yield Item(name, number, None, str(exc))


def _read(name: str, stream: IO[bytes], unread: Unread = numbered) -> Iterator[Item]:
    first = b""
    number = 0
    for first in stream:  # the first line that says anything tells what the file is
        number += 1
        if first.strip():
            break
    else:
        return
    value = _value(first)
    if value is None:
        others = (
            _pieces(name, first, stream, number) if is_other(first) else _whole(name, first, stream, number, unread)
        )
        yield from others
        return
    if isinstance(value, list) or _members(value) is not None:
        yield from _several(name, value)
        # A file of one line may be followed by others of its kind.
    else:
        yield Item(name, number, value, None) if isinstance(value, dict) else _no_object(name, number)
    yield from _lines(name, stream, number, unread)


def _lines(name: str, stream: IO[bytes], number: int, unread: Unread, fields: Sequence[str] = ()) -> Iterator[Item]:
    """The lines after line ``number`` that must be read."""
    for at, line in unread(name, stream, number):
        if line.strip():
            yield _line(name, at, line, fields)


def _line(name: str, number: int, line: bytes, fields: Sequence[str] = ()) -> Item:
    """One line: JSON, or of VPC flow logs, with ``fields`` where a header named them."""
    if len(line) > LIMIT:
        return Item(name, number, None, f"the record has {len(line)} bytes where {LIMIT} are allowed")
    try:
        return Item(name, number, parse(line.strip()), None)
    except BadRecord as exc:
        flow = flow_line(line.decode("ascii", "replace"), fields)
        return Item(name, number, flow, None) if flow else Item(name, number, None, str(exc))


def _pieces(name: str, first: bytes, stream: IO[bytes], number: int) -> Iterator[Item]:
    """Records that are no JSON. Each is told by the line it begins on."""
    for piece in pieces(first, stream, number, LIMIT):
        if piece.content is None:
            yield Item(name, piece.line, None, f"the record has more than the {LIMIT} bytes that are allowed")
            continue
        try:
            yield Item(name, piece.line, parse(piece.content), None, piece.content)
        except BadRecord as exc:
            yield Item(name, piece.line, None, str(exc))


def _value(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except (orjson.JSONDecodeError, RecursionError):
        return None


def _whole(name: str, first: bytes, stream: IO[bytes], number: int, unread: Unread) -> Iterator[Item]:
    """A first line that is no JSON by itself: one value over many lines, or JSON lines of which the first is broken."""
    start = first.lstrip()[:1]
    rest = b""
    if start in b"{[" and start:
        rest = stream.read(WHOLE)
        value = _value(first + rest)
        if value is not None:
            yield from _several(name, value)
            return
    fields = flow_header(first.decode("ascii", "replace")) or ()
    if not fields:
        yield _line(name, number, first)
    yield from _lines(name, io.BytesIO(rest) if rest else stream, number, unread, fields)


def _members(value: Any) -> list[Any] | None:
    if isinstance(value, dict):
        for wrapper in ("Records", "records"):
            if isinstance(value.get(wrapper), list):
                records: list[Any] = value[wrapper]
                return records
        if value.get("resourceType") == "Bundle" and isinstance(value.get("entry"), list):
            return [entry.get("resource") if isinstance(entry, dict) else None for entry in value["entry"]]
    return value if isinstance(value, list) else None


def _several(name: str, value: Any) -> Iterator[Item]:
    members = _members(value)
    for number, member in enumerate([value] if members is None else members, 1):
        yield Item(name, number, member, None) if isinstance(member, dict) else _no_object(name, number)


def _no_object(name: str, number: int) -> Item:
    return Item(name, number, None, "the record is JSON, but no object")


_READERS: dict[str, Callable[..., Iterator[Item]]] = {
    "json": _read,
    "csv": _rows,
    "lines": _texts,
    "log": _log,
}
