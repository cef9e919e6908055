"""``wardwatch config``, ``doctor`` and ``completion``: what an installation is, whether it is well, and less typing."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from streams.commands.configured import settings_or_exit
from streams.commands.terminal import print_json

__all__ = ["prepare_completion", "register"]

Json = Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")]


class Shell(StrEnum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


class Role(StrEnum):
    """What a host is for, as deploy/kafka/acls.toml names it."""

    worker = "worker"
    events = "events"
    identity = "identity"


def config(as_json: Json = False) -> None:
    """Each setting, its value or ***, and where it came from. Exit 1 where a name is no setting."""
    from dataclasses import asdict  # noqa: PLC0415

    from streams.commands.config import settings_told, unknown_names  # noqa: PLC0415

    unknown = unknown_names()
    for name in unknown:
        meant = f": did you mean {name.nearest}" if name.nearest else ""
        print(f"wardwatch: {name.name} in {name.origin} is no setting{meant}", file=sys.stderr)
    told = settings_told(settings_or_exit())
    if as_json:
        print_json({"settings": [asdict(one) for one in told], "unknown": [asdict(one) for one in unknown]})
    else:
        width = max(len(one.name) for one in told)
        for one in told:
            value = str(one.value).lower() if isinstance(one.value, bool) else str(one.value)
            print(f"{one.name:<{width}}  {value:<34} {one.origin}")
    raise typer.Exit(1 if unknown else 0)


def doctor(
    as_json: Json = False,
    role: Annotated[
        Role | None, typer.Option(metavar="ROLE", help="worker, events or identity: what this host is for, if one.")
    ] = None,
) -> None:
    """Look at settings, keys, disk, Kafka, Elasticsearch and the clock; say what is wrong and how to mend it.

    Changes nothing. Exit 1 where something keeps a worker from its work; a warning alone is exit 0.
    """
    from dataclasses import asdict  # noqa: PLC0415

    from streams.commands.doctor import findings, lines  # noqa: PLC0415

    found = list(findings(settings_or_exit(), role.value if role else ""))
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        for line in lines(found):
            print(line)
    raise typer.Exit(1 if any(one.level == "error" for one in found) else 0)


def completion(shell: Annotated[Shell, typer.Argument(help="Whose completion to print.")]) -> None:
    """Print what makes a shell complete commands and options; wardwatch must be on your PATH.

    bash: eval "$(wardwatch completion bash)" in ~/.bashrc; zsh likewise in ~/.zshrc after compinit; fish: wardwatch
    completion fish > ~/.config/fish/completions/wardwatch.fish.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # noqa: PLC0415

    print(get_completion_script(prog_name="wardwatch", complete_var="_WARDWATCH_COMPLETE", shell=shell.value))


def prepare_completion() -> None:
    """Let the app answer what the printed scripts ask. Typer does it itself only with two options that write files."""
    from typer.completion import completion_init  # type: ignore[attr-defined]  # noqa: PLC0415

    completion_init()


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(short_help="Each setting, and where it came from.")(config)
    app.command(short_help="What is wrong here, and how to mend it.")(doctor)
    app.command(short_help="Completion for bash, zsh or fish.")(completion)
