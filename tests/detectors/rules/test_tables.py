"""What placeholders stand for: lists and indicators of every kind, from every form, until they expire."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.rules import RuleSet, load
from detectors.rules.indicators import FOREVER, kind_of, listed
from detectors.rules.stix import StixError, indicators_of
from detectors.rules.tables import load_tables

JANUARY = 1_767_225_600_000  # 2026-01-01T00:00:00Z


def files(folder: Path, **texts: str | bytes) -> Path:
    """``texts`` by name, with ``__`` for a slash and ``_`` before the ending."""
    for name, text in texts.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def ruled(folder: Path, *items: str, lists: Path) -> RuleSet:
    """A rule for each of ``items``."""
    rules = folder / "rules"
    rules.mkdir(exist_ok=True)
    for number, item in enumerate(items):
        head = f"title: r{number}\nid: r{number}\nlogsource: {{category: c}}\n"
        (rules / f"{number:02}.yml").write_text(f"{head}detection:\n  s:\n    {item}\n  condition: s\n")
    return load([rules], lists=[lists])


def matched(rules: RuleSet, event: dict[str, Any], at: int | None = None) -> list[str]:
    return [match.rule.id for match in rules.match(event, {}, None, at)]


def test_values_of_placeholders(tmp_path: Path) -> None:
    lists = files(
        tmp_path / "lists",
        Administrators_txt="# who may\nadm_*\nroot # always\n",
        Servers_csv="value,site\nsrv01,a\nsrv02,b\n",
        plain_csv="one\ntwo\n",
        more_yml="JumpServers: [jump1, 'j?2']\nPorts: [22, 3389]\none: x.y\nnets: [10.0.0.0/8]\n",
    )
    items = [
        "a|expand: '%Administrators%'",
        "a|expand: ['%Servers%', '%JumpServers%']",
        "a|expand: '%Ports%'",
        "a|contains|expand: '%one%'",
        "a|expand: '%one%-%plain%'",
        r"a|expand: 'C:\Users\%plain%\x'",
        r"a|expand: '\%one%plain%'",
        "a|re|expand: '^<%one%>$'",
        "a|cidr|expand: '%nets%'",
        "a|expand|neq: '%Servers%'",
        "a: '%one%'",
    ]
    rules = ruled(tmp_path, *items, lists=lists)
    assert rules.problems == ()
    cases = {
        "ADM_7": ["r0", "r9"],
        "root": ["r0", "r9"],
        "srv02": ["r1"],
        "j12": ["r1", "r9"],
        "3389": ["r2", "r9"],
        "a x.y b": ["r3", "r9"],
        "x.y-two": ["r3", "r4", "r9"],
        r"c:\users\one\X": ["r5", "r9"],
        "%oneone": ["r6", "r9"],
        "<x.y>": ["r3", "r7", "r9"],
        "<xzy>": ["r9"],
        "10.2.3.4": ["r8", "r9"],
        "%one%": ["r9", "r10"],
    }
    assert {value: matched(rules, {"a": value}) for value in cases} == cases


def test_a_placeholder_without_a_list_is_refused(tmp_path: Path) -> None:
    lists = files(tmp_path / "lists", empty_txt="# nothing\n", indicators__addresses_txt="10.0.0.1\n")
    rules = ruled(
        tmp_path,
        "a|expand: '%gone%'",
        "a|expand: '%empty%'",
        "a|contains|expand: '%indicators.addresses%'",
        "a|expand: 'x%indicators.addresses%'",
        "a|cidr|expand: '%indicators.urls%'",
        "a|expand: '%indicators.unknown%'",
        lists=lists,
    )
    told = ["no list", "empty", "no modifier but expand", "stand alone", "no addresses", "'indicators.unknown'"]
    reasons = zip((problem.reason for problem in rules.problems), ["no list is named 'gone'", *told[1:]], strict=True)
    assert [(reason, part) for reason, part in reasons if part not in reason] == []
    assert rules.rules == ()


@pytest.mark.parametrize(
    ("item", "value", "expected"),
    [
        ("a|expand: '%who%'", "ANNA", True),
        ("a|expand: '/home/%who%/.ssh'", "/home/bob/.SSH", True),
        ("a|expand: '/home/%who%/.ssh'", "/home/carl/.ssh", False),
        ("a|contains|expand: '/%who%/'", "/home/anna/x", True),
        ("a|startswith|expand: '%who%@'", "bob@ward", True),
        ("a|startswith|expand: '%who%@'", "x.bob@ward", False),
        ("a|endswith|expand: '@%site%'", "carl@ward", True),
        ("a|endswith|expand: '@%site%'", "carl@ward.x", False),
        ("a|expand: '%who%@%site%'", "anna@ward", True),
        ("a|cased|expand: '%who%'", "anna", False),
        ("a|cased|expand: '%who%'", "Anna", True),
        ("a|neq|expand: '%who%'", "carl", True),
    ],
)
def test_a_placeholder_may_stand_for_what_the_event_has(item: str, value: str, expected: bool, tmp_path: Path) -> None:
    lists = files(tmp_path / "lists", fields_yml="who: {field: user.name}\nsite: {field: n.site}\n")
    rules = ruled(tmp_path, item, lists=lists)
    event = {"a": value, "user.name": ["Anna", "bob"], "n": {"site": "ward"}}
    assert bool(matched(rules, event)) is expected
    again = load([tmp_path / "rules"], lists=[lists], cache=tmp_path / "cache")
    again = load([tmp_path / "rules"], lists=[lists], cache=tmp_path / "cache")
    assert bool(matched(again, event)) is expected
    for match in again.match(event, {}, None):
        assert match.evidence() in ({"a": value}, {})


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("a|expand: 'x*%who%'", "wildcard inside"),
        ("a|windash|expand: '-%who%'", "wildcard inside"),
        ("a|base64|expand: '%who%'", "placeholder has no meaning"),
        ("'|expand': '%who%'", "keyword"),
    ],
)
def test_what_an_event_cannot_fill_is_refused(item: str, reason: str, tmp_path: Path) -> None:
    lists = files(tmp_path / "lists", fields_yml="who: {field: user.name}\n")
    (problem,) = ruled(tmp_path, item, lists=lists).problems
    assert reason in problem.reason


BUNDLE = {
    "type": "bundle",
    "objects": [
        {"type": "identity", "name": "x"},
        {"type": "indicator", "id": "indicator--1", "pattern": "[ipv4-addr:value = '198.51.100.7']"},
        {
            "type": "indicator",
            "id": "indicator--2",
            "pattern_type": "stix",
            "pattern": "[domain-name:value = 'evil.example' OR url:value = 'http://x.example/a\\'b']"
            " OR [file:hashes.'SHA-256' = '" + "a" * 64 + "'] OR [file:hashes.MD5 IN ('" + "b" * 32 + "')]",
            "valid_until": "2026-01-01T00:00:00Z",
        },
        {"type": "indicator", "id": "indicator--3", "pattern": "[user-account:user_id = 'p-666']"},
        {"type": "indicator", "id": "indicator--4", "pattern": "[ipv6-addr:value ISSUBSET '2001:db8:bad::/48']"},
        {"type": "indicator", "id": "indicator--5", "pattern": "[url:value = 'http://gone.example/']", "revoked": True},
        {"type": "indicator", "id": "indicator--6", "pattern": "[a:b = 'c' AND url:value = 'http://y.example/']"},
        {"type": "indicator", "id": "indicator--7", "pattern": "alert tcp", "pattern_type": "snort"},
    ],
}


@pytest.fixture
def indicators(tmp_path: Path) -> tuple[RuleSet, list[str]]:
    lists = files(
        tmp_path / "lists",
        indicators__feed_json=json.dumps(BUNDLE),
        indicators__more_csv="type,value,valid_until\nip,203.0.113.0/24,2026-01-02\nuser,p-667,\n,10.9.9.9,\nfoo,x,\n",
        indicators__mixed_txt=f"# mixed\n192.0.2.1\nbad.example\n{'C' * 40}\nhttps://z.example/q\nwhat is this\n",
        indicators__users_txt="p-668\n",
    )
    items = [f"a|expand: '%indicators.{kind}%'" for kind in ("addresses", "domains", "hashes", "urls", "users")]
    rules = ruled(tmp_path, *items, "a|cidr|expand: '%indicators.addresses%'", lists=lists)
    return rules, [problem.reason for problem in rules.problems]


def test_indicators_of_every_kind_and_form(indicators: tuple[RuleSet, list[str]]) -> None:
    rules, _ = indicators
    cases: dict[str, list[str]] = {
        "198.51.100.7": ["r0", "r5"],
        "198.51.100.8": [],
        "203.0.113.99": ["r0", "r5"],
        "10.9.9.9": ["r0", "r5"],
        "2001:DB8:BAD:1::5": ["r0", "r5"],
        "2001:db8:bae::": [],
        "203.0.113.0/24": [],
        "EVIL.example": ["r1"],
        "www.evil.example.": ["r1"],
        "notevil.example": [],
        "bad.example": ["r1"],
        "SHA1=" + "0" * 40 + ",SHA256=" + "A" * 64: ["r2"],
        "b" * 32: ["r2"],
        "b" * 33: [],
        "c" * 40: ["r2"],
        "http://x.example/a'b": ["r3"],
        "https://z.example/q": ["r3"],
        "http://gone.example/": [],
        "P-666": ["r4"],
        "p-667": ["r4"],
        "p-668": ["r4"],
    }
    assert {value: matched(rules, {"a": value}) for value in cases} == cases
    assert matched(rules, {"a": ["x", 5, None, "bad.example"]}) == ["r1"]


def test_indicators_expire_by_the_time_of_the_event(indicators: tuple[RuleSet, list[str]]) -> None:
    rules, _ = indicators
    assert matched(rules, {"a": "evil.example"}, JANUARY - 1) == ["r1"]
    assert matched(rules, {"a": "evil.example"}, JANUARY) == []
    assert matched(rules, {"a": "203.0.113.1"}, JANUARY + 86_400_000 - 1) == ["r0", "r5"]
    assert matched(rules, {"a": "203.0.113.1"}, JANUARY + 86_400_000) == []
    assert matched(rules, {"a": "bad.example"}, JANUARY * 2) == ["r1"]


def test_what_is_no_indicator_is_told(indicators: tuple[RuleSet, list[str]]) -> None:
    _, reasons = indicators
    told = ("indicator--6", "indicator--7", "no kind of indicator", "not the form of any kind")
    assert [any(part in reason for reason in reasons) for part in told] == [True] * 4
    assert len(reasons) == 4


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[url:value = 'a'] FOLLOWEDBY [url:value = 'b']", None),
        ("[url:value = 'a'] WITHIN 5 SECONDS", None),
        ("[url:value = 'a'", None),
        ("[url:value = 'a' OR]", None),
        ("[url:value MATCHES 'a']", None),
        ("[NOT url:value = 'a']", None),
        ("", []),
        ("[ url:value='a' ]OR[url:value = 'b']", ["a", "b"]),
        (r"[url:value = 'a\'\\b']", ["a'\\b"]),
    ],
)
def test_patterns_of_stix(pattern: str, expected: list[str] | None) -> None:
    found = list(indicators_of({"objects": [{"type": "indicator", "pattern": pattern}]}))
    if expected is None:
        assert [type(one) for one in found] == [StixError]
    else:
        assert [one[1] for one in found if not isinstance(one, StixError)] == expected
        assert not any(isinstance(one, StixError) for one in found)


def test_a_broken_file_costs_only_itself(tmp_path: Path) -> None:
    lists = files(
        tmp_path,
        good_txt="x\n",
        bad_txt=b"\xff\xfe",
        broken_yml="a: [",
        nested_yml="a: {b: c}",
        twice_csv="good\n",
        good_csv="y\n",
        indicators__broken_json="{",
        indicators__deep_json="[" * 100_000,
        indicators__other_xml="<a/>",
    )
    tables, problems = load_tables([lists])
    assert tables.values("good") == ("y",)  # of two files that name one list, the first by name
    assert sorted(Path(problem.path).name for problem in problems) == [
        "bad.txt",
        "broken.json",
        "broken.yml",
        "deep.json",
        "good.txt",
        "nested.yml",
        "other.xml",
    ]


def test_a_list_is_part_of_the_version_of_the_rules_that_name_it(tmp_path: Path) -> None:
    def version(text: str) -> list[str]:
        lists = files(tmp_path / "lists", names_txt=text, indicators__a_txt="10.0.0.1\n")
        items = ("a|expand: '%names%'", "a: x", "a|expand: '%indicators.addresses%'")
        return [rule.version for rule in ruled(tmp_path, *items, lists=lists).rules]

    one, other = version("x\n"), version("y\n")
    assert [a == b for a, b in zip(one, other, strict=True)] == [False, True, True]


def test_long_lists_take_one_look_up_an_event(tmp_path: Path) -> None:
    """100,000 entries of each kind; an event costs no more than with a hundred of them, give or take a cache."""

    def ask(count: int) -> float:
        folder = tmp_path / str(count)
        lists = files(
            folder,
            indicators__a_txt="".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(count)),
            indicators__d_txt="".join(f"host{n}.example\n" for n in range(count)),
            names_txt="".join(f"name{n}\n" for n in range(max(count, 2000))),
        )
        kinds = ("indicators.addresses", "indicators.domains", "names")
        rules = ruled(folder, *(f"a|expand: '%{kind}%'" for kind in kinds), lists=lists)
        assert [len(matched(rules, {"a": value})) for value in ("10.0.0.99", "w.host99.example", "NAME99")] == [1, 1, 1]
        start = time.process_time()
        for number in range(3000):
            rules.match({"a": f"w{number}.host.example"}, {}, None)
        return time.process_time() - start

    assert ask(100_000) < 8 * ask(100)


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
networks = st.builds(lambda text, bits: f"{text}/{bits % (129 if ':' in text else 33)}", addresses, st.integers(0, 128))


@given(entries=st.lists(networks, max_size=5), near=st.integers(0, 4), value=addresses)
def test_addresses_are_found_as_ipaddress_finds_them(entries: list[str], near: int, value: str) -> None:
    from ipaddress import ip_address, ip_network

    kept = [found[1] for entry in entries if (found := kind_of(entry))]
    values = [value, *(str(ip_network(entry)[0]) for entry in kept[near : near + 1])]
    holds = listed("x", "addresses", dict.fromkeys(kept, FOREVER)).holds
    for one in values:
        assert holds(one, None) == any(ip_address(one) in ip_network(entry) for entry in kept)
