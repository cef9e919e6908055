"""What a record's bytes are where they are no JSON: XML, syslog around XML or JSON, HL7 v2. The first bytes decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from streams.er7 import is_er7, parse_er7
from streams.syslog import is_syslog, parse_syslog
from streams.xml_records import parse_xml

__all__ = ["is_other", "parse_other"]

#: Byte order marks that XML may begin with; expat reads all three.
_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def is_other(raw: bytes) -> bool:
    """Whether ``raw`` begins like a record of one of these formats."""
    start = raw[:512].lstrip()
    return start[:1] == b"<" or start.startswith(_MARKS) or is_syslog(start) or is_er7(start)


def parse_other(raw: bytes, json: Callable[[bytes], Mapping[str, Any]]) -> Mapping[str, Any]:
    """The record as a Mapping; ``json`` reads JSON that syslog carries. Raises BadRecord."""
    start = raw.lstrip(b" \t\r\n")
    if is_syslog(start):
        return parse_syslog(start, lambda carried: parse_xml(carried) if carried[:1] == b"<" else json(carried))
    if is_er7(start):
        return parse_er7(start)
    return parse_xml(start)
