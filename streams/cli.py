"""The command line. Each command is short here; what it does is in :mod:`streams.commands` and the modules it names."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer
from kafka.errors import KafkaError
from pydantic import ValidationError

from streams.settings import Settings

__all__ = ["main"]

app = typer.Typer(
    help="Security event stream processor for health care.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
letters_app = typer.Typer(help="Records that could not be processed: see why, mend the reason, send them again.")
app.add_typer(letters_app, name="dead-letters", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="for scripts: one JSON document")]
Files = Annotated[list[str], typer.Argument(help="files of events, also gzipped; - is standard input")]
Source = Annotated[str, typer.Option(help="fhir, device, cloudtrail; auto knows each by its shape")]


def main() -> NoReturn:
    """Entry point. Errors that a person can mend are one sentence, without a traceback."""
    from streams.admin import SetupError  # noqa: PLC0415  # only once there is something to run
    from streams.embedded.jars import EmbeddedError  # noqa: PLC0415
    from streams.sinks.store import StoreError  # noqa: PLC0415

    try:
        app(standalone_mode=True)
    except (SetupError, EmbeddedError, StoreError) as exc:
        _fail(str(exc))
    except ValidationError as exc:
        for error in exc.errors():
            name = "__".join(str(part) for part in error["loc"]).upper()
            print(f"wardwatch: setting WARDWATCH_{name}: {error['msg']}", file=sys.stderr)
        sys.exit(2)
    except KafkaError as exc:
        _fail(f"Kafka: {type(exc).__name__}: {exc}")
    except BrokenPipeError:
        sys.exit(0)
    sys.exit(0)


def _fail(message: str) -> NoReturn:
    print(f"wardwatch: {message}", file=sys.stderr)
    sys.exit(1)


@app.command()
def up(
    demo: Annotated[bool, typer.Option("--demo", help="add a synthetic hospital with attacks")] = False,
    data_dir: Annotated[Path, typer.Option(help="where everything is kept")] = Path("~/.wardwatch"),
    port: Annotated[int, typer.Option(help="of the console; Kafka takes the next one")] = 8900,
    rate: Annotated[float, typer.Option(help="events per second of the demo")] = 20.0,
    size: Annotated[int, typer.Option(help="staff of the demo's hospital; patients are five times as many")] = 200,
    seed: Annotated[int, typer.Option(help="of the demo")] = 1,
) -> None:
    """Start everything here: Kafka, a worker, the alert store and the console. Ctrl-C stops it."""
    from streams.commands.up import Demo, run  # noqa: PLC0415

    hospital = Demo(rate=rate, staff=size, seed=seed) if demo else None
    raise typer.Exit(run(data_dir.expanduser().absolute(), port=port, demo=hospital))


@app.command()
def worker(log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR")] = "WARNING") -> None:
    """Run one worker process; add more to scale out, up to the number of partitions."""
    from streams.worker import run  # noqa: PLC0415

    raise typer.Exit(run(Settings(), loglevel=log_level.upper()))


@app.command()
def setup() -> None:
    """Create the topics, and Elasticsearch's templates where it is set. Safe to run again."""
    from streams.admin import create_topics  # noqa: PLC0415
    from streams.keys import load_keys  # noqa: PLC0415
    from streams.sinks.elasticsearch import Elasticsearch, StoreUnavailable  # noqa: PLC0415

    settings = Settings()
    created = create_topics(settings)
    print(f"topics: {len(created)} created, the rest was there" if created else "topics: all there")
    print(f"keys: {load_keys(settings.home).folder}")
    if settings.elasticsearch:

        async def templates() -> list[str]:
            store = Elasticsearch(settings.elasticsearch, api_key=settings.elasticsearch_api_key.get_secret_value())
            try:
                return await store.set_up()
            finally:
                await store.close()

        try:
            print(f"elasticsearch: templates {', '.join(asyncio.run(templates()))}")
        except StoreUnavailable as exc:
            _fail(str(exc))


@app.command()
def status(as_json: Json = False) -> None:
    """Lag, throughput, dead letters, last alert."""
    from streams.commands.status import READERS, read_status  # noqa: PLC0415

    found = read_status(Settings())
    if as_json:
        _print_json(found.json())
        return
    for topic, lag in found.lag.items():
        print(f"{READERS[topic]:8} {topic:16} {lag:>10} behind")
    for name, said in found.workers.items():
        age = time.time() - said["time"] / 1000
        stopped = "; ".join(said["stopped"]) or "running"
        print(f"{name:25} {said['records_per_second']:>10.0f} records/s  {stopped}  ({age:.0f} s ago)")
    print(f"dead letters              {found.dead_letters:>10}")
    last = found.last_alert
    print(f"last alert                {_alert_line(last) if last else 'none'}")


@app.command()
def emit(files: Files, source: Source = "auto", producer: str = "wardwatch-emit") -> None:
    """Send files of events to Kafka with the emitter, and wait until the broker has them."""
    from streams.emitter import DeliveryError, Emitter  # noqa: PLC0415
    from streams.reading import read_files  # noqa: PLC0415

    sent = failed = 0
    try:
        with Emitter(Settings().kafka, producer=producer) as emitter:
            for item in read_files(files):
                try:
                    if item.error is not None or item.record is None:
                        raise ValueError(item.error)
                    emitter.emit(item.record, source="" if source == "auto" else source)
                    sent += 1
                except ValueError as exc:
                    failed += 1
                    print(f"{item.file}:{item.line}: {exc}", file=sys.stderr)
    except DeliveryError as exc:
        _fail(str(exc))
    print(f"{sent} events sent, {failed} not", file=sys.stderr)
    raise typer.Exit(1 if failed else 0)


@app.command("normalize")
def normalize(files: Files, source: Source = "auto") -> None:
    """One ECS document a line, in input order. Errors on standard error with file and line; exit 1 if any."""
    from streams.commands.files import normalise  # noqa: PLC0415

    reader, _ = _reader([])
    now = int(time.time() * 1000)
    raise typer.Exit(normalise(files, source=_known(source), reader=reader, now=now, out=sys.stdout, errors=sys.stderr))


@app.command()
def detect(
    files: Files,
    source: Annotated[str, typer.Option(help="as for normalize; raw: no normalising, no gating")] = "auto",
    rules: Annotated[list[Path] | None, typer.Option(help="Sigma rules; else the starter pack")] = None,
    only_rules: Annotated[bool, typer.Option("--only-rules", help="leave out what learns")] = False,
) -> None:
    """One JSON object per finding: the pipeline without Kafka."""
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


@letters_app.command("list")
def letters_list(
    as_json: Json = False, producer: Annotated[str, typer.Option(help="only of this service")] = ""
) -> None:
    """Where each came from and why it is here. What it says stays sealed."""
    from streams.commands.letters import envelopes  # noqa: PLC0415

    for envelope in envelopes(Settings()):
        if producer and envelope["headers"].get("producer") != producer:
            continue
        envelope.pop("sealed", None)
        if as_json:
            _print_json(envelope)
        else:
            print(f"{envelope['position']:28} {envelope['stage']:8} {envelope['reason']}")


@letters_app.command("show")
def letters_show(position: Annotated[str, typer.Argument(help="as list prints it")]) -> None:
    """What one says. It holds patient data: the key that opens it is only where it was made."""
    from streams.commands.letters import envelopes, letter  # noqa: PLC0415
    from streams.keys import load_keys  # noqa: PLC0415

    settings = Settings()
    for envelope in envelopes(settings):
        if envelope["position"] == position:
            try:
                opened = letter(envelope, load_keys(settings.home).dead_letter_private())
            except ValueError as exc:
                _fail(str(exc))
            print(f"{opened.stage}: {opened.reason}", file=sys.stderr)
            sys.stdout.buffer.write(opened.value + b"\n")
            return
    _fail(f"there is no dead letter {position}: see wardwatch dead-letters list")


@letters_app.command("replay")
def letters_replay(
    positions: Annotated[list[str] | None, typer.Argument(help="as list prints them")] = None,
    every: Annotated[bool, typer.Option("--all", help="all there are")] = False,
) -> None:
    """Send records again to where they came from. Ids are kept, so nothing counts twice."""
    from streams.commands.letters import replay  # noqa: PLC0415
    from streams.keys import load_keys  # noqa: PLC0415

    if not positions and not every:
        _fail("name positions, or give --all")
    settings = Settings()
    try:
        sent = replay(settings, load_keys(settings.home).dead_letter_private(), set(positions or ()))
    except ValueError as exc:
        _fail(str(exc))
    print(f"{len(sent)} records sent again")
    missing = set(positions or ()) - set(sent)
    if missing:
        _fail(f"not sent, for there is no such record: {', '.join(sorted(missing))}")


def _reader(paths: list[Path]) -> tuple[Any, Any]:
    """Rules and reader for files. Pseudonyms are the stream's own: keyed by the installation's key."""
    from streams.commands.files import rules_of  # noqa: PLC0415
    from streams.keys import load_keys  # noqa: PLC0415
    from streams.pipeline import Reader  # noqa: PLC0415
    from streams.privacy import Pseudonyms  # noqa: PLC0415

    for path in paths:
        if not path.exists():
            _fail(f"{path} is not there")
    rules = rules_of(paths, sys.stderr)
    keys = load_keys(Settings().home)
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
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def _alert_line(alert: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(alert["last_seen"] / 1000, UTC).strftime("%H:%M:%S")
    return f"{when}  {alert['severity']:8}  {alert['entity']}  {alert['title']}: {alert['reason']}"


if __name__ == "__main__":
    main()
