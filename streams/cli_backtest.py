"""``wardwatch backtest``: the command. What it does is in :mod:`streams.commands.backtest`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli_sources import Format, form_or_exit, source_or_exit, sources_or_exit
from streams.commands.configured import reader_or_exit, settings_or_exit
from streams.commands.terminal import fail, print_json

if TYPE_CHECKING:
    from streams.reading import Item
    from streams.scanning import Scan
    from streams.settings import Settings
    from streams.sources.known import Sources

__all__ = ["register"]

#: Seconds between two lines of progress.
_TELLING = 2.0


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @app.command(short_help="What rules would have found.")
    def backtest(
        rules: Annotated[
            list[Path], typer.Option(metavar="PATH", help="A file or folder of candidate rules; repeatable.")
        ],
        files: Annotated[list[str] | None, typer.Argument(metavar="FILE", help="As detect takes them.")] = None,
        kafka: Annotated[bool, typer.Option("--kafka", help="Read what Kafka's audit topics hold, not files.")] = False,
        since: Annotated[str, typer.Option(metavar="WHEN", help="Events from then on: 30d, 12h, or a date.")] = "",
        until: Annotated[str, typer.Option(metavar="WHEN", help="Events before then.")] = "",
        source: Annotated[str, typer.Option(metavar="NAME", help="As for detect.")] = "auto",
        against: Annotated[
            list[Path] | None,
            typer.Option(
                metavar="PATH",
                help="The active rules; without it those that workers here would load, with --kafka the published too.",
            ),
        ] = None,
        form: Format = "auto",
        as_json: Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")] = False,
    ) -> None:
        """Try rules on recorded events: hits a day, whom and what they are about, which rules find the same, and how
        many alerts a day there would be, of correlations too, which may refer to active rules. A candidate with the id
        of an active rule is taken as its next version.
        """
        from detectors.rules import load  # noqa: PLC0415
        from streams.commands.accesses import NotAsked, moment  # noqa: PLC0415
        from streams.commands.backtest import backtest as tried  # noqa: PLC0415
        from streams.commands.backtest import both  # noqa: PLC0415
        from streams.commands.backtest_counts import Period  # noqa: PLC0415
        from streams.commands.backtest_counts import as_json as told  # noqa: PLC0415
        from streams.commands.backtest_report import report  # noqa: PLC0415
        from streams.commands.published import board  # noqa: PLC0415
        from streams.embedded.jars import cache_folder  # noqa: PLC0415
        from streams.scanning import Scan  # noqa: PLC0415

        if kafka == bool(files):
            fail("name files, or say --kafka")
        for path in [*rules, *(against or [])]:
            if not path.exists():
                fail(f"{path} is not there")
        settings, sources, now = settings_or_exit(), sources_or_exit(), int(time.time() * 1000)
        try:
            period = Period(moment(since, now) if since else 0, moment(until, now) if until else 1 << 62)
        except NotAsked as exc:
            fail(str(exc))
        cache = cache_folder() / "rules.cache"
        candidates = load(rules, cache=cache, **settings.rule_context)
        for problem in candidates.unread:
            print(problem, file=sys.stderr)
        if not candidates.rules and not candidates.written:
            fail("there is no rule to try")
        ours = [path.expanduser() for path in settings.rules]
        published = board(settings).texts if kafka and not against else {}
        active = load(
            against or ours, beside_starter=not against, published=published, cache=cache, **settings.rule_context
        )
        scan = None if kafka else Scan(both(candidates, active), sample=True)
        result = tried(
            _items(files or [], settings, sources, period.since, scan, form_or_exit(form)),
            candidates,
            active,
            reader_or_exit(both(candidates, active)),
            source=source_or_exit(source, sources),
            sources=sources,
            scan=scan,
            period=period,
            now=now,
            errors=sys.stderr,
            progress=_Progress() if sys.stderr.isatty() else lambda records: None,
        )
        if as_json:
            print_json(told(result))
        else:
            for line in report(result, {rule.id: rule.title for rule in active.rules}):
                print(line)
        raise typer.Exit(1 if result.errors else 0)


def _items(
    files: list[str], settings: Settings, sources: Sources, since: int, scan: Scan | None, form: str
) -> Iterator[Item]:
    from streams.reading import read_files  # noqa: PLC0415
    from streams.recorded import recorded  # noqa: PLC0415

    return recorded(settings, sources, since=since) if scan is None else read_files(files, form, scan.unread)


class _Progress:
    """Says on standard error, every two seconds, how far it is and how fast."""

    def __init__(self) -> None:
        self._began = self._told = time.monotonic()

    def __call__(self, records: int) -> None:
        now = time.monotonic()
        if now - self._told >= _TELLING:
            self._told = now
            print(f"{records:,} records, {records / (now - self._began):,.0f} a second", file=sys.stderr)
