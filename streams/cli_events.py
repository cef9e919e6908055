"""``wardwatch who`` and ``wardwatch timeline``: the commands. What they do is in :mod:`streams.commands.accesses`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.configured import keys_or_exit, settings_or_exit
from streams.commands.terminal import print_json

if TYPE_CHECKING:
    from streams.commands.accesses import Answer

__all__ = ["register"]

Since = Annotated[str, typer.Option(metavar="WHEN", help="From then on: 30d, 12h, or a date.")]
Until = Annotated[str, typer.Option(metavar="WHEN", help="Up to then; now, where it is left out.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why you ask; others read it.")]
Json = Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(short_help="Who looked at a patient's records.")(who)
    app.command("timeline", short_help="Events and alerts of one entity.")(show_timeline)


def who(
    patient: Annotated[
        str, typer.Argument(metavar="PATIENT", help="As services write it, such as Patient/123; or a pseudonym.")
    ],
    since: Since = "30d",
    until: Until = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Who opened a patient's records: actor, times, how often, what they did, for which purpose, told by which source.

    That you ask is an audit event, which Kafka has before anything is shown.
    """
    from streams.commands.accesses import moment  # noqa: PLC0415
    from streams.commands.accesses import who as run  # noqa: PLC0415

    settings, now = settings_or_exit(), int(time.time() * 1000)
    begin, end = moment(since, now), moment(until, now) if until else now
    answer = run(settings, keys_or_exit(settings), patient, since=begin, until=end, reason=reason)
    if as_json:
        print_json({"accesses": [access.json() for access in answer.entries], "caveats": answer.caveats})
        return
    _tell(answer)
    for access in answer.entries:
        often, until = (f"{access.count:,} times", f" to {_when(access.last)}") if access.count > 1 else ("once", "")
        print(f"{access.actor}  {often}, {_when(access.first)}{until}")
        parts = (access.actions, access.purposes, access.outcomes, access.sources)
        print("    " + "; ".join(told for told in map(_counted, parts) if told))


def show_timeline(
    entity: Annotated[
        str, typer.Argument(metavar="ENTITY", help="As alerts write it: user:…, device:…; or a patient as for who.")
    ],
    since: Since = "7d",
    until: Until = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Events and alerts of one entity, in order of time. That you ask is an audit event, as with who."""
    from streams.commands.accesses import moment, timeline  # noqa: PLC0415

    settings, now = settings_or_exit(), int(time.time() * 1000)
    begin, end = moment(since, now), moment(until, now) if until else now
    answer = timeline(settings, keys_or_exit(settings), entity, since=begin, until=end, reason=reason)
    if as_json:
        print_json({"entries": answer.entries, "caveats": answer.caveats})
        return
    _tell(answer)
    for entry in answer.entries:
        print(f"{_when(entry['time'])}  {_line(entry)}")


def _line(entry: dict[str, Any]) -> str:
    from streams.commands.alert_line import printable  # noqa: PLC0415

    if entry["kind"] == "alert":
        return printable(f"ALERT {entry['severity']}: {entry['title']} ({entry['actor']})")
    about = f" on {', '.join(entry['patients'])}" if entry["patients"] else ""
    return printable(f"{entry['actor']} {entry['action']}{about}: {entry['outcome']} ({entry['source']})")


def _tell(answer: Answer) -> None:
    for caveat in answer.caveats:
        print(f"wardwatch: {caveat}", file=sys.stderr)
    if not answer.entries:
        print("wardwatch: nothing is kept of that", file=sys.stderr)


def _counted(counts: Counter[str]) -> str:
    from streams.commands.alert_line import printable  # noqa: PLC0415

    return printable(", ".join(f"{name} {number:,}" for name, number in counts.most_common()))


def _when(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"
