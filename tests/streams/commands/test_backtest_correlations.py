"""Correlations tried on recorded events: what they would alert of, in any order of files, beside the active set."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from detectors.rules import RuleSet, load
from detectors.rules.correlation import Hit
from streams.commands.backtest import backtest, both
from streams.commands.backtest_counts import Period, as_json
from streams.commands.backtest_report import report
from streams.commands.backtest_worlds import ByTime, Fed
from streams.commands.files import detect
from streams.demo.records import cloudtrail
from streams.pipeline import Reader
from streams.pseudonyms import Pseudonyms
from streams.reading import read_files
from streams.scanning import Scan
from streams.sources.known import CATALOG

HOUR, DAY = 3_600_000, 86_400_000
BEGIN = 1_767_571_200_000  # 2026-01-05
NOW = BEGIN + 20 * DAY
RULE = """
title: Synthetic {name}
name: {name}
id: 00000000-0000-4000-8000-00000000000{number}
logsource: {{product: aws, service: cloudtrail}}
detection: {{s: {{eventName: {call}}}, condition: s}}
---
"""
STOP = RULE.format(name="stop", number=1, call="StopLogging")
KEY = RULE.format(name="key", number=2, call="CreateAccessKey")
MANY = """
title: Synthetic many stops
name: many
id: 00000000-0000-4000-8000-000000000003
correlation: {{type: event_count, rules: [{stop}], group-by: [user.name], timespan: 1h, condition: {{gte: {least}}}}}
level: high
---
"""
FIRST = "00000000-0000-4000-8000-000000000001"


def trail(number: int, name: str, time: int, user: str = "synthetic-a") -> bytes:
    record = cloudtrail(id=f"c-{number}", time=time, name=name, service="s3", user=user, address="192.0.2.1")
    return json.dumps(record).encode()


def rules(folder: Path, name: str, text: str) -> RuleSet:
    path = folder / f"{name}.yml"
    path.write_text(text)
    return load([path])


def run(
    candidates: RuleSet,
    active: RuleSet,
    files: Sequence[Path],
    period: Period = Period(),  # noqa: B008 - it is frozen
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], list[str], str]:
    """All of it, its trials by title, the report, and what went to standard error."""
    whole = both(candidates, active)
    scan, errors = Scan(whole, sample=True), io.StringIO()
    result = backtest(
        read_files(map(str, files), "auto", scan.unread),
        candidates,
        active,
        Reader(whole, Pseudonyms(b"0" * 32, "k")),
        source="auto",
        sources=CATALOG,
        scan=scan,
        period=period,
        now=NOW,
        errors=errors,
    )
    told = as_json(result)
    lines = list(report(result, {rule.id: rule.title for rule in active.rules}))
    return told, {rule["title"]: rule for rule in told["rules"]}, lines, errors.getvalue()


@pytest.fixture
def events(tmp_path: Path) -> list[Path]:
    """Ten days in two files, the later half first: on each day one person stops twice, on three days four times."""
    lines: list[list[bytes]] = [[], []]
    number = 0
    for day in range(10):
        times = [0, 5] if day % 4 else [0, 5, 10, 15]
        for minutes in times:
            number += 1
            time = BEGIN + day * DAY + 12 * HOUR + minutes * 60_000
            lines[day < 5].append(trail(number, "StopLogging", time, f"synthetic-{day % 2}"))
        lines[day < 5].append(trail(1000 + day, "GetObject", BEGIN + day * DAY))
    paths = [tmp_path / "later.jsonl", tmp_path / "earlier.jsonl"]
    for path, held in zip(paths, lines, strict=True):
        path.write_bytes(b"\n".join(held))
    return paths


def test_a_new_correlation_on_an_active_rule(tmp_path: Path, events: list[Path]) -> None:
    active = rules(tmp_path, "active", STOP + KEY)
    told, trials, lines, errors = run(rules(tmp_path, "new", MANY.format(stop="stop", least=3)), active, events)
    assert errors == ""
    many = trials["Synthetic many stops"]
    assert (many["kind"], many["change"], many["hits"]) == ("correlation", "new", 3)
    assert many["days"] == {"2026-01-05": 1, "2026-01-09": 1, "2026-01-13": 1}
    assert many["groups"] == {"distinct": 1, "top": {"user.name synthetic-0": 3}}
    assert many["also_found_by"] == {FIRST: 3}
    assert many["alone"] == 0
    assert many["examples"][0].startswith(f"{events[1]}:")
    # 26 stops alert now; then none of them does by itself.
    assert told["alerts_a_day"]["active"] == round(26 / told["days"], 2)
    assert told["alerts_a_day"]["with_candidates"] == round(3 / told["days"], 2)
    assert "           groups: user.name synthetic-0 (3)" in lines


def test_a_rule_that_a_correlation_refers_to_alerts_not_by_itself(tmp_path: Path, events: list[Path]) -> None:
    set_of_both = MANY.format(stop="stop", least=3) + STOP
    told, trials, lines, _ = run(rules(tmp_path, "new", set_of_both), rules(tmp_path, "active", KEY), events)
    stop = trials["Synthetic stop"]
    assert (stop["hits"], stop["alerts_a_day"], stop["feeds"]) == (26, 0, ["Synthetic many stops"])
    assert told["alerts_a_day"] == {"active": 0, "with_candidates": round(3 / told["days"], 2)}
    assert "           it feeds Synthetic many stops, and alerts nobody by itself" in lines
    generating = set_of_both.replace("timespan: 1h", "timespan: 1h, generate: true")
    told, trials, _, _ = run(rules(tmp_path, "new", generating), rules(tmp_path, "active", KEY), events)
    assert trials["Synthetic stop"]["feeds"] == []
    assert told["alerts_a_day"]["with_candidates"] == round(29 / told["days"], 2)


def test_a_next_version_gains_and_loses_by_group_and_span(tmp_path: Path, events: list[Path]) -> None:
    active = rules(tmp_path, "active", MANY.format(stop="stop", least=3) + STOP)
    _, trials, lines, _ = run(rules(tmp_path, "new", MANY.format(stop="stop", least=2)), active, events)
    many = trials["Synthetic many stops"]
    assert (many["change"], many["hits"], many["gained"], many["lost"]) == ("changed", 10, 7, 0)
    assert "           7 more than the active one, 0 of its hits lost" in lines
    _, trials, _, _ = run(rules(tmp_path, "new", MANY.format(stop="stop", least=5)), active, events)
    many = trials["Synthetic many stops"]
    assert (many["hits"], many["gained"], many["lost"]) == (0, 0, 3)
    _, trials, _, _ = run(rules(tmp_path, "new", MANY.format(stop="stop", least=3)), active, events)
    assert trials["Synthetic many stops"]["change"] == "same"


def test_a_changed_rule_shows_what_it_does_to_correlations_on_it(tmp_path: Path, events: list[Path]) -> None:
    active = rules(tmp_path, "active", MANY.format(stop="stop", least=3) + STOP)
    narrower = STOP.replace("eventName: StopLogging", "eventName: StopLogging, userIdentity.userName: synthetic-1")
    told, trials, _, _ = run(rules(tmp_path, "new", narrower), active, events)
    many = trials["Synthetic many stops"]
    assert (many["change"], many["hits"], many["gained"], many["lost"]) == ("affected", 0, 0, 3)
    assert told["alerts_a_day"]["with_candidates"] == 0


def test_what_is_in_shadow_now_alerts_in_neither(tmp_path: Path, events: list[Path]) -> None:
    quiet = MANY.format(stop="stop", least=3) + STOP.replace("level", "x") + KEY
    quiet = quiet.replace("name: stop\n", "name: stop\nwardwatch: {shadow: true}\n")
    told, _, _, _ = run(rules(tmp_path, "new", RULE.format(name="o", number=9, call="Other")),
                        rules(tmp_path, "active", quiet), events)  # fmt: skip
    assert told["alerts_a_day"] == {"active": 0, "with_candidates": 0}


def test_the_period_is_of_alerts_and_events_before_it_are_heard(tmp_path: Path) -> None:
    middle = BEGIN + 12 * HOUR
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(trail(n, "StopLogging", middle + n * 60_000) for n in (-2, -1, 1, 40)))
    many = rules(tmp_path, "new", MANY.format(stop="stop", least=3) + STOP)
    none = rules(tmp_path, "active", KEY)
    _, trials, _, _ = run(many, none, [path], Period(middle, middle + 30 * 60_000))
    assert (trials["Synthetic many stops"]["hits"], trials["Synthetic stop"]["hits"]) == (1, 1)
    for period in (Period(middle - DAY, middle), Period(middle + 30 * 60_000)):
        _, trials, _, _ = run(many, none, [path], period)
        assert trials["Synthetic many stops"]["hits"] == 0


def test_what_refers_to_nothing_is_told_and_costs_itself(tmp_path: Path, events: list[Path]) -> None:
    candidates = rules(tmp_path, "new", MANY.format(stop="nothing", least=3) + STOP)
    _, trials, _, errors = run(candidates, rules(tmp_path, "active", KEY), events)
    assert "it refers to 'nothing'" in errors
    assert list(trials) == ["Synthetic stop"]


KINDS = """
title: Keys then a stop
correlation: {type: temporal_ordered, rules: [key, stop], group-by: [user.name], timespan: 2h, generate: true}
---
title: A stop without a key
correlation: {type: temporal, rules: [stop, key], group-by: [user.name], timespan: 1h, condition: stop and not key}
---
title: Few keys
name: few
correlation: {type: event_count, rules: [key], group-by: [user.name], timespan: 30m, condition: {lt: 3}}
---
title: Few keys again
correlation: {type: event_count, rules: [few], group-by: [user.name], timespan: 6h, condition: {gte: 2}, generate: true}
---
title: Keys from one network
correlation: {type: value_count, rules: [key], timespan: 1h, condition: {gt: 1, field: user.name}}
---
"""


@pytest.mark.parametrize("seed", range(3))
def test_files_in_any_order_alert_as_the_events_in_order_do(tmp_path: Path, seed: int) -> None:
    chance, time, lines = random.Random(seed), BEGIN, []
    for number in range(1_500):
        time += chance.choice((0, 1_000, 60_000, 400_000))
        name = chance.choice(("StopLogging", "CreateAccessKey")) if chance.random() < 0.2 else "GetObject"
        lines.append(trail(number, name, time, f"synthetic-{chance.randrange(3)}"))
    text = KINDS + MANY.format(stop="stop", least=2) + STOP + KEY
    tried = rules(tmp_path, "new", text)
    assert not tried.problems
    ordered = tmp_path / "ordered.jsonl"
    ordered.write_bytes(b"\n".join(lines))
    out = io.StringIO()
    reader = Reader(tried, Pseudonyms(b"0" * 32, "k"))
    detect([str(ordered)], source="auto", rules=tried, reader=reader, detectors=(), now=NOW, out=out, errors=out)
    expected = Counter(json.loads(line)["rule.name"] for line in out.getvalue().splitlines())
    chance.shuffle(lines)
    parts = [tmp_path / f"{n}.jsonl" for n in range(3)]
    for n, part in enumerate(parts):
        part.write_bytes(b"\n".join(lines[n::3]))
    told, trials, _, _ = run(tried, rules(tmp_path, "active", text), parts)
    assert {title: trial["hits"] for title, trial in trials.items() if not trial["feeds"] and trial["hits"]} == expected
    assert len(expected) == 8
    assert told["alerts_a_day"]["active"] == pytest.approx(expected.total() / told["days"], rel=1e-3)
    assert told["alerts_a_day"]["with_candidates"] == told["alerts_a_day"]["active"]
    assert {trial["change"] for trial in trials.values()} == {"same"}


@pytest.mark.parametrize("most", [1, 3, 1_000])
def test_events_come_out_by_time_however_little_is_held(most: int) -> None:
    chance = random.Random(1)
    hit = Hit("p", "g", (None, "x"), 0, 5, "e", 2**70, "user:a", "s")
    fed = [Fed(chance.randrange(20), f"e{n}", f"f:{n}", ["r"], [hit] * (n % 2), [hit]) for n in range(50)]
    with ByTime(most) as by_time:
        for one in fed:
            by_time.add(one)
        assert list(by_time) == sorted(fed, key=lambda one: one.time)
