"""Rows of delimited files (RFC 4180): one record per row, its members named by the header.

The delimiter is the one of comma, semicolon, tab and bar that the header has most of. Text is UTF-8, or UTF-16 with a
byte order mark, as spreadsheets write it. A row with more or fewer values than the header costs itself alone.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import IO, Final

from streams.sources.base import BadRecord

__all__ = ["Row", "rows"]

_DELIMITERS: Final = ",;\t|"
#: Characters of one value; a quote that is never closed takes no more of the file with it.
_LONGEST: Final = 131_072
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

#: A row's line, from 1, and what it says or why it says nothing.
Row = tuple[int, dict[str, str] | str]


def rows(stream: IO[bytes]) -> Iterator[Row]:
    """Every row under the header. Raises BadRecord where there is no header that rows could go by."""
    csv.field_size_limit(_LONGEST)
    lines = _lines(stream)
    header = next(lines, "")
    delimiter = max(_DELIMITERS, key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    names = [name.strip() for name in names]
    if len(names) < 2 or not all(names):
        raise BadRecord("the first line is no header: two names or more, with , ; | or tabs between them, are one")
    if len(set(names)) < len(names):
        raise BadRecord("the header names a column twice: rename one")
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        start = reader.line_num + 2
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield start, f"a value has more than {_LONGEST} characters: is a quote not closed?"
            continue
        if not cells:
            continue
        if any(_BROKEN in cell for cell in cells):
            yield start, "the row is no UTF-8: export the table so, or convert it first"
        elif len(cells) != len(names):
            yield start, f"the row has {len(cells)} values where the header names {len(names)} columns"
        else:
            yield start, dict(zip(names, cells, strict=True))


#: Stands for bytes that are no text: a character that no text has.
_BROKEN: Final = "\udfff"


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """The lines as text, each with its end, which a quoted value may hold."""
    buffered = io.BufferedReader(stream) if not isinstance(stream, io.BufferedReader) else stream  # type: ignore[type-var]
    head = buffered.peek(3)[:3]
    encoding = "utf-8"
    for mark, named in _MARKS:
        if head.startswith(mark):
            buffered.read(len(mark))
            encoding = named
    if encoding == "utf-8":
        for line in buffered:
            try:
                yield line.decode()
            except UnicodeDecodeError:
                yield _BROKEN + line.decode("latin-1")
    else:
        yield from io.TextIOWrapper(buffered, encoding, errors="replace", newline="")
