"""One alert in one line that a person reads at a glance: when, how bad, who, what, why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["alert_line"]

_COLOURS = {"critical": "1;31", "high": "31", "medium": "33", "low": "36", "informational": "2"}
#: Columns for who, on a terminal: titles begin below each other.
_WHO = 32


def alert_line(alert: Mapping[str, Any], *, now: float, width: int = 0, colour: bool = False) -> str:
    """``alert`` as stored, without a line break. Times are local; another day's carry their date.

    ``now``: seconds since the epoch. ``width``: columns of the terminal, to which who and why are cut; 0 cuts nothing,
    so that what is piped can be searched.
    """
    severity = f"{alert['severity']:<8}"
    who, what = printable(alert["entity"]), f"{printable(alert['title'])}: {_why(alert)}"
    when = _when(alert["last_seen"], now)
    if width:
        who = f"{shortened(who, _WHO):<{_WHO}}"
        what = _cut(what, max(20, width - len(when) - len(severity) - len(who) - 6))
    if colour:
        severity = f"\x1b[{_COLOURS[alert['severity']]}m{severity}\x1b[0m"
    return f"{when}  {severity}  {who}  {what}"


def _when(time: int, now: float) -> str:
    try:
        when = datetime.fromtimestamp(time / 1000, UTC).astimezone()
    except (OverflowError, ValueError, OSError):  # an event may claim any year
        return f"{time} ms"
    today = datetime.fromtimestamp(now, UTC).astimezone().date()
    return when.strftime("%H:%M:%S" if when.date() == today else "%Y-%m-%d %H:%M:%S")


def _why(alert: Mapping[str, Any]) -> str:
    """What was done and from where; then a model's own words. A rule's title says why already."""
    finding = alert["findings"][0]
    act = printable(_act(finding["evidence"], alert["entity"]))
    reason = printable(alert["reason"])
    if finding["detector"] == "sigma":
        return act or reason
    return f"{act}. {reason}" if act else reason


def _act(evidence: Mapping[str, Any], entity: str) -> str:
    """What was done, on what and from where, as far as ``entity`` does not say it already."""
    act = str(evidence.get("event.action", ""))
    for word, name in (("on", "device.id"), ("from", "source.ip")):
        value = str(evidence.get(name, ""))
        if value and value not in entity:
            act = f"{act} {word} {value}".strip()
    return act


def printable(text: str) -> str:
    """``text`` without anything that moves a cursor or hides: senders choose it."""
    return "".join(c if c.isprintable() else "?" for c in text)


def shortened(text: str, width: int) -> str:
    """``text`` in ``width`` columns: its kind and its end, which tell names apart best."""
    if len(text) <= width:
        return text
    kind = text.partition(":")[0][:12] + ":…"
    return kind + text[len(kind) - width :]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
