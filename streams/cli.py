"""The command line. Each command is short here; what it does is in :mod:`streams.commands` and the modules it names.
Those of ``dead-letters``, ``notify``, ``rules`` and ``sources`` are in :mod:`streams.cli_letters` and its like, those
that look at the installation in :mod:`streams.cli_doctor`, ``reveal`` and ``keys`` in :mod:`streams.cli_identity`,
``who`` and ``timeline`` in :mod:`streams.cli_events`, ``backtest`` in :mod:`streams.cli_backtest`.

Nothing heavy is imported until a command needs it, so that ``--help`` and a typing error answer at once.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

from streams.commands.configured import keys_or_exit, reader_or_exit, settings_or_exit
from streams.commands.terminal import fail, print_json, sentences, terminal_look

try:
    import typer
except ModuleNotFoundError:
    sys.exit("wardwatch: the emitter alone is installed here; the commands come with pip install 'wardwatch[server]'")

from streams import cli_backtest, cli_doctor, cli_events, cli_published
from streams.cli_identity import keys_app, reveal
from streams.cli_letters import letters_app
from streams.cli_notify import notify_app
from streams.cli_rules import rules_app
from streams.cli_sources import Format, form_or_exit, source_or_exit, sources_app, sources_or_exit

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
app.add_typer(letters_app, name="dead-letters", short_help="What could not be processed.", no_args_is_help=True)
app.add_typer(sources_app, name="sources", short_help="Kinds of record, and tables of one's own.", no_args_is_help=True)
app.add_typer(rules_app, name="rules", short_help="Check, try, explain, draft, import rules.", no_args_is_help=True)
app.add_typer(notify_app, name="notify", short_help="Receivers: list them, test one.", no_args_is_help=True)
app.add_typer(keys_app, name="keys", short_help="The keys that name patients.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")]
Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="JSON lines, a JSON array, a FHIR Bundle or what a cloud wraps records in; a CSV table; lines of text; "
        "audit messages in XML or syslog, HL7 v2; each also gzipped; - is standard input.",
    ),
]
Source = Annotated[
    str, typer.Option(metavar="NAME", help="As sources list names them; auto knows each record by its shape.")
]


def main() -> NoReturn:
    """Entry point. Errors that a person can mend are one sentence, without a traceback."""
    cli_doctor.prepare_completion()
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what it cannot do it raises, and that is told once
    try:
        app(prog_name="wardwatch")
    except Exception as exc:
        told = sentences(exc)
        if not told:
            raise
        for sentence in told:
            print(f"wardwatch: {sentence}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


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
    only: Annotated[
        str, typer.Option(metavar="STEP", help="events: keep events for who and timeline, and do nothing else.")
    ] = "",
) -> None:
    """Run one worker process until SIGTERM. Start more to scale out, up to the number of partitions."""
    if only not in ("", "events"):
        fail(f"--only {only} is no step that runs by itself: events is the one there is")
    if log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        fail(f"--log-level {log_level} is none of DEBUG, INFO, WARNING and ERROR")
    settings = settings_or_exit()
    keys_or_exit(settings)
    from streams.worker import run  # noqa: PLC0415  # heavy: a wrong setting is told before it is paid for

    raise typer.Exit(run(settings, loglevel=log_level.upper(), only=only))


@app.command(short_help="Make topics, keys, templates and Kibana's dashboards.")
def setup(
    kibana: Annotated[
        str, typer.Option(metavar="URL", help="Load data views and dashboards there, instead of where settings say.")
    ] = "",
    space: Annotated[str, typer.Option(metavar="ID", help="Kibana's space for them.")] = "",
    kibana_file: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write them to a file to import by hand, and do nothing else.")
    ] = None,
) -> None:
    """Create the topics and the keys; Elasticsearch's templates and Kibana's dashboards where they are set.

    Safe to run again: what is there stays, and Kibana's objects are replaced.
    """
    from dashboards.kibana.load import KibanaError  # noqa: PLC0415
    from streams.commands.setup import run, write_kibana  # noqa: PLC0415
    from streams.sinks.elasticsearch import StoreUnavailable  # noqa: PLC0415

    settings = settings_or_exit(**{k: v for k, v in {"kibana": kibana, "kibana_space": space}.items() if v})
    if kibana_file is not None:
        try:
            print(write_kibana(settings, kibana_file))
        except OSError as exc:
            fail(f"{kibana_file} cannot be written ({exc.strerror}): name another file")
        return
    keys = keys_or_exit(settings)
    try:
        for line in run(settings, keys):
            print(line)
    except StoreUnavailable as exc:
        fail(f"{exc}: start it, or mend WARDWATCH_ELASTICSEARCH and WARDWATCH_ELASTICSEARCH_API_KEY")
    except KibanaError as exc:
        fail(str(exc))


@app.command(short_help="Give Kafka the permissions of each role.")
def acls(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Like deploy/kafka/acls.toml, with your principals.")],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 where Kafka is not as the file says.")
    ] = False,
) -> None:
    """Give each role in FILE the permissions on Kafka that it misses. Takes none away. For a Kafka administrator."""
    from streams.commands.acls import run  # noqa: PLC0415

    lines, as_told = run(settings_or_exit(), file, only_look=check)
    for line in lines:
        print(line)
    raise typer.Exit(0 if as_told else 1)


@app.command(short_help="Lag, throughput, dead letters, last alert.")
def status(
    as_json: Json = False,
    seconds: Annotated[float, typer.Option(metavar="N", min=0.5, max=60, help="How long to watch throughput.")] = 2.0,
) -> None:
    """How far each step is behind, throughput, dead letters, the last alert: from any machine that reaches Kafka."""
    from streams.commands.status import read_status, status_lines  # noqa: PLC0415

    found = read_status(settings_or_exit(), seconds=seconds)
    if as_json:
        print_json(found.json())
        return
    for line in status_lines(found, **terminal_look()):
        print(line)


@app.command(short_help="Send events from files.")
def emit(
    files: Files,
    source: Source = "auto",
    producer: Annotated[
        str, typer.Option(metavar="NAME", help="Names the sender, as dead letters show it.")
    ] = "wardwatch-emit",
    form: Format = "auto",
    check: Annotated[bool, typer.Option("--check", help="Send nothing; say what is wrong with each record.")] = False,
) -> None:
    """Send events from files to Kafka, and wait until the broker has them. Exit 1 if any is not there."""
    from streams.commands import emit as command  # noqa: PLC0415

    sources = sources_or_exit()
    if check:
        known, form = source_or_exit(source, sources), form_or_exit(form)
        raise typer.Exit(command.check(files, source=known, errors=sys.stderr, sources=sources, form=form))
    raise typer.Exit(
        command.run(
            settings_or_exit(),
            files,
            source=source_or_exit(source, sources),
            producer=producer,
            errors=sys.stderr,
            sources=sources,
            form=form_or_exit(form),
        )
    )


@app.command(short_help="Take events by HTTP.")
def intake(
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="Where it listens.")] = 8902,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where it listens; any but loopback needs --cert and --key.")
    ] = "127.0.0.1",
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="TLS certificate and chain, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
) -> None:
    """Take events by HTTP for services that cannot speak Kafka: POST /v1/events with a token of intake_tokens.

    202 is said only once all replicas have them. Serves until SIGTERM.
    """
    from streams.commands.intake import run  # noqa: PLC0415

    raise typer.Exit(run(settings_or_exit(), sources_or_exit(), host=host, port=port, cert=cert, key=key))


@app.command(short_help="Receive audit messages by syslog over TLS.")
def syslog(
    cert: Annotated[Path, typer.Option(metavar="FILE", help="Certificate of this server, PEM, with its chain.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="Its private key, PEM.")],
    client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take only clients with a certificate of this issuer.")
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "0.0.0.0",  # noqa: S104
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="6514 is syslog's own; 0: a free one.")
    ] = 6514,
    buffer: Annotated[
        int, typer.Option(metavar="MIB", min=1, max=4096, help="How much may wait for Kafka before reading pauses.")
    ] = 32,
    producer: Annotated[
        str, typer.Option(metavar="NAME", help="Names this receiver, as dead letters show it.")
    ] = "wardwatch-syslog",
) -> None:
    """Receive IHE ATNA's audit messages (RFC 5425) and send them to Kafka, until SIGTERM.

    RFC 5425 has no acknowledgement: docs/sources.md says what a sender may rely on.
    """
    from streams.commands.syslog import run  # noqa: PLC0415

    raise typer.Exit(
        run(
            settings_or_exit(),
            host=host,
            port=port,
            cert=cert,
            key=key,
            client_ca=client_ca,
            producer=producer,
            buffer=buffer * 1024 * 1024,
            errors=sys.stderr,
        )
    )


@app.command("normalize", short_help="Files to ECS documents, without Kafka.")
def normalize(files: Files, source: Source = "auto", form: Format = "auto") -> None:
    """What each record says in the Elastic Common Schema, one JSON document a line, in input order; without Kafka.

    What cannot be read goes to standard error with file and line, and the exit code is 1. Patients are pseudonyms, as
    in the stream.
    """
    from streams.commands.files import normalise  # noqa: PLC0415

    reader, _ = _reader([])
    sources = sources_or_exit()
    raise typer.Exit(
        normalise(
            files,
            source=source_or_exit(source, sources),
            reader=reader,
            now=int(time.time() * 1000),
            out=sys.stdout,
            errors=sys.stderr,
            sources=sources,
            form=form_or_exit(form),
        )
    )


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
    lists: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="A folder of lists that rules name, as in the setting rule_lists; repeatable."
        ),
    ] = None,
    pipeline: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A pySigma pipeline, as in the setting rule_pipelines; repeatable."),
    ] = None,
    only_rules: Annotated[bool, typer.Option("--only-rules", help="Leave out the models that learn.")] = False,
    form: Format = "auto",
) -> None:
    """What rules and models find in files, one JSON object a finding, in input order; without Kafka."""
    from detectors.registry import registered  # noqa: PLC0415
    from streams.commands.files import detect as run  # noqa: PLC0415

    reader, loaded = _reader(rules or [], lists, pipeline)
    sources = sources_or_exit()
    raise typer.Exit(
        run(
            files,
            source=source if source == "raw" else source_or_exit(source, sources),
            rules=loaded,
            reader=reader,
            detectors=() if only_rules else registered(),
            now=int(time.time() * 1000),
            out=sys.stdout,
            errors=sys.stderr,
            sources=sources,
            form=form_or_exit(form),
        )
    )


@app.command(short_help="JSON Schemas and AsyncAPI for services.")
def schemas(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the files are written.")] = Path("schemas"),
) -> None:
    """Write each typed event's JSON Schema and the topics' AsyncAPI document, for services in any language."""
    from streams.commands.schemas import write  # noqa: PLC0415

    for path in write(out):
        print(path)


cli_doctor.register(app)
app.command(short_help="Who a pseudonym is; the look is on the record.")(reveal)
cli_events.register(app)
cli_backtest.register(app)
cli_published.register(rules_app)


def _reader(paths: list[Path], lists: list[Path] | None = None, pipelines: list[Path] | None = None) -> tuple[Any, Any]:
    """Rules and reader for files."""
    from streams.commands.files import rules_of  # noqa: PLC0415

    for path in [*paths, *(lists or []), *(pipelines or [])]:
        if not path.exists():
            fail(f"{path} is not there")
    settings = settings_or_exit()
    rules = rules_of(
        paths,
        sys.stderr,
        lists=settings.rule_lists if lists is None else lists,
        pipelines=settings.rule_pipelines if pipelines is None else pipelines,
    )
    return reader_or_exit(rules), rules


if __name__ == "__main__":
    main()
