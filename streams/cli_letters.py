"""``wardwatch dead-letters``: the commands. What they do is in :mod:`streams.commands.letters`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.configured import keys_or_exit, settings_or_exit
from streams.commands.terminal import fail, print_json

if TYPE_CHECKING:
    from streams.commands.letters import Envelope

__all__ = ["letters_app"]

letters_app = typer.Typer(
    rich_markup_mode=None, help="Records that could not be processed: see why, mend the reason, send them again."
)

JsonLines = Annotated[bool, typer.Option("--json", help="For scripts: one JSON object a line.")]
Producer = Annotated[str, typer.Option(metavar="NAME", help="Only what this service sent.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Only where the reason contains this.")]


@letters_app.command("list", short_help="Where each came from, and why it is here.")
def letters_list(
    as_json: JsonLines = False,
    producer: Producer = "",
    reason: Reason = "",
    count: Annotated[bool, typer.Option("--count", help="How many for each reason, instead of each.")] = False,
    replayed: Annotated[bool, typer.Option("--replayed", help="Also those that were sent again.")] = False,
) -> None:
    """Where each came from and why it is here. What it says stays sealed."""
    from collections import Counter  # noqa: PLC0415
    from itertools import chain  # noqa: PLC0415

    from streams.commands.alert_line import printable  # noqa: PLC0415

    kept = (e for e in _letters(producer, reason) if replayed or not e.replayed)
    first = next(kept, None)
    if first is None:
        fits = " that fits" if producer or reason else ""
        print(f"there is no dead letter{fits}{'' if replayed else ', but for those sent again'}", file=sys.stderr)
        return
    found = chain([first], kept)
    if count:
        counts = Counter((e.clear["stage"], e.producer, e.clear["reason"]) for e in found)
        for (stage, sender, why), number in counts.most_common():
            if as_json:
                print_json({"count": number, "stage": stage, "producer": sender, "reason": why})
            else:
                print(f"{number:>8,}  {stage:<8} {printable(sender):<20} {printable(why)}")
        return
    for envelope in found:
        if as_json:
            print_json(envelope.json())
        else:
            again = "  (sent again)" if envelope.replayed else ""
            told = f"{envelope.clear['stage']:<8} {envelope.producer:<20} {envelope.clear['reason']}{again}"
            print(f"{envelope.name:<24} {printable(told)}")


@letters_app.command("show", short_help="What one says.")
def letters_show(position: Annotated[str, typer.Argument(metavar="POSITION", help="As list prints it.")]) -> None:
    """What one says. It may name patients: it opens only where the key is that it was sealed to."""
    from streams.commands.letters import open_envelope  # noqa: PLC0415

    for envelope in _letters("", ""):
        if envelope.name == position:
            try:
                opened = open_envelope(envelope, _private_key())
            except ValueError as exc:
                fail(str(exc))
            print(f"{opened.stage}: {opened.reason}", file=sys.stderr)
            sys.stdout.buffer.write(opened.value + b"\n")
            return
    fail(f"there is no dead letter {position}: wardwatch dead-letters list shows those there are")


@letters_app.command("replay", short_help="Send records again, once their reason is mended.")
def letters_replay(
    positions: Annotated[list[str] | None, typer.Argument(metavar="POSITION", help="As list prints them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were not sent again yet.")] = False,
    producer: Producer = "",
    reason: Reason = "",
) -> None:
    """Send records again to where they came from, under their own keys and ids: nothing counts twice.

    Name positions, or choose by --all, --producer or --reason among those that were not sent again yet.
    """
    from streams.commands.letters import replay  # noqa: PLC0415

    named = set(positions or ())
    if not (named or every or producer or reason):
        fail("name positions, or choose by --all, --producer or --reason")
    if named and (every or producer or reason):
        fail("name positions or choose, not both")

    def wanted(envelope: Envelope) -> bool:
        if named:
            return envelope.name in named
        return not envelope.replayed and _chosen(envelope, producer, reason)

    done = replay(settings_or_exit(), _private_key(), wanted)
    print(f"{len(done.sent):,} {'record' if len(done.sent) == 1 else 'records'} sent again")
    for why, number in done.kept.most_common():
        print(f"wardwatch: {number:,} not sent: {why}", file=sys.stderr)
    missing = named - done.sent - done.kept_names
    if missing:
        fail(f"not sent, for there is no such letter: {', '.join(sorted(missing))}")
    raise typer.Exit(1 if done.kept else 0)


def _letters(producer: str, reason: str) -> Iterator[Envelope]:
    from streams.commands.letters import envelopes  # noqa: PLC0415

    return (envelope for envelope in envelopes(settings_or_exit()) if _chosen(envelope, producer, reason))


def _chosen(envelope: Envelope, producer: str, reason: str) -> bool:
    return producer in ("", envelope.producer) and reason in envelope.clear["reason"]


def _private_key() -> bytes:
    try:
        return keys_or_exit(settings_or_exit()).dead_letter_private()
    except ValueError as exc:
        fail(str(exc))
