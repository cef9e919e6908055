"""``wardwatch sources``: the commands. What they do is in :mod:`streams.commands.sources`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.configured import settings_or_exit
from streams.commands.terminal import fail

if TYPE_CHECKING:
    from streams.sources.known import Sources

__all__ = ["Format", "form_or_exit", "source_or_exit", "sources_app", "sources_or_exit"]

sources_app = typer.Typer(
    rich_markup_mode=None, help="The kinds of record there are; and tables of one's own, described in TOML files."
)

Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME",
        help="json, csv with a header, or lines of text; auto goes by the file's name: .csv, .tsv, .log.",
    ),
]


@sources_app.command("list", short_help="Every source, its topic and its log source in Sigma.")
def sources_list() -> None:
    """Every source, those that settings add included: its name, its topic, its log source in Sigma."""
    from streams.commands.sources import source_lines  # noqa: PLC0415

    for line in source_lines(sources_or_exit()):
        print(line)


@sources_app.command("check", short_help="Whether a table's file is right.")
def sources_check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The TOML file that describes a table.")],
    samples: Annotated[
        list[str] | None, typer.Argument(metavar="SAMPLE", help="Files with rows of it, as emit takes them.")
    ] = None,
    form: Format = "auto",
) -> None:
    """Everything that is wrong with a table's file, by key and reason; of each sample's row, what would leave ingest.

    Nothing is sent, and patients' pseudonyms are made up anew each time. Exit 1 if the file or a row is refused.
    """
    from streams.commands.sources import check  # noqa: PLC0415

    now = int(time.time() * 1000)
    form = form_or_exit(form)
    raise typer.Exit(check(file, samples or [], form=form, now=now, out=sys.stdout, errors=sys.stderr))


def form_or_exit(form: str) -> str:
    """``form``, where it is one that files have."""
    from streams.reading import FORMS  # noqa: PLC0415

    if form not in FORMS:
        fail(f"--format {form} is none of {', '.join(FORMS)}")
    return form


def sources_or_exit() -> Sources:
    """The sources of these settings; what is wrong with one is told, and it is left out."""
    from streams.sources.known import load_sources  # noqa: PLC0415

    sources, problems = load_sources(settings_or_exit().sources)
    for problem in problems:
        print(f"table not loaded: {problem}", file=sys.stderr)
    return sources


def source_or_exit(name: str, sources: Sources) -> str:
    """``name``, which is ``auto`` or that of a source."""
    if name != "auto":
        try:
            sources.by_name(name)
        except ValueError as exc:
            fail(str(exc))
    return name
