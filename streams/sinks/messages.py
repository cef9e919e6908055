"""What a person on call is told, before it takes the form of a receiver: few words, none of them a patient's.

Senders choose some of these words (names of users, devices, buckets), so nothing here moves a cursor, hides or turns
text around, and whoever writes a format escapes what that format means. A pseudonym is still health data: a patient is
"a patient" here, and the page says which. The plain webhook alone carries alerts whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from detectors.base import Severity

__all__ = ["Message", "cut", "plain", "read_message", "timestamp", "utf8", "utf16"]

#: Characters of one word or sentence that somebody else chose; receivers' own limits are above or come on top.
_WORDS: Final = 500
#: A patient as ingest writes one.
_PATIENT = re.compile(r"patient:[^\s,;|\"'<>()\[\]]+")
_A_PATIENT: Final = "a patient"


class Message(NamedTuple):
    """One message. Every text is :func:`plain`."""

    id: str  #: the delivery's
    dedup: str  #: the same for what belongs together: revisions of an alert, or a group
    severity: Severity
    name: str  #: of what is told: a rule's title
    title: str
    text: str  #: why, or what is told together
    facts: tuple[tuple[str, str], ...]  #: name and value, for a list
    lines: tuple[str, ...]  #: what is told together, one line each
    first_seen: int  #: ms, as the event claims
    link: str  #: to the page; empty where its address is not set
    note: str  #: that this is the last message of the hour, or that this is a test
    over: bool = False  #: says that what an earlier message told of is over


def plain(text: object, limit: int = _WORDS) -> str:
    """``text`` in one line of at most ``limit`` characters, without patients' pseudonyms, control or format characters.

    What cannot be seen (also marks that turn the direction of writing) becomes ``?``.
    """
    named = _PATIENT.sub(_A_PATIENT, str(text)[: limit * 4])
    return cut(" ".join("".join(c if c.isprintable() else " " if c.isspace() else "?" for c in named).split()), limit)


def utf16(text: str) -> int:
    """Length as JavaScript counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf8(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def cut(text: str, limit: int, *, size: Callable[[str], int] = len, escape: Callable[[str], str] = str) -> str:
    """``text`` escaped, and so much of it that its ``size`` then is at most ``limit``. No escape is cut in two."""
    escaped = escape(text)
    if size(escaped) <= limit:
        return escaped
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if size(escape(text[:middle]) + "…") <= limit:
            low = middle
        else:
            high = middle - 1
    return escape(text[:low]) + "…" if limit else ""


def timestamp(ms: int) -> str:
    """``ms`` since the epoch as a person reads it, in UTC; an event may claim any year."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"


def read_message(delivery_id: str, body: bytes) -> Message:
    """The message of a delivery, as :mod:`streams.notify` keeps it. Raises ValueError (KeyError) on anything else."""
    told = orjson.loads(body)
    data = told["data"]
    kind = _KINDS.get(told["type"], _alert)
    message = kind(delivery_id, data)
    notes = []
    if told["type"] == "test":
        notes.append("This is a test, and no alert.")
        message = message._replace(title=f"[TEST] {message.title}")
    if told.get("last_of_hour"):
        until = timestamp(told["last_of_hour"]["until"])
        notes.append(
            f"{told['last_of_hour']['cap']} messages an hour were reached: what follows until {until} comes as one "
            f"summary; the page has it all at once."
        )
    dedup = told.get("group", message.dedup)
    return message._replace(link=str(told.get("url", "")), note=" ".join(notes), dedup=dedup)


def _alert(delivery_id: str, alert: Mapping[str, Any]) -> Message:
    finding = alert["findings"][0]
    facts = [
        ("Who", plain(alert["entity"])),
        ("Severity", plain(alert["severity"])),
        ("Seen", timestamp(alert["last_seen"])),
        ("Source", plain(finding["source"])),
        ("Found by", _finder(finding)),
    ]
    if techniques := plain(", ".join(map(str, finding["techniques"]))):
        facts.append(("ATT&CK", techniques))
    if address := plain(finding["rule"].get("reference", "")):
        facts.append(("Rule", address))
    if alert["revision"] > 1:
        facts.append(("Revision", str(alert["revision"])))
    return Message(
        delivery_id,
        alert["id"],
        alert["severity"],
        plain(alert["title"]),
        plain(alert["title"]),
        plain(alert["reason"]),
        tuple(facts),
        (),
        alert["first_seen"],
        "",
        "",
    )


def _resolved(delivery_id: str, alert: Mapping[str, Any]) -> Message:
    """Short, and for everything that tells messages apart the same as the message that told of it."""
    begun = _alert(delivery_id, alert)
    between = ("Seen", f"{timestamp(alert['first_seen'])} to {timestamp(alert['last_seen'])}")
    facts = tuple(between if name == "Seen" else (name, value) for name, value in begun.facts if name != "Revision")
    return begun._replace(title=f"Over: {begun.title}", facts=facts, over=True)


def _finder(finding: Mapping[str, Any]) -> str:
    rule = finding["rule"]
    if not rule.get("id"):
        return plain(finding["detector"])
    author = f", by {plain(rule['author'], 100)}" if rule.get("author") else ""
    return f"rule {plain(rule['id'], 100)}{author}"


def _grouped(delivery_id: str, data: Mapping[str, Any]) -> Message:
    count = data["count"]
    return Message(
        delivery_id,
        data["group"],
        data["severity"],
        plain(data["title"]),
        f"{count:,} more: {plain(data['title'])}",
        f"{count:,} more {'alert' if count == 1 else 'alerts'} of the same rule about the same entity.",
        (
            ("Who", plain(data["entity"])),
            ("Severity", _severities(data)),
            ("Seen", f"{timestamp(data['first_seen'])} to {timestamp(data['last_seen'])}"),
            ("Source", plain(data["source"])),
        ),
        _lines(data),
        data["first_seen"],
        "",
        "",
    )


def _summary(delivery_id: str, data: Mapping[str, Any]) -> Message:
    count = data["count"]
    rest = count - sum(data["titles"].values())
    titles = [f"{number:,} of: {plain(title, 200)}" for title, number in data["titles"].items()]
    return Message(
        delivery_id,
        delivery_id,
        data["severity"],
        "Alerts past the cap of an hour",
        f"{count:,} {'alert' if count == 1 else 'alerts'} past the cap of an hour",
        "They were not sent one by one. None is lost: the page has each of them.",
        (
            ("Severity", _severities(data)),
            ("Seen", f"{timestamp(data['first_seen'])} to {timestamp(data['last_seen'])}"),
        ),
        (*titles, f"{rest:,} of others") if rest else tuple(titles),
        data["first_seen"],
        "",
        "",
    )


def _severities(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{number:,} {plain(severity)}" for severity, number in data["severities"].items())


def _lines(data: Mapping[str, Any]) -> tuple[str, ...]:
    lines = [
        f"{timestamp(alert['last_seen'])} · {plain(alert['severity'])} · {plain(alert['reason'], 200)}"
        for alert in data["alerts"]
    ]
    if rest := data["count"] - len(data["alerts"]):
        lines.append(f"and {rest:,} more")
    return tuple(lines)


_KINDS: Final = {"alerts.grouped": _grouped, "alerts.summary": _summary, "alert.resolved": _resolved}
