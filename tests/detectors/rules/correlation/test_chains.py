"""Correlations of correlations, groups and aliases, from events on."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from correlating import HOUR
from plain_naming import Plain

from detectors.base import Event, Finding
from detectors.rules import RuleSet, load
from detectors.rules.correlation import Memory
from detectors.rules.correlation.telling import hits

RULES = """\
title: Failed login
name: failed
logsource: {category: test}
detection: {selection: {act: failed}, condition: selection}
---
title: Login
name: login
logsource: {category: test}
detection: {selection: {act: login}, condition: selection}
---
title: Send
name: send
logsource: {category: test}
detection: {selection: {act: send}, condition: selection}
---
"""
GUESSED = """\
title: Guessed
correlation:
    type: temporal_ordered
    rules: [many_failed, login]
    group-by: [user]
    timespan: 10m
---
title: Many failed
name: many_failed
correlation:
    type: event_count
    rules: [failed]
    group-by: [host]
    timespan: 5m
    condition: {gte: 3}
"""


def loaded(folder: Path, text: str) -> RuleSet:
    path = folder / "rules.yml"
    path.write_text(RULES + text)
    rules = load([path])
    assert rules.problems == ()
    return rules


def found(rules: RuleSet, *events: tuple[int, dict[str, Any]], watermark: int = 0) -> list[Finding]:
    """Findings of events: seconds, and fields."""
    memory = Memory(rules.correlations, lateness=HOUR)
    findings = []
    for number, (seconds, record) in enumerate(events):
        user = f"user:{record.get('user', 'nobody')}"
        address = f"address:{record['ip']}" if "ip" in record else ""
        event = Event(f"e{number}", seconds * 1000, "test", user, address=address, fields=record)
        for match in rules.match(record, {}, None):
            feeds = rules.correlations.feeds.get(match.rule.id, ())
            findings += memory.take(hits(feeds, record, {}, event, user, Plain()), watermark)
    return [*findings, *memory.settle()]


def test_a_chain_uses_its_own_group(tmp_path: Path) -> None:
    """The inner one counts by host, the outer one asks for one user: that of the event at which the inner one held."""
    rules = loaded(tmp_path, GUESSED)
    tries = [(n, {"act": "failed", "host": "h", "user": "one" if n < 2 else "two"}) for n in range(3)]
    (finding,) = found(rules, *tries, (60, {"act": "login", "user": "two"}))
    assert finding.title == "Guessed"
    assert finding.evidence["user"] == "two"
    assert finding.reason == "Many failed, then Login, within 10m of one user."
    assert finding.event_ids == ("e2", "e3")
    assert found(rules, *tries, (60, {"act": "login", "user": "one"})) == []


def test_a_chain_goes_on_for_as_long_as_the_inner_one_holds(tmp_path: Path) -> None:
    """An attack of half an hour that succeeds at its end: what held first lies out of the outer window by then."""
    rules = loaded(tmp_path, GUESSED)
    tries = [(60 * n, {"act": "failed", "host": "h", "user": "u"}) for n in range(30)]
    (finding,) = found(rules, *tries, (60 * 30, {"act": "login", "user": "u"}))
    assert finding.title == "Guessed"


def test_every_order_of_a_chain_gives_one_set_of_ids(tmp_path: Path) -> None:
    rules = loaded(tmp_path, GUESSED)
    events = [(n * 10, {"act": "failed", "host": "h", "user": "u"}) for n in range(4)]
    events += [(60, {"act": "login", "user": "u"}), (700, {"act": "login", "user": "u"})]
    wanted = {finding.id for finding in found(rules, *events)}
    assert len(wanted) == 1
    for order in itertools.permutations(events):
        assert {finding.id for finding in found(rules, *order)} == wanted


COUNTED = """\
title: Again and again
correlation:
    type: event_count
    rules: [many_failed]
    group-by: [user]
    timespan: 1h
    condition: {gte: 3}
---
title: Many failed
name: many_failed
correlation:
    type: event_count
    rules: [failed]
    group-by: [user]
    timespan: 1m
    condition: {gte: 2}
"""


def test_a_correlation_is_counted_by_its_findings(tmp_path: Path) -> None:
    """It holds a hundred times in one minute: that is one finding. Three minutes of it are three."""
    rules = loaded(tmp_path, COUNTED)
    burst = [{"act": "failed", "user": "u"}] * 100
    once = [(n / 2, record) for n, record in enumerate(burst)]
    assert found(rules, *[(int(at), record) for at, record in once]) == []
    thrice = [(minute * 600 + n, {"act": "failed", "user": "u"}) for minute in range(3) for n in range(2)]
    (finding,) = found(rules, *thrice)
    assert finding.title == "Again and again"
    assert finding.evidence["wardwatch.correlation.measured"] == "3"


NOT = """\
title: Failed much, and no login before
correlation:
    type: temporal
    rules: [low_failed, login]
    condition: low_failed and not login
    group-by: [user]
    timespan: 10m
---
title: Few failed
name: low_failed
correlation:
    type: event_count
    rules: [failed]
    group-by: [user]
    timespan: 1m
    condition: {lte: 2}
"""


def test_what_waits_for_the_watermark_waits_for_what_is_beneath_it(tmp_path: Path) -> None:
    """Both the inner and the outer one are decided late, the outer one after the inner one."""
    rules = loaded(tmp_path, NOT)
    failed = (100, {"act": "failed", "user": "u"})
    assert [f.title for f in found(rules, failed)] == ["Failed much, and no login before"]
    assert found(rules, failed, (50, {"act": "login", "user": "u"})) == [], "the login came before, and is read after"
    (_,) = found(rules, failed, (150, {"act": "login", "user": "u"}))


ALIASES = """\
title: Seen on both sides
correlation:
    type: temporal
    rules: [login, send]
    group-by: [inside, outside]
    timespan: 10s
    aliases:
        inside: {login: destination.ip, send: ip}
        outside: {login: source.ip, send: peer}
---
title: Twice
correlation:
    type: event_count
    rules: [counted]
    group-by: [inside]
    timespan: 1h
    condition: {gte: 1}
---
title: Counted
name: counted
correlation:
    type: event_count
    rules: [send]
    group-by: [inside]
    timespan: 10s
    condition: {gte: 2}
    aliases:
        inside: {send: ip}
"""


def test_aliases_name_what_each_rule_calls_it_and_reach_through_a_chain(tmp_path: Path) -> None:
    rules = loaded(tmp_path, ALIASES)
    login = (0, {"act": "login", "destination": {"ip": "10.0.0.5"}, "source.ip": "192.0.2.1"})
    send = {"act": "send", "ip": "10.0.0.5", "peer": "192.0.2.1"}
    (finding,) = found(rules, login, (5, send))
    assert finding.evidence["inside"] == "10.0.0.5"
    assert finding.evidence["outside"] == "192.0.2.1"
    assert finding.entity == "address:10.0.0.5", "whom the group names"
    assert found(rules, login, (5, send | {"peer": "192.0.2.2"})) == []
    both = found(rules, (5, send | {"peer": "x"}), (6, send | {"peer": "y"}))
    assert [(f.title, f.evidence["inside"]) for f in both] == [("Twice", "10.0.0.5")]


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ({"user": "u"}, {"user": "u"}, True),
        ({"user": "u"}, {"user": "U"}, False),
        ({"user": "u"}, {}, False),
        ({}, {"user": None}, True),
        ({"user": ["u", "v"]}, {"user": "v"}, True),
        ({"user": 5}, {"user": "5"}, True),
        ({"user": True}, {"user": "true"}, True),
        ({"user": {"name": "u"}}, {"user": "u"}, False),
        ({"user": ""}, {}, False),
        ({"user": "\ud800"}, {"user": "\ud800"}, True),
    ],
)
def test_what_is_one_group(first: dict[str, Any], second: dict[str, Any], together: bool, tmp_path: Path) -> None:
    rules = loaded(
        tmp_path,
        "title: Two\ncorrelation: {type: event_count, rules: [send], group-by: [user], timespan: 1m, "
        "condition: {gte: 2}}\n",
    )
    assert bool(found(rules, (1, {"act": "send", **first}), (2, {"act": "send", **second}))) == together


def test_a_value_that_is_missing_or_no_number_is_no_hit(tmp_path: Path) -> None:
    rules = loaded(
        tmp_path,
        "title: Much\ncorrelation: {type: value_avg, rules: [send], timespan: 1m, condition: {field: size, lt: 10}}\n",
    )
    assert (
        found(rules, (1, {"act": "send"}), (2, {"act": "send", "size": "big"}), (3, {"act": "send", "size": 11})) == []
    )
    (finding,) = found(rules, (1, {"act": "send", "size": ["9", "x", 10]}))
    assert finding.reason == "an average of size of 9.5 within 1m; the rule asks for less than 10."


def test_every_value_of_a_list_is_counted(tmp_path: Path) -> None:
    """One answer that names a hundred patients is a hundred of them."""
    rules = loaded(
        tmp_path,
        "title: Many\ncorrelation: {type: value_count, rules: [send], group-by: [user], timespan: 1m, "
        "condition: {field: patient, gte: 100}}\n",
    )
    patients = [f"synthetic-{n}" for n in range(100)]
    (finding,) = found(rules, (1, {"act": "send", "patient": patients}))
    assert finding.reason == "100 different values of patient within 1m of one user; the rule asks for at least 100."
    assert (
        found(rules, (1, {"act": "send", "patient": patients[:99]}), (2, {"act": "send", "patient": patients[0]})) == []
    )


BEFORE = """\
title: A login and nothing failed before
correlation:
    type: temporal
    rules: [low_failed, login]
    condition: login and not low_failed
    group-by: [user]
    timespan: 10s
---
title: Few failed
name: low_failed
correlation:
    type: event_count
    rules: [failed]
    group-by: [user]
    timespan: 1s
    condition: {lte: 2}
"""


def test_a_decision_waits_for_those_beneath_it(tmp_path: Path) -> None:
    """What the inner one finds at 100 is there when the outer one is decided at 101, though both wait for the same."""
    rules = loaded(tmp_path, BEFORE)
    logins = [(at, {"act": "login", "user": "u"}) for at in (90, 101)]
    findings = found(rules, logins[0], (100, {"act": "failed", "user": "u"}), logins[1])
    assert [finding.time for finding in findings] == [90_000]
