"""``wardwatch rules publish``, ``withdraw``, ``release`` and ``status``: rules of every worker, while they run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from streams.commands.configured import settings_or_exit
from streams.commands.terminal import print_json

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("publish", short_help="Have every worker run rules.")(rules_publish)
    app.command("withdraw", short_help="Have none run them any more.")(rules_withdraw)
    app.command("release", short_help="Let a quarantined rule alert again.")(rules_release)
    app.command("status", short_help="Which rules each worker runs.")(rules_status)


def rules_publish(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files of Sigma rules.")],
    shadow: Annotated[bool, typer.Option("--shadow", help="Count what they match, and alert nobody.")] = False,
) -> None:
    """Put files of rules into Kafka, for every worker to run within ten seconds. A rule takes the place of any other
    of its id. Published again, a file of the same name is replaced. That you did is an audit event.
    """
    from streams.commands.published import publish  # noqa: PLC0415

    settings = settings_or_exit()
    for path in paths:
        count = publish(settings, path, shadow=shadow)
        print(f"{path.name}: {count:,} {'rule' if count == 1 else 'rules'} published{', in shadow' if shadow else ''}")


def rules_withdraw(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="As rules status lists them.")],
) -> None:
    """Take published files away again; rules of their ids in workers' folders, or that ship, come back."""
    from streams.commands.published import withdraw  # noqa: PLC0415

    settings = settings_or_exit()
    for name in names:
        withdraw(settings, name)
        print(f"{name}: withdrawn")


def rules_release(
    rules: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of rules, as rules status lists them.")],
) -> None:
    """Let rules alert again that workers put into quarantine, unchanged. A changed rule is free by itself."""
    from streams.commands.published import release  # noqa: PLC0415

    settings = settings_or_exit()
    for rule in rules:
        release(settings, rule)
        print(f"{rule}: released")


def rules_status(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")] = False,
) -> None:
    """Which set of rules each worker runs, who differs from the others, what is published, and what is in quarantine.

    Exit 1 where workers differ, a rule is in quarantine, or somebody does without what a later version wrote.
    """
    from streams.commands.alert_line import printable  # noqa: PLC0415
    from streams.commands.published import alive, board, differing  # noqa: PLC0415

    found = board(settings_or_exit())
    workers = alive(found, now=int(time.time() * 1000))
    others = differing(workers)
    if as_json:
        print_json(
            {
                "workers": {
                    name: {**running._asdict(), "differs": name in others} for name, running in workers.items()
                },
                "published": {name: {"shadow": file.shadow, "by": file.by} for name, file in found.files.items()},
                "quarantined": {rule: why._asdict() for rule, why in found.quarantined.items()},
                "not_read": dict(found.newer),
            }
        )
    else:
        for name, running in workers.items():
            counts = f"{running.loaded:,} rules, {running.problems:,} not loaded, {running.shadow:,} in shadow"
            print(f"worker       {name}: version {running.version}, {counts}{', differs' if name in others else ''}")
        if not workers:
            print("worker       none says anything")
        for name, file in sorted(found.files.items()):
            print(f"published    {printable(name)} by {printable(file.by)}{', in shadow' if file.shadow else ''}")
        for title, rule in sorted({pair for running in workers.values() for pair in running.shadowed}):
            print(f"in shadow    {printable(title)}: it is built on {printable(rule)}")
        for rule, why in sorted(found.quarantined.items()):
            print(f"quarantined  {printable(rule)} {printable(why.title)}: {printable(why.reason)}")
        for title, rule in sorted({pair for running in workers.values() for pair in running.lacking}):
            print(f"lacking      {printable(title)}: it does without {printable(rule)}, which is in quarantine")
        for key, version in sorted(found.newer.items()):
            print(f"not read     {printable(key)} is of format {version}: upgrade this host to see it")
        for name, running in workers.items():
            if running.newer:
                print(f"not read     {running.newer:,} files or quarantines by {name}: upgrade it")
    unread = found.newer or any(running.newer for running in workers.values())
    raise typer.Exit(1 if others or found.quarantined or unread else 0)
