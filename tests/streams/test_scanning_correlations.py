"""Lines are passed over with correlations loaded too, and what is found is the same to the byte."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from detectors.rules import RuleSet, load, starter_rules
from streams.commands.files import detect
from streams.demo.records import cloudtrail
from streams.pipeline import Reader
from streams.pseudonyms import Pseudonyms
from streams.scanning import Scan

NOW = 1_767_700_000_000
HOUR = 3_600_000
RULES = """
title: Synthetic stop
name: stop
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: StopLogging}, condition: s}
---
title: Synthetic key
name: key
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: CreateAccessKey}, condition: s}
---
title: Synthetic login
name: login
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: ConsoleLogin}, condition: s}
---
title: Many stops
name: many
correlation:
  {type: event_count, rules: [stop], group-by: [user.name], timespan: 10m, condition: {gt: 1}, generate: true}
---
title: Few keys
name: few
correlation: {type: event_count, rules: [key], group-by: [user.name], timespan: 30m, condition: {lt: 3}}
---
title: Keys from many places
correlation:
  {type: value_count, rules: [key], group-by: [user.name], timespan: 1h, condition: {gte: 2, field: sourceIPAddress}}
---
title: Sizes on the average
correlation:
  {type: value_avg, rules: [login], timespan: 1h, condition: {gte: 5, field: requestParameters.size}}
---
title: Sizes in the middle
correlation:
  {type: value_median, rules: [login], timespan: 1h, condition: {lte: 4, field: requestParameters.size}}
---
title: A login without a key
name: bare
correlation: {type: temporal, rules: [login, key], group-by: [user.name], timespan: 20m, condition: login and not key}
---
title: A key, then a stop
correlation: {type: temporal_ordered, rules: [key, stop], group-by: [user.name], timespan: 1h}
---
title: Few keys, then a bare login
correlation:
  {type: temporal_ordered, rules: [few, bare], group-by: [user.name], timespan: 2h, generate: true}
---
title: A login from a new place
correlation:
  {type: new_term, rules: [login], group-by: [user.name], field: sourceIPAddress, timespan: 2d, learning: 1h}
---
title: No key for long
correlation: {type: absence, rules: [key], group-by: [user.name], timespan: 90m}
"""
NAMES = ("StopLogging", "CreateAccessKey", "ConsoleLogin")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    path = tmp_path_factory.mktemp("rules") / "rules.yml"
    path.write_text(RULES)
    loaded = load([path])
    assert not loaded.problems
    assert len(loaded.correlations.plans) == 10
    return loaded


def spelled(chance: random.Random, text: str) -> object:
    """A time in one of the ways that records have it, some of which say none."""
    rare = (
        *(text.replace("Z", "+00:00"), text.replace("Z", "+02:00"), text.replace("Z", ".123456789Z"), text[:-1]),
        *(text.lower(), text.replace("T", " "), text[:17] + "60Z", text[:17] + "61Z", "2016-02-30T00:00:00Z"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2049-01-01T00:00:00Z", "2001-01-01T00:00:00Z"),
        *("", "soon", None, 5, "\u0662" + text[1:]),
    )
    return chance.choice(rare) if chance.random() < 0.06 else text


def stream(count: int, seed: int) -> Iterator[bytes]:
    """Hours of events, one in twelve of which some rule matches; out of order, with gaps, ties and broken ones."""
    chance = random.Random(seed)
    time = NOW - 40 * HOUR
    for number in range(count):
        time += (
            chance.choice((0, 0, 1_000, 20_000, 90_000)) if chance.random() < 0.995 else chance.choice((1, 5)) * HOUR
        )
        back = chance.choice((0, 0, 0, 5_000, 600_000, HOUR, 3 * HOUR))
        record = cloudtrail(
            id=f"c-{number}",
            time=time - back,
            name=chance.choice(NAMES) if chance.random() < 0.08 else f"Get{number % 50}",
            service="s3",
            user=f"synthetic-admin{chance.randrange(3)}",
            address=f"192.0.2.{chance.randrange(3)}",
        )
        record["requestParameters"] = chance.choice((None, {"size": chance.randrange(9)}))
        record["eventTime"] = spelled(chance, record["eventTime"])
        if chance.random() < 0.01:
            del record["eventTime"]
        line = orjson.dumps(record)
        if chance.random() < 0.02:
            line = chance.choice((line[:-1], b"", b"  ", line.replace(b"Get", b"\xff"), b'{"Records":[]}', line + line))
        if chance.random() < 0.01:  # the last of two times counts
            line = line[:-1] + b',"eventTime":"2025-12-31T00:00:00Z"}'
        yield line


def found(files: list[str], rules: RuleSet) -> tuple[str, str]:
    out, errors = io.StringIO(), io.StringIO()
    reader = Reader(rules, Pseudonyms(b"0" * 32, "k"))
    detect(files, source="auto", rules=rules, reader=reader, detectors=(), now=NOW, out=out, errors=errors)
    return out.getvalue(), errors.getvalue()


def passed_over(files: list[str], rules: RuleSet, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str, int]:
    made: list[Scan] = []

    class Kept(Scan):
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **named)  # type: ignore[arg-type]
            made.append(self)

    with monkeypatch.context() as patch:
        patch.setattr("streams.commands.files.Scan", Kept)
        out, errors = found(files, rules)
    (scan,) = made
    return out, errors, scan.passed


def written(folder: Path, name: str, lines: list[bytes], end: bytes = b"\n") -> str:
    (folder / name).write_bytes(b"\n".join(lines) + end)
    return str(folder / name)


@pytest.mark.parametrize("seed", range(6))
def test_the_same_is_found_at_the_same_lines(
    rules: RuleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    lines = list(stream(2_500, seed))
    files = [
        written(tmp_path, "a.jsonl", lines[:1_500]),
        written(tmp_path, "b.jsonl", lines[1_500:], end=b"\n\n \n" if seed % 2 else b""),
    ]
    out, errors, passed = passed_over(files, rules, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(RuleSet, "passes", lambda *_: None)
        assert found(files, rules) == (out, errors)
    titles = {orjson.loads(line)["rule.name"] for line in out.splitlines()}
    assert titles == {"Synthetic stop", *(plan.rule.title for plan in rules.correlations.plans)}
    assert errors.count("\n") > 50
    assert passed > 700


def test_what_only_the_end_decides_comes_with_the_last_record(
    rules: RuleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def line(number: int, name: str) -> bytes:
        time = NOW - HOUR + number * 1_000
        return orjson.dumps(
            cloudtrail(id=f"c-{number}", time=time, name=name, service="s3", user="synthetic-a", address="192.0.2.1")
        )

    lines = [line(0, "GetObject"), line(1, "CreateAccessKey"), *(line(n, "GetObject") for n in range(2, 9))]
    files = [written(tmp_path, "a.jsonl", [*lines, b'{"Records":[]}', b"", b" "])]
    out, errors, passed = passed_over(files, rules, monkeypatch)
    assert (errors, passed) == ("", 7)
    (told,) = map(orjson.loads, out.splitlines())
    assert (told["rule.name"], told["line"]) == ("Few keys", 9)


def test_with_the_rules_that_ship_most_lines_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = starter_rules()
    assert shipped.correlations
    lines = [line.replace(b'"s3.amazonaws.com"', b'"cloudtrail.amazonaws.com"') for line in stream(1_500, 9)]
    files = [written(tmp_path, "a.jsonl", lines)]
    out, errors, passed = passed_over(files, shipped, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(RuleSet, "passes", lambda *_: None)
        assert found(files, shipped) == (out, errors)
    assert out
    assert passed > 1_000


@pytest.mark.parametrize(("minutes", "silent"), [(89, False), (91, True)])
def test_a_silence_is_over_by_the_time_of_a_last_line_that_is_passed_over(
    rules: RuleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int, silent: bool
) -> None:
    def line(number: int, name: str, minute: int) -> bytes:
        return orjson.dumps(
            cloudtrail(
                id=f"c-{number}",
                time=NOW - 3 * HOUR + minute * 60_000,
                name=name,
                service="s3",
                user="synthetic-a",
                address="192.0.2.1",
            )
        )

    # What else waits is decided by the third.
    minutes_of = [("GetObject", 0), ("CreateAccessKey", 0), ("GetObject", 80), ("GetObject", minutes)]
    lines = [line(number, name, minute) for number, (name, minute) in enumerate(minutes_of)]
    files = [written(tmp_path, "a.jsonl", [*lines, b'{"Records":[]}', b"", b" "])]
    out, errors, passed = passed_over(files, rules, monkeypatch)
    assert (errors, passed) == ("", 1)
    assert ("No key for long" in {orjson.loads(told)["rule.name"] for told in out.splitlines()}) is silent
