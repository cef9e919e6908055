"""Syslog messages: RFC 5424's header, RFC 3164's where an old sender writes it, and RFC 5425's octet counting.

A message becomes a Mapping of what it carries, XML or JSON, and of its header as ``syslog``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from re import DOTALL
from re import compile as regex
from typing import Any, Final

from streams.sources.base import BadRecord

__all__ = ["COUNTED", "is_syslog", "parse_syslog", "uncounted"]

#: RFC 5425, 4.3: MSG-LEN SP. Seven digits are more than any record may have.
COUNTED: Final = regex(rb"([1-9][0-9]{0,6}) (?=<[0-9])")
_PRIORITY: Final = regex(rb"<([0-9]{1,3})>")
#: RFC 5424, 6: VERSION, TIMESTAMP, HOSTNAME, APP-NAME, PROCID, MSGID, STRUCTURED-DATA, and the MSG after it.
_HEADER: Final = regex(
    rb"1 (\S{1,48}) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) "
    rb'(-|(?:\[(?:[^\]"\\]|"(?:[^"\\]|\\.)*")*\])+)(?: (.*))?',
    DOTALL,
)
_NAMES: Final = ("timestamp", "hostname", "appname", "procid", "msgid", "structured_data")
#: Where an audit message begins, behind a header that is not RFC 5424's.
_CONTENT: Final = regex(rb"<(?:\?xml|(?:[\w.-]{1,64}:)?AuditMessage)\b|\{")
_BOM: Final = b"\xef\xbb\xbf"


def is_syslog(raw: bytes) -> bool:
    """Whether it begins as a syslog message does, counted or not."""
    return _PRIORITY.match(raw) is not None or COUNTED.match(raw) is not None


def uncounted(raw: bytes) -> bytes:
    """One message without the octet count before it. Raises BadRecord where the count is wrong."""
    counted = COUNTED.match(raw)
    if counted is None:
        return raw
    message = raw[counted.end() :]
    if len(message) < int(counted[1]):
        raise BadRecord("the syslog message is shorter than the number before it says")
    if message[int(counted[1]) :].strip():
        raise BadRecord("the syslog message is longer than the number before it says")
    return message[: int(counted[1])]


def parse_syslog(raw: bytes, content: Callable[[bytes], Mapping[str, Any]]) -> dict[str, Any]:
    """The message's header as ``syslog``, and what ``content`` makes of what it carries. Raises BadRecord."""
    message = uncounted(raw)
    priority = _PRIORITY.match(message)
    if priority is None or int(priority[1]) > 191:
        raise BadRecord("the syslog message has no priority from 0 to 191")
    header: dict[str, Any] = {"facility": int(priority[1]) // 8, "severity": int(priority[1]) % 8}
    found = _HEADER.fullmatch(message, priority.end())
    if found is not None:
        for name, value in zip(_NAMES, found.groups(), strict=False):
            if value != b"-":
                header[name] = value.decode("utf-8", "replace")
        carried = found[7] or b""
    else:
        begin = _CONTENT.search(message, priority.end())
        carried = message[begin.start() :] if begin else b""
    carried = carried.removeprefix(_BOM).strip()
    if carried[:1] not in (b"<", b"{"):
        raise BadRecord("the syslog message carries neither XML nor JSON")
    return {**content(carried), "syslog": header}
