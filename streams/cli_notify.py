"""``wardwatch notify``: the commands. What they do is in :mod:`streams.commands.notify`."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.commands.configured import keys_or_exit, settings_or_exit
from streams.commands.terminal import fail, print_json

__all__ = ["notify_app"]

notify_app = typer.Typer(rich_markup_mode=None, help="Receivers: which there are, and whether one can be reached.")


@notify_app.command("list", short_help="Receivers, and what each is sent.")
def notify_list(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON object a line.")] = False,
) -> None:
    """Receivers, where each is and what it is sent. Secrets, and addresses that are secrets, are not shown."""
    from streams.commands.notify import listed, receiver_line  # noqa: PLC0415

    receivers = settings_or_exit().receivers
    for name in sorted(receivers):
        if as_json:
            print_json(listed(name, receivers[name]))
        else:
            print(receiver_line(listed(name, receivers[name])))
    if not receivers and not as_json:
        print("no receivers are set: docs/receivers.md shows one of each kind")


@notify_app.command("test", short_help="Send one receiver a test message.")
def notify_test(name: Annotated[str, typer.Argument(metavar="NAME", help="As list prints it.")]) -> None:
    """Send one receiver a message that says it is a test, and tell in one line what it answered.

    It is tried once, whatever the receiver's filters and caps. Exit 1 if it was not taken.
    """
    from streams.commands.notify import send_test  # noqa: PLC0415

    settings = settings_or_exit()
    if name not in settings.receivers:
        known = ", ".join(sorted(settings.receivers)) or "none"
        fail(f"there is no receiver {name}: the settings have {known}")
    try:
        taken, line = send_test(settings, name, keys_or_exit(settings))
    except ValueError as exc:
        fail(str(exc))
    if not taken:
        fail(line)
    print(line)
