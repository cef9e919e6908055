"""Eclipse Mosquitto's log, a line a record: as ``message``, or ``log`` as Fluent Bit has it, and what a shipper adds.

The lines are those that Mosquitto 2.0 and 2.1 write with any ``log_type``. The time is the line's own, seconds since
the epoch as by default, or with ``log_timestamp_format %Y-%m-%dT%H:%M:%S%z``; else the shipper's. A time without an
offset is refused: nobody knows whose it is. A client chooses its id and may put anything into it, so whatever
a line says is read from its ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import Pattern
from re import compile as regex
from typing import Any, Final

from streams.sources.base import BadRecord, Draft, LogSource
from streams.sources.broker import RELEASED, broker_event
from streams.sources.times import milliseconds

__all__ = ["MOSQUITTO", "Mosquitto"]

_STAMPED: Final = regex(r"(\d{9,10}|\d{4}-\d\d-\d\dT[0-9:.]{8,16}(?:Z|[+-]\d\d:?\d\d)?): ?(.*)")
#: Where a shipper puts the line, and the time at which it read it.
_LINES: Final = ("message", "log")
_TIMES: Final = ("@timestamp", "timestamp", "time")
_PEER: Final = r"(?P<address>[0-9A-Fa-f.:]+|\[[0-9A-Fa-f:]+\])"
_WHO: Final = rf"(?P<client>.+?)(?: \[{_PEER}:(?P<port>\d+)\])?"
_SENT: Final = r"(?P<client>.*) \(d\d, q\d, r\d, m\d+, '.*', \.\.\. \(\d+ bytes\)\)"
_ENDED: Final = {
    "": "",
    "not authorised": "not authorised",
    "not authorized": "not authorised",
    "bad username or password": "not authorised",
    "protocol error": "protocol error",
    "session taken over": "session taken over",
    "exceeded timeout": "timeout",
    "already connected": "session taken over",
    "socket error": "socket error",
}


#: Line, act and outcome; the first that fits.
_KNOWN: Final[tuple[tuple[Pattern[str], str, str], ...]] = (
    (
        regex(
            rf"New (?:bridge|client) connected from {_PEER}:(?P<port>\d+) as (?P<client>.*)"
            r" \(p\d, c[01], k\d+(?:, u'(?P<user>.*)')?\)\.?"
        ),
        "mqtt-authenticate",
        "success",
    ),
    (regex(rf"New connection from {_PEER}:(?P<port>\d+) on port \d+\.?"), "mqtt-connection-open", "success"),
    (regex(rf"Sending CONNACK to {_PEER} \(\d+, [1-9]\d*\)"), "mqtt-authenticate", "failure"),
    (regex(rf"Client connection from {_PEER}(?::(?P<port>\d+))? (?:denied|failed).*"), "mqtt-authenticate", "failure"),
    (
        regex(
            rf"Client {_WHO} disconnected(?:, |: | due to )(?P<reason>not authori[sz]ed|bad username or password)\.?"
        ),
        "mqtt-authenticate",
        "failure",
    ),
    (regex(rf"Client {_WHO} disconnected(?:(?:, |: | due to )(?P<reason>.*?))?\.?"), "mqtt-disconnect", "success"),
    (regex(rf"Client {_WHO} closed its connection\.?"), "mqtt-disconnect", "success"),
    (regex(rf"Client {_WHO} has (?P<reason>exceeded timeout), disconnecting\.?"), "mqtt-disconnect", "failure"),
    (
        regex(r"Client (?P<client>.+) (?P<reason>already connected), closing old connection\.?"),
        "mqtt-disconnect",
        "failure",
    ),
    (regex(rf"(?P<reason>Socket error) on client {_WHO}, disconnecting\.?"), "mqtt-disconnect", "failure"),
    (
        regex("Denied PUBLISH from " + _SENT),
        "mqtt-publish",
        "failure",
    ),
    (regex(r"Denied SUBSCRIBE from (?P<client>.+)"), "mqtt-subscribe", "failure"),
    (regex(r"Received SUBSCRIBE from (?P<client>.+)"), "mqtt-subscribe", "unknown"),
    (regex(r"Received UNSUBSCRIBE from (?P<client>.+)"), "mqtt-unsubscribe", "unknown"),
    (
        regex("Received PUBLISH from " + _SENT),
        "mqtt-message",
        "unknown",
    ),
    (regex(r"mosquitto version \S+ starting"), "mqtt-broker-start", "success"),
    (regex(r"mosquitto version \S+ terminating"), "mqtt-broker-stop", "success"),
)
_NOBODY: Final = "<unknown>"
_LONGEST: Final = 65_536


class Mosquitto:
    """The source ``mosquitto``; see :class:`streams.sources.base.Source`."""

    name = "mosquitto"
    topic = "audit.iot"
    logsource = LogSource(product="mosquitto", service="mqtt", category="broker")
    lateness = 60_000
    subject = "device"
    released = RELEASED
    lines = True

    def recognises(self, record: Mapping[str, Any]) -> bool:
        text, stamp = _split(record)
        # Nobody else writes seconds and a colon; another time alone is anybody's.
        return stamp.isdecimal() or (stamp != "" and any(pattern.fullmatch(text) for pattern, _, _ in _KNOWN))

    def normalise(self, record: Mapping[str, Any]) -> Draft:
        text, stamp = _split(record)
        if not text:
            raise BadRecord(
                "message is missing" if not any(name in record for name in _LINES) else "message is no line"
            )
        time = _time(stamp, record)
        for pattern, act, outcome in _KNOWN:
            if found := pattern.fullmatch(text):
                told = found.groupdict()
                client, port = told.get("client") or "", told.get("port")
                return broker_event(
                    self.name,
                    time,
                    act,
                    outcome,
                    client="" if client == _NOBODY else client,
                    user=told.get("user") or "",
                    address=told.get("address") or "",
                    port=int(port[:6]) if port else None,
                    reason=_ENDED.get((told.get("reason") or "").lower(), ""),
                )
        return broker_event(self.name, time, "mqtt-log", "unknown")


def _split(record: Mapping[str, Any]) -> tuple[str, str]:
    """The line without its time, and its time; "" where there is none."""
    for name in _LINES:
        text = record.get(name)
        if isinstance(text, str) and 0 < len(text) <= _LONGEST:
            text = text.rstrip("\r\n")
            found = _STAMPED.fullmatch(text)
            return (found[2], found[1]) if found else (text, "")
    return "", ""


def _time(stamp: str, record: Mapping[str, Any]) -> int:
    if stamp.isdecimal():
        return int(stamp) * 1000
    if stamp:
        return milliseconds(stamp, "the line's time")
    for name in _TIMES:
        if name in record:
            return milliseconds(record[name], name)
    raise BadRecord("the line has no time of Mosquitto's, and the shipper says none")


MOSQUITTO: Final = Mosquitto()
