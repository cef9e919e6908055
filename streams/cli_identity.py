"""``wardwatch reveal`` and ``wardwatch keys``: the commands. What they do is in :mod:`streams.commands`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.configured import keys_or_exit, settings_or_exit
from streams.commands.terminal import print_json

if TYPE_CHECKING:
    from streams.commands.pseudonym_keys import PseudonymKeys

__all__ = ["keys_app", "reveal"]

keys_app = typer.Typer(
    rich_markup_mode=None,
    help="The keys that make pseudonyms of patients: see them, begin a new one, destroy one that nothing needs.",
)

Json = Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Eight characters, as keys list prints it.")]


def reveal(
    pseudonym: Annotated[str, typer.Argument(metavar="PSEUDONYM", help="As an alert has it: patient:…")],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; others read it. A case's number, and no name of a patient.")
    ],
    as_json: Json = False,
) -> None:
    """Who a pseudonym is. An audit event says who asked and why; it is in Kafka before anything is shown.

    It opens only where the vault's private key is, and shows up as an alert.
    """
    from streams.commands.reveal import reveal as run  # noqa: PLC0415

    settings = settings_or_exit()
    found = run(settings, keys_or_exit(settings), pseudonym, reason)
    if not found.checked:
        print("wardwatch: its key is not here, so that nobody else wrote this is not proven", file=sys.stderr)
    if as_json:
        print_json({"pseudonym": pseudonym, **found.identity._asdict(), "checked": found.checked})
        return
    print(found.identity.identifier)


@keys_app.command("list", short_help="Which keys there are, and since when each is in use.")
def keys_list(as_json: Json = False) -> None:
    """Which keys there are, since when each is in use, and whether this host has it."""
    found = _pseudonym_keys().rows()
    if as_json:
        print_json([row._asdict() for row in found])
        return
    for row in found:
        print(f"{row.key}  {'here' if row.here else 'not here':<9} {row.told()}")


@keys_app.command("create", short_help="Make the next key, to be carried to other hosts.")
def keys_create() -> None:
    """Make the next pseudonym key, or name the one that waits. Nothing uses it before keys rotate."""
    name, path = _pseudonym_keys().create()
    print(f"{name}  waits in {path}: copy it to every worker's host, then run wardwatch keys rotate on this one")


@keys_app.command("rotate", short_help="Name patients by the next key.")
def keys_rotate(
    overlap: Annotated[
        float, typer.Option(metavar="DAYS", min=0, max=366, help="How long the old key goes on counting beside it.")
    ] = 7.0,
) -> None:
    """Announce the next pseudonym key: one made by keys create, or a new one. It starts after rotation_notice seconds.

    Windows that are open go on under the old pseudonym for as long as the two overlap; then under the new one.
    """
    for line in _pseudonym_keys().rotate(overlap_ms=int(overlap * 86_400_000)):
        print(line)


@keys_app.command("destroy", short_help="Delete a key that nothing needs any more, everywhere.")
def keys_destroy(
    key: Key, yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you mean it.")] = False
) -> None:
    """Delete an old key here and at every worker. Nobody can try identifiers against its pseudonyms any more.

    What the vault holds stays. It is refused while records that need the key have not been taken.
    """
    keys = _pseudonym_keys()
    keys.check_destroy(key)
    if not yes:
        typer.confirm(f"Delete {key} for good?", abort=True)
    for line in keys.destroy(key):
        print(line)


def _pseudonym_keys() -> PseudonymKeys:
    from streams.commands.pseudonym_keys import PseudonymKeys  # noqa: PLC0415

    settings = settings_or_exit()
    return PseudonymKeys(settings, keys_or_exit(settings), now=int(time.time() * 1000))
