"""What is passed over unread changes nothing of what is found and told."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from detectors.rules import RuleSet, load
from streams.commands.files import detect
from streams.demo.records import audit_event, cloudtrail
from streams.pipeline import Reader
from streams.pseudonyms import Pseudonyms
from streams.reading import LIMIT
from streams.scanning import Scan

RULES = """
title: Synthetic rule of an action
id: 00000000-0000-4000-8000-000000000001
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: [StopLogging, "Delete*"]}, condition: s}
---
title: Synthetic rule of what lies deep
id: 00000000-0000-4000-8000-000000000002
logsource: {product: aws}
detection:
  s: {requestParameters.sets.items.name|contains: Synthetic, userIdentity.type: IAMUser}
  f: {errorCode|exists: true}
  condition: s and not f
---
title: Synthetic rule of an ECS field
id: 00000000-0000-4000-8000-000000000003
logsource: {product: aws}
detection: {s: {event.action: ConsoleLogin, event.outcome: failure}, condition: s}
---
title: Synthetic rule of patterns
id: 00000000-0000-4000-8000-000000000004
detection:
  s: {userAgent|re: "^tool/[0-9]+ beta"}
  t: {userAgent|contains: [scan-one, scan-two, scan-three, scan-four, scan-five, scan-six, scan-seven]}
  condition: s or t
logsource: {product: aws}
"""
NAMES = ("GetObject", "ListBuckets", "StopLogging", "DeleteTrail", "ConsoleLogin", "DescribeInstances")
PIECES = (
    *(b"\\", b'"', b"\x01", b"\t", b"\xff", b"\xc3\xa4", b"01", b"1e5", b"-", b"\\u0041", b"\\ud800", b"nul"),
    *(b",", b"]", b"[", b"{", b"}", b":", b" ", b"null", b"[]", b'{"a":1}', b'"errorCode":5,', b'"eventName":null,'),
    *(b'"resourceType":"AuditEvent",', b'"eventName":"StopLogging",', b'"userIdentity.type":"Root",', b'"\\u0065":1,'),
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    path = tmp_path_factory.mktemp("rules") / "rules.yml"
    path.write_text(RULES)
    loaded = load([path])
    assert not loaded.problems
    return loaded


def trails(count: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for number in range(count):
        record = cloudtrail(
            id=f"c-{number}",
            time=1_767_600_000_000 + number,
            name=chance.choice(NAMES) if chance.random() < 0.2 else f"Get{number}",
            service="s3",
            user="synthetic-admin1",
            address="192.0.2.1",
        )
        record["userAgent"] = chance.choice(("sdk", "tool/7 beta", "scan-five", "tool/x", None))
        record["requestParameters"] = chance.choice(
            (None, {}, {"sets": {"items": [{"name": "a Synthetic one"}]}}, {"sets": None}, {"sets": [[{"items": 1}]]})
        )
        if chance.random() < 0.1:
            record["errorCode"] = "AccessDenied"
        yield orjson.dumps(record)


def broken(lines: Iterator[bytes], seed: int) -> Iterator[bytes]:
    """Each with one or two pieces put in, or in the place of a few bytes."""
    chance = random.Random(seed)
    for line in lines:
        made = bytearray(line)
        for _ in range(chance.choice((0, 1, 1, 2))):
            place = chance.randrange(len(made))
            made[place : place + chance.choice((0, 0, 1, 3))] = chance.choice(PIECES)
        yield bytes(made).replace(b"\n", b" ")


def found(content: bytes, rules: RuleSet, folder: Path, name: str = "events.jsonl") -> tuple[list[Any], list[str]]:
    path = folder / name
    path.write_bytes(content)
    out, errors = io.StringIO(), io.StringIO()
    reader = Reader(rules, Pseudonyms(b"0" * 32, "k"))
    detect(
        [str(path)],
        source="auto",
        rules=rules,
        reader=reader,
        detectors=(),
        now=1_767_700_000_000,
        out=out,
        errors=errors,
    )
    return [orjson.loads(line) for line in out.getvalue().splitlines()], errors.getvalue().splitlines()


def both(content: bytes, rules: RuleSet, folder: Path, name: str = "events.jsonl") -> tuple[list[Any], list[str]]:
    """What is found with lines passed over, which is what is found when each is read."""
    quick = found(content, rules, folder, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RuleSet, "passes", lambda *_: None)
        assert found(content, rules, folder, name) == quick
    return quick


def test_broken_lines_end_the_same_way(rules: RuleSet, tmp_path: Path) -> None:
    lines = list(broken(trails(6000, 1), 2))
    findings, errors = both(b"\n".join(lines), rules, tmp_path)
    assert len({finding["rule.id"] for finding in findings}) == 4
    assert len(errors) > 500


def test_most_lines_are_passed_over(rules: RuleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    unread = Scan.unread

    def counted(scan: Scan, *arguments: Any) -> Iterator[tuple[int, bytes]]:
        for number, line in unread(scan, *arguments):
            read.append(number)
            yield number, line

    monkeypatch.setattr(Scan, "unread", counted)
    findings, errors = found(b"\n".join(trails(2000, 3)), rules, tmp_path)
    assert errors == []
    told = {finding["line"] for finding in findings} - {1}
    assert told <= set(read)
    assert len(set(read) - told) < 100  # those that one rule's ECS field has to be made for


@pytest.mark.parametrize("ending", [b"", b"\n", b"\n\n", b"\r\n"])
def test_lines_end_where_they_end(rules: RuleSet, tmp_path: Path, ending: bytes) -> None:
    lines = list(trails(500, 4))
    lines[100:100] = [b"", b"   ", b"{"]
    separator = b"\r\n" if ending == b"\r\n" else b"\n"
    findings, errors = both(separator.join(lines) + ending, rules, tmp_path)
    assert [error.partition(": ")[0].rpartition(":")[2] for error in errors] == ["103"]
    assert findings[-1]["line"] > 103


def test_a_line_longer_than_any_piece_that_is_read(rules: RuleSet, tmp_path: Path) -> None:
    first, *more = trails(50, 5)
    long = orjson.dumps({**orjson.loads(first), "requestID": "x" * 300_000})
    too_long = orjson.dumps({**orjson.loads(first), "requestID": "x" * LIMIT})
    _, errors = both(b"\n".join([first, long, *more, too_long, long, *more]), rules, tmp_path)
    assert [error.partition(": ")[2][:14] for error in errors] == ["the record has"]


def test_other_sources_between_and_gzipped(rules: RuleSet, tmp_path: Path) -> None:
    other = orjson.dumps(
        audit_event(
            id="a-1",
            time=1_767_600_000_000,
            interaction="read",
            staff="synthetic-staff1",
            address="192.0.2.1",
            patient="synthetic-000001",
        )
    )
    lines = [line for trail in trails(300, 6) for line in (trail, other)]
    plain = both(b"\n".join(lines), rules, tmp_path)
    findings, errors = both(gzip.compress(b"\n".join(lines)), rules, tmp_path, "events.jsonl.gz")
    assert errors == plain[1] == []
    assert [{**finding, "file": ""} for finding in findings] == [{**finding, "file": ""} for finding in plain[0]]


def test_a_text_that_is_no_utf_8_is_told_where_nothing_asks_for_it(rules: RuleSet, tmp_path: Path) -> None:
    first, *more = trails(50, 7)
    spoilt = orjson.dumps({**orjson.loads(more[0]), "requestID": "here"}).replace(b"here", b"\xff")
    whole = orjson.dumps({**orjson.loads(more[0]), "requestID": "hêre"})
    _, errors = both(b"\n".join([first, spoilt, whole, *more]), rules, tmp_path)
    assert len(errors) == 1
    assert ":2: " in errors[0]
