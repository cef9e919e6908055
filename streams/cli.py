"""The command line. Each command is short here; what it does is in :mod:`streams.commands` and the modules it names.

Nothing heavy is imported until a command needs it, so that ``--help`` and a typing error answer at once.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

try:
    import typer
except ModuleNotFoundError:
    sys.exit("wardwatch: the emitter alone is installed here; the commands come with pip install 'wardwatch[server]'")

if TYPE_CHECKING:
    from streams.commands.letters import Envelope
    from streams.keys import Keys
    from streams.settings import Settings

__all__ = ["main"]

app = typer.Typer(
    help="Watches who touches health data: audit events in through Kafka, alerts out.\n\n"
    "Settings come from WARDWATCH_... in the environment and from wardwatch.toml, or the file WARDWATCH_CONFIG names.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
letters_app = typer.Typer(
    rich_markup_mode=None, help="Records that could not be processed: see why, mend the reason, send them again."
)
app.add_typer(letters_app, name="dead-letters", short_help="What could not be processed.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")]
JsonLines = Annotated[bool, typer.Option("--json", help="For scripts: one JSON object a line.")]
Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="JSON lines, a JSON array, CloudTrail's Records or a FHIR Bundle, each also gzipped; - is standard input.",
    ),
]
Source = Annotated[
    str, typer.Option(metavar="NAME", help="fhir, device or cloudtrail; auto knows each record by its shape.")
]
Producer = Annotated[str, typer.Option(metavar="NAME", help="Only what this service sent.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Only where the reason contains this.")]


def main() -> NoReturn:
    """Entry point. Errors that a person can mend are one sentence, without a traceback."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what it cannot do it raises, and that is told once
    try:
        app(prog_name="wardwatch")
    except Exception as exc:
        sentences = _sentences(exc)
        if not sentences:
            raise
        for sentence in sentences:
            print(f"wardwatch: {sentence}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _sentences(exc: Exception) -> list[str]:
    """What a person is told of ``exc``; nothing where it is a defect of ours."""
    from kafka.errors import KafkaError  # noqa: PLC0415
    from pydantic import ValidationError  # noqa: PLC0415
    from pydantic_settings import SettingsError  # noqa: PLC0415

    from streams.admin import SetupError  # noqa: PLC0415
    from streams.embedded.jars import EmbeddedError  # noqa: PLC0415
    from streams.sinks.store import StoreError  # noqa: PLC0415

    if isinstance(exc, ValidationError):
        named = ("__".join(str(part) for part in error["loc"]).upper() for error in exc.errors())
        return [f"setting WARDWATCH_{name}: {error['msg']}" for name, error in zip(named, exc.errors(), strict=True)]
    if isinstance(exc, SettingsError):
        return [str(exc)]
    if isinstance(exc, KafkaError):
        return [f"Kafka does not do it ({type(exc).__name__}): {exc}"]
    if isinstance(exc, SetupError | EmbeddedError | StoreError):
        return [str(exc)]
    return []


def _fail(message: str) -> NoReturn:
    print(f"wardwatch: {message}", file=sys.stderr)
    sys.exit(1)


def _settings() -> Settings:
    import tomllib  # noqa: PLC0415

    from streams.settings import Settings  # noqa: PLC0415

    try:
        return Settings()
    except tomllib.TOMLDecodeError as exc:
        _fail(f"the settings file {os.environ.get('WARDWATCH_CONFIG', 'wardwatch.toml')} is no TOML: {exc}")


@app.command(short_help="Start everything here.")
def up(
    demo: Annotated[
        bool, typer.Option("--demo", help="Add a synthetic hospital that emits events, and attacks.")
    ] = False,
    data_dir: Annotated[
        Path, typer.Option(metavar="DIR", envvar="WARDWATCH_DATA_DIR", help="Where everything is kept.")
    ] = Path("~/.wardwatch"),
    port: Annotated[
        int, typer.Option(metavar="N", min=1, max=65534, help="Of the web page; Kafka takes the next one.")
    ] = 8900,
    rate: Annotated[float, typer.Option(metavar="N", min=0.1, max=5000, help="Events per second of the demo.")] = 20.0,
    size: Annotated[
        int,
        typer.Option(metavar="N", min=10, max=100_000, help="Staff of the demo's hospital; it has five patients each."),
    ] = 200,
    seed: Annotated[int, typer.Option(metavar="N", help="Another one, another hospital.")] = 1,
) -> None:
    """Start everything here: Kafka, a worker, the alert store and the web page. Ctrl-C stops it.

    The first start fetches Apache Kafka; later ones need no network, and find what was there.
    """
    from streams.commands.up import Demo, run  # noqa: PLC0415

    hospital = Demo(rate=rate, staff=size, seed=seed) if demo else None
    raise typer.Exit(run(data_dir.expanduser().absolute(), port=port, demo=hospital))


@app.command(short_help="Process events.")
def worker(
    log_level: Annotated[
        str, typer.Option(metavar="LEVEL", help="How much to log: DEBUG, INFO, WARNING or ERROR.")
    ] = "WARNING",
) -> None:
    """Run one worker process until SIGTERM. Start more to scale out, up to the number of partitions."""
    from streams.worker import run  # noqa: PLC0415

    if log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        _fail(f"--log-level {log_level} is none of DEBUG, INFO, WARNING and ERROR")
    settings = _settings()
    _keys(settings)
    raise typer.Exit(run(settings, loglevel=log_level.upper()))


@app.command(short_help="Make topics, keys and templates.")
def setup() -> None:
    """Create the topics and the keys, and Elasticsearch's templates where it is set. Safe to run again."""
    from streams.commands.setup import run  # noqa: PLC0415
    from streams.sinks.elasticsearch import StoreUnavailable  # noqa: PLC0415

    settings = _settings()
    keys = _keys(settings)
    try:
        for line in run(settings, keys):
            print(line)
    except StoreUnavailable as exc:
        _fail(f"{exc}: start it, or mend WARDWATCH_ELASTICSEARCH and WARDWATCH_ELASTICSEARCH_API_KEY")


@app.command(short_help="Lag, throughput, dead letters, last alert.")
def status(
    as_json: Json = False,
    seconds: Annotated[float, typer.Option(metavar="N", min=0.5, max=60, help="How long to watch throughput.")] = 2.0,
) -> None:
    """How far each step is behind, throughput, dead letters, the last alert: from any machine that reaches Kafka."""
    from streams.commands.status import read_status, status_lines  # noqa: PLC0415

    found = read_status(_settings(), seconds=seconds)
    if as_json:
        _print_json(found.json())
        return
    for line in status_lines(found, **_terminal()):
        print(line)


@app.command(short_help="Send events from files.")
def emit(
    files: Files,
    source: Source = "auto",
    producer: Annotated[
        str, typer.Option(metavar="NAME", help="Names the sender, as dead letters show it.")
    ] = "wardwatch-emit",
) -> None:
    """Send events from files to Kafka, and wait until the broker has them. Exit 1 if any is not there."""
    from streams.commands.emit import run  # noqa: PLC0415

    raise typer.Exit(run(_settings(), files, source=_known(source), producer=producer, errors=sys.stderr))


@app.command("normalize", short_help="Files to ECS documents, without Kafka.")
def normalize(files: Files, source: Source = "auto") -> None:
    """What each record says in the Elastic Common Schema, one JSON document a line, in input order; without Kafka.

    What cannot be read goes to standard error with file and line, and the exit code is 1. Patients are pseudonyms, as
    in the stream.
    """
    from streams.commands.files import normalise  # noqa: PLC0415

    reader, _ = _reader([])
    now = int(time.time() * 1000)
    raise typer.Exit(normalise(files, source=_known(source), reader=reader, now=now, out=sys.stdout, errors=sys.stderr))


@app.command(short_help="Files to findings, without Kafka.")
def detect(
    files: Files,
    source: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="As for normalize; raw takes records as they are, for rules of any log source."
        ),
    ] = "auto",
    rules: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="A file or folder of Sigma rules, instead of the starter pack; repeatable."),
    ] = None,
    only_rules: Annotated[bool, typer.Option("--only-rules", help="Leave out the models that learn.")] = False,
) -> None:
    """What rules and models find in files, one JSON object a finding, in input order; without Kafka."""
    from detectors.registry import registered  # noqa: PLC0415
    from streams.commands.files import detect as run  # noqa: PLC0415

    reader, loaded = _reader(rules or [])
    raise typer.Exit(
        run(
            files,
            source=source if source == "raw" else _known(source),
            rules=loaded,
            reader=reader,
            detectors=() if only_rules else registered(),
            now=int(time.time() * 1000),
            out=sys.stdout,
            errors=sys.stderr,
        )
    )


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

    from streams.commands.alert_line import printable  # noqa: PLC0415

    found = (e for e in _letters(producer, reason) if replayed or not e.replayed)
    if count:
        counts = Counter((e.clear["stage"], e.producer, e.clear["reason"]) for e in found)
        for (stage, sender, why), number in counts.most_common():
            if as_json:
                _print_json({"count": number, "stage": stage, "producer": sender, "reason": why})
            else:
                print(f"{number:>8,}  {stage:<8} {printable(sender):<20} {printable(why)}")
        return
    for envelope in found:
        if as_json:
            _print_json(envelope.json())
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
                _fail(str(exc))
            print(f"{opened.stage}: {opened.reason}", file=sys.stderr)
            sys.stdout.buffer.write(opened.value + b"\n")
            return
    _fail(f"there is no dead letter {position}: wardwatch dead-letters list shows those there are")


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
        _fail("name positions, or choose by --all, --producer or --reason")
    if named and (every or producer or reason):
        _fail("name positions or choose, not both")

    def wanted(envelope: Envelope) -> bool:
        if named:
            return envelope.name in named
        return not envelope.replayed and _chosen(envelope, producer, reason)

    done = replay(_settings(), _private_key(), wanted)
    print(f"{len(done.sent):,} {'record' if len(done.sent) == 1 else 'records'} sent again")
    for why, number in done.kept.most_common():
        print(f"wardwatch: {number:,} not sent: {why}", file=sys.stderr)
    missing = named - done.sent - done.kept_names
    if missing:
        _fail(f"not sent, for there is no such letter: {', '.join(sorted(missing))}")
    raise typer.Exit(1 if done.kept else 0)


def _letters(producer: str, reason: str) -> Iterator[Envelope]:
    from streams.commands.letters import envelopes  # noqa: PLC0415

    return (envelope for envelope in envelopes(_settings()) if _chosen(envelope, producer, reason))


def _chosen(envelope: Envelope, producer: str, reason: str) -> bool:
    return producer in ("", envelope.producer) and reason in envelope.clear["reason"]


def _private_key() -> bytes:
    try:
        return _keys(_settings()).dead_letter_private()
    except ValueError as exc:
        _fail(str(exc))


def _keys(settings: Settings) -> Keys:
    """This installation's keys, made where there are none yet."""
    from streams.keys import load_keys  # noqa: PLC0415

    try:
        return load_keys(settings.home)
    except ValueError as exc:
        _fail(str(exc))
    except OSError as exc:
        _fail(f"{settings.home} cannot be used ({exc.strerror or exc}): name another folder in WARDWATCH_DATA_DIR")


def _reader(paths: list[Path]) -> tuple[Any, Any]:
    """Rules and reader for files. Pseudonyms are the stream's own: keyed by the installation's key."""
    from streams.commands.files import rules_of  # noqa: PLC0415
    from streams.pipeline import Reader  # noqa: PLC0415
    from streams.privacy import Pseudonyms  # noqa: PLC0415

    for path in paths:
        if not path.exists():
            _fail(f"{path} is not there")
    rules = rules_of(paths, sys.stderr)
    keys = _keys(_settings())
    return Reader(rules, Pseudonyms(keys.pseudonym, keys.pseudonym_id)), rules


def _known(source: str) -> str:
    from streams.sources.catalog import by_name  # noqa: PLC0415

    if source != "auto":
        try:
            by_name(source)
        except ValueError as exc:
            _fail(str(exc))
    return source


def _print_json(value: Any) -> None:
    import orjson  # noqa: PLC0415

    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def _terminal() -> dict[str, Any]:
    """Width and colour where standard output is a terminal."""
    terminal = sys.stdout.isatty()
    return {
        "width": shutil.get_terminal_size().columns if terminal else 0,
        "colour": terminal and "NO_COLOR" not in os.environ,
    }


if __name__ == "__main__":
    main()
