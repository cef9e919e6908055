"""``wardwatch rules``: the commands. What they do is in :mod:`streams.commands.rules`.

For CI: 0 where all is well, 1 where something is wrong with a rule, 2 where the command was given what it cannot use.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from streams.cli_sources import Format, form_or_exit, sources_or_exit
from streams.commands.configured import settings_or_exit
from streams.commands.terminal import print_json

if TYPE_CHECKING:
    from detectors.rules import RuleSet

__all__ = ["rules_app"]

rules_app = typer.Typer(
    rich_markup_mode=None, help="What a detection engineer does with rules before and after they are switched on."
)

Json = Annotated[bool, typer.Option("--json", help="For scripts: one JSON document.")]
Paths = Annotated[list[Path], typer.Argument(metavar="PATH", help="Files of Sigma rules, or folders of them.")]
Active = Annotated[
    list[Path] | None,
    typer.Argument(metavar="PATH", help="Files or folders of rules; the starter pack and those of settings, else."),
]
Kafka = Annotated[
    bool, typer.Option("--kafka", help="With what is published to every worker, in place of other rules of its ids.")
]
Named = Annotated[
    str, typer.Argument(metavar="RULE", help="A rule's file, or the id or title of one that rules list names.")
]


@rules_app.command("check", short_help="What is wrong with rules, for CI.")
def rules_check(
    paths: Paths,
    as_json: Json = False,
    sarif: Annotated[
        bool, typer.Option("--sarif", help="As SARIF 2.1.0, which code hosts show beside the line.")
    ] = False,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Leave a kind of finding out; repeatable.")
    ] = None,
) -> None:
    """Schema, loading, fields, detections too wide or there twice, ATT&CK tags, style; docs/rules.md lists the codes.

    Exit 1 where there is more than notes.
    """
    from streams.commands.rules import report  # noqa: PLC0415
    from streams.commands.rules.check import check  # noqa: PLC0415
    from streams.commands.rules.diagnostics import CODES  # noqa: PLC0415
    from streams.commands.rules.papers import as_told, papers  # noqa: PLC0415

    _there(paths)
    for code in ignore or []:
        if code not in CODES:
            _unusable(f"--ignore {code} is none of {', '.join(CODES)}")
    if as_json and sarif:
        _unusable("--json and --sarif are two forms of one answer: name one")
    told = [Path(as_told(str(path))) for path in paths]
    found = [
        one for one in check(told, sources_or_exit(), settings_or_exit().rule_context) if one.code not in (ignore or [])
    ]
    count = sum(1 for _ in papers(told))
    if as_json:
        print_json(report.as_json(found, count))
    elif sarif:
        print_json(report.as_sarif(found))
    else:
        for line in report.as_lines(found, count):
            print(line)
    raise typer.Exit(report.exit_code(found))


@rules_app.command("test", short_help="Try the events inside rules.")
def rules_test(
    paths: Paths,
    source: Annotated[
        str, typer.Option(metavar="NAME", help="auto as in the stream; raw tries events as they stand.")
    ] = "auto",
    junit: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write what happened as JUnit's XML, for CI.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try each rule on the events inside its file, through the reader of the stream; tell which failed and why.

    Exit 1 where one failed or a rule does not load.
    """
    from streams.commands.rules.trial import as_junit, failures, try_rules  # noqa: PLC0415

    _there(paths)
    if source not in ("auto", "raw"):
        _unusable(f"--source {source} is neither auto nor raw")
    tried = try_rules(paths, sources_or_exit(), "raw" if source == "raw" else "auto", settings_or_exit().rule_context)
    failed = [trial for trial in tried.trials if not trial.passed]
    if junit is not None:
        _write(junit, as_junit(tried))
    if as_json:
        print_json(
            {
                "passed": len(tried.trials) - len(failed),
                "failed": [
                    {
                        "path": t.path,
                        "line": t.line,
                        "rule_id": t.rule.id,
                        "event": t.name,
                        "source": t.how,
                        "why": t.why,
                    }
                    for t in failed
                ],
                "without_events": [rule.id for rule in tried.untried],
                "problems": [str(problem) for problem in tried.rules.problems],
            }
        )
    else:
        for line in failures(tried):
            print(line)
        rest = f"; {len(tried.untried)} rules have no events" if tried.untried else ""
        print(f"{len(tried.trials) - len(failed)} passed, {len(failed)} failed{rest}")
    raise typer.Exit(1 if failed or tried.rules.problems else 0)


@rules_app.command("explain", short_help="Why a rule matches an event, or not.")
def rules_explain(
    rule: Named,
    event: Annotated[str, typer.Argument(metavar="FILE[:LINE]", help="A record, as detect reads files; the first.")],
    source: Annotated[
        str, typer.Option(metavar="NAME", help="As sources list names them; auto; raw takes it as it stands.")
    ] = "auto",
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Print values that may identify a patient too.")
    ] = False,
    form: Format = "auto",
    as_json: Json = False,
) -> None:
    """The condition as a tree, each part true or false, with what the event says there. Exit 1 where it is no match."""
    from streams.commands.rules import verdict  # noqa: PLC0415
    from streams.commands.rules.papers import found_rule  # noqa: PLC0415
    from streams.sources.base import BadRecord  # noqa: PLC0415

    found, why = found_rule(rule, _active(None))
    if not found:
        _unusable(why)
    record, place = _record(event, form)
    sources = sources_or_exit()
    try:
        read = None if source == "raw" else sources.recognise(record) if source == "auto" else sources.by_name(source)
        answers = [verdict.explained(one, record, read) for one in found]
    except (BadRecord, ValueError) as exc:
        _unusable(f"{place}: {exc}")
    if as_json:
        told = [verdict.as_json(answer, show_values=show_values) for answer in answers]
        print_json(told[0] if len(told) == 1 else told)
    else:
        for answer in answers:
            said = "matches" if answer.matches else "does not match"
            print(f"{answer.rule.title} ({answer.rule.id}) {said} {place} (source {answer.source})")
            if answer.misfit:
                print(f"it is not tried there: {answer.misfit}")
            for line in verdict.lines(answer, show_values=show_values):
                print(f"  {line}")
    raise typer.Exit(0 if all(answer.matches for answer in answers) else 1)


@rules_app.command("coverage", short_help="ATT&CK techniques and sources covered.")
def rules_coverage(
    paths: Active = None,
    layer: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write a layer for ATT&CK Navigator (format 4.5).")
    ] = None,
    cloud: Annotated[
        bool, typer.Option("--cloud", help="The layer shows the platforms of clouds and identity providers alone.")
    ] = False,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What the layer is called.")] = "Wardwatch rules",
    kafka: Kafka = False,
    as_json: Json = False,
) -> None:
    """Which techniques of ATT&CK rules look for, by tactic, and which sources no rule is tried on."""
    from streams.commands.rules import coverage  # noqa: PLC0415

    covered = coverage.coverage_of(_active(paths, kafka=kafka), sources_or_exit())
    if layer is not None:
        import orjson  # noqa: PLC0415

        written = coverage.as_layer(covered, name=name, platforms=coverage.CLOUD if cloud else ())
        _write(layer, orjson.dumps(written, option=orjson.OPT_INDENT_2).decode() + "\n")
    if as_json:
        print_json(coverage.as_json(covered))
        return
    for line in coverage.as_lines(covered):
        print(line)


@rules_app.command("new", short_help="Draft a rule from an event.")
def rules_new(
    title: Annotated[str, typer.Option(metavar="TEXT", help="What the rule finds, as its alerts say it.")],
    event: Annotated[str, typer.Option("--from", metavar="FILE[:LINE]", help="A record that it must match.")],
    fields: Annotated[
        str, typer.Option(metavar="A,B", help="Fields it asks about, the vendor's or of ECS; else what happened.")
    ] = "",
    level: Annotated[
        str, typer.Option(metavar="LEVEL", help="informational, low, medium, high or critical.")
    ] = "medium",
    author: Annotated[str, typer.Option(metavar="NAME", help="Whom its alerts name as author.")] = "",
    source: Annotated[str, typer.Option(metavar="NAME", help="As sources list names them; auto.")] = "auto",
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write it there: a new .yml file, or into a folder.")
    ] = None,
    form: Format = "auto",
) -> None:
    """Draft a rule and its tests from an event, cut down to what the rule needs; patients' identifiers are replaced.

    Free text that its source does not know to identify a patient stays where the rule asks for it: read the file.
    """
    import datetime as dt  # noqa: PLC0415
    import uuid  # noqa: PLC0415

    from detectors.base import SEVERITIES  # noqa: PLC0415
    from streams.commands.rules.drafting import NotDrafted, draft_rule, file_name  # noqa: PLC0415

    if level not in SEVERITIES:
        _unusable(f"--level {level} is none of {', '.join(SEVERITIES)}")
    record, place = _record(event, form)
    try:
        made = draft_rule(
            record,
            sources_or_exit(),
            source=source,
            title=title,
            rule_id=str(uuid.uuid4()),
            today=dt.datetime.now(dt.UTC).date(),
            fields=[name.strip() for name in fields.split(",") if name.strip()],
            level=level,
            author=author,
        )
    except (NotDrafted, ValueError) as exc:
        _unusable(f"{place}: {exc}")
    if out is None:
        print(made.text, end="")
    else:
        path = out if out.suffix in (".yml", ".yaml") and not out.is_dir() else out / file_name(title)
        _write(path, made.text, new=True)
        print(path)
    if made.replaced:
        print(f"{made.replaced} values that identify a patient are synthetic now", file=sys.stderr)
    if not made.negative:
        print("no event that it must not match was found: write one under negative", file=sys.stderr)


@rules_app.command("list", short_help="Every rule that is loaded.")
def rules_list(paths: Active = None, kafka: Kafka = False, as_json: Json = False) -> None:
    """Every rule: id, level, log source, title, where it comes from. Exit 1 where one cannot be loaded."""
    from streams.commands.rules import listing  # noqa: PLC0415

    rules = _active(paths, kafka=kafka)
    if as_json:
        print_json(listing.as_json(rules))
    else:
        for line in listing.as_lines(rules):
            print(line)
    for problem in rules.problems:
        print(problem, file=sys.stderr)
    raise typer.Exit(1 if rules.problems else 0)


@rules_app.command("import", short_help="Take in a download of rules.")
def rules_import(
    download: Annotated[Path, typer.Argument(metavar="DIR|ZIP", help="A folder or zip of rules, such as SigmaHQ's.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A folder for those that load; made where missing.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite files there that differ; else they stay and are told.")
    ] = False,
    fitting: Annotated[
        bool, typer.Option("--fitting", help="Leave out rules whose log source nothing here sends.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy the rules that load, as they are, with their licences; count by reason what will not run."""
    from streams.commands.rules import importing  # noqa: PLC0415

    _there([download])
    try:
        done = importing.import_rules(download, target, sources_or_exit(), replace=replace, only_fitting=fitting)
    except importing.NotImported as exc:
        _unusable(str(exc))
    except OSError as exc:
        _unusable(f"{exc.filename or target} cannot be used ({exc.strerror or exc}): name another folder")
    if as_json:
        print_json(importing.as_json(done, target))
    else:
        for line in importing.as_lines(done, target):
            print(line)
    raise typer.Exit(1 if done.kept else 0)


@rules_app.command("convert", short_help="Rules as queries for Kibana.")
def rules_convert(
    rules: Annotated[
        list[str], typer.Argument(metavar="RULE", help="Rules' files, or ids or titles that rules list names.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="esql or lucene.")],
    as_json: Json = False,
) -> None:
    """Rules as queries over the events that are kept (wardwatch-events-*). What cannot be one is told, and exit 1."""
    from streams.commands.rules.converting import NotConverted, convert  # noqa: PLC0415
    from streams.commands.rules.papers import found_rule  # noqa: PLC0415

    if to not in ("esql", "lucene"):
        _unusable(f"--to {to} is neither esql nor lucene")
    active, sources = _active(None), sources_or_exit()
    queries: list[dict[str, str]] = []
    refused: list[dict[str, str]] = []
    notes: dict[str, None] = {}
    for named in rules:
        found, why = found_rule(named, active)
        if not found:
            _unusable(why)
        for rule in found:
            try:
                made = convert(rule, "esql" if to == "esql" else "lucene", sources)
            except NotConverted as exc:
                refused.append({"rule_id": rule.id, "title": rule.title, "why": str(exc)})
                continue
            queries.append({"rule_id": rule.id, "title": rule.title, "query": made.query})
            notes.update(dict.fromkeys(made.notes))
    if as_json:
        print_json({"queries": queries, "refused": refused, "notes": list(notes)})
    else:
        for query in queries:
            print(query["query"])
        for one in refused:
            print(f"{one['title']} ({one['rule_id']}): {one['why']}", file=sys.stderr)
        for note in notes:
            print(note, file=sys.stderr)
    raise typer.Exit(1 if refused else 0)


def _active(paths: list[Path] | None, *, kafka: bool = False) -> RuleSet:
    """The rules at ``paths``, else those that a worker of these settings runs; of the published ones with ``kafka``."""
    from detectors.rules import load  # noqa: PLC0415

    settings = settings_or_exit()
    _there(paths or [])
    published: Mapping[str, str] = {}
    if kafka:
        from streams.commands.published import board  # noqa: PLC0415

        published = board(settings).texts
    return load(paths or settings.rules, beside_starter=not paths, published=published, **settings.rule_context)


def _record(event: str, form: str) -> tuple[Any, str]:
    """The record of FILE or FILE:LINE, and how it is named; ends the command where there is none."""
    from streams.reading import read_files  # noqa: PLC0415

    name, line = event, 0
    head, colon, tail = event.rpartition(":")
    if colon and tail.isdecimal() and not Path(event).exists():
        name, line = head, int(tail)
    for item in read_files([name], form_or_exit(form)):
        if line in (0, item.line):
            if item.error is not None:
                _unusable(f"{item.place}: {item.error}")
            return item.record, item.place
    _unusable(f"{event} holds no such record: name one as FILE:LINE")


def _there(paths: list[Path]) -> None:
    for path in paths:
        if not path.exists():
            _unusable(f"{path} is not there")


def _write(path: Path, text: str, *, new: bool = False) -> None:
    try:
        if new:
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x" if new else "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        _unusable(f"{path} is there already: name another file")
    except OSError as exc:
        _unusable(f"{path} cannot be written ({exc.strerror}): name another file")


def _unusable(message: str) -> NoReturn:
    """End with exit code 2: the command was given what it cannot use."""
    print(f"wardwatch: {message}", file=sys.stderr)
    sys.exit(2)
