"""Sigma 2.1 line by line: what each sentence of the specification makes of a rule and an event."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from detectors.rules import RuleSet
from detectors.rules.documents import DocumentError, documents
from detectors.rules.problems import RuleError
from detectors.rules.rule import read_rule


def ruleset(detection: str) -> RuleSet:
    """One rule out of the YAML of its detection."""
    text = "title: t\nlogsource: {category: c}\ndetection:\n" + "".join(
        f"  {line}\n" for line in detection.splitlines()
    )
    (found,) = documents(text.encode())
    assert not isinstance(found, DocumentError), found
    return RuleSet([read_rule(found[1], "test", 1)])


def holds(item: str, event: dict[str, Any]) -> bool:
    """``item``: one line of a selection, as an author writes it."""
    return bool(ruleset(f"s:\n  {item}\ncondition: s").match(event, {}, None))


# sigma-rules-specification.md, "Escape Character" and "String Wildcard"; the value in single quotes of YAML
ESCAPES = [
    (r"a: 'C:\x'", r"C:\x", True),
    (r"a: 'C:\\x'", r"C:\x", True),
    (r"a: 'x\*y'", "x*y", True),
    (r"a: 'x\*y'", "xzy", False),
    (r"a: 'x\?y'", "x?y", True),
    (r"a: 'x\?y'", "xzy", False),
    (r"a: 'x\\*'", "x\\anything", True),
    (r"a: 'x\\*'", "xanything", False),
    (r"a: 'x\\\*y'", r"x\*y", True),
    (r"a: 'x\\\*y'", r"x\zy", False),
    (r"a: 'x\\\y'", r"x\\y", True),
    (r"a: 'x\\\\y'", r"x\\y", True),
    (r"a: 'x\\\\y'", r"x\y", False),
    (r"a: 'x\'", "x\\", True),
    ("a: 'prog?.exe'", "progA.exe", True),
    ("a: 'prog?.exe'", "prog.exe", False),
    ("a: 'antivirus_V*.exe'", "Antivirus_v21.2.1.EXE", True),
    ("a: 'a*b*c'", "a\nb\nc", True),
    ("a: '*a*'", "xAx", True),
    ("a: '??t'", "cat", True),
    ("a: '??t'", "chat", False),
]


@pytest.mark.parametrize(("item", "value", "expected"), ESCAPES)
def test_wildcards_and_their_escapes(item: str, value: str, expected: bool) -> None:
    assert holds(item, {"a": value}) is expected


def base64(text: str, codec: str = "utf-8", before: str = "") -> str:
    return b64encode(before.encode() + text.encode(codec)).decode()


# sigma-appendix-modifiers.md, in its order
MODIFIERS = [
    ("a|all: ['*x*', '*y*']", "yx", True),
    ("a|all: ['*x*', '*y*']", "y", False),
    ("a|contains|all: [x, y]", ["x1", "y1"], True),
    ("a|startswith: adm", "ADMIN", True),
    ("a|startswith: adm", "xadm", False),
    ("a|endswith: '\\cmd.exe'", "C:\\CMD.EXE", True),
    ("a|contains: '*'", "", True),
    ("a|contains: ''", "anything", True),
    ("a|startswith: 'x*y'", "x.yz", True),
    ("a|endswith: '??t'", "test", True),
    ("a|contains: 4", "x4", True),
    ("a|contains: 1.50", "v1.50", True),
    ("a|contains: 1.50", "v1.5", False),
    ("a|startswith: 010", "0101", True),
    ("a|cased: Foo", "foo", False),
    ("a|cased: Foo", "Foo", True),
    ("a|cased|contains: Fo", "xFo", True),
    ("a|contains|cased: Fo", "xfo", False),
    ("a|cased|base64: Foo", "Rm9v", True),
    ("a|cased|base64: Foo", "rm9v", False),
    ("a|neq: x", "y", True),
    ("a|neq: x", "X", False),
    ("a|neq: [x, y]", "y", False),
    ("a|neq: [x, y]", "z", True),
    ("a|contains|all|neq: [x, y]", "x", True),
    ("a|contains|all|neq: [x, y]", "xy", False),
    ("a|neq: 5", "5", False),
    ("a|neq: null", "x", True),
    ("a|re|neq: '^x'", "y", True),
    ("a|cidr|neq: 10.0.0.0/8", "10.1.2.3", False),
    ("a|windash: '-x'", "/x", True),
    ("a|windash: '-x'", "\u2013x", True),
    ("a|windash: '/x'", "-x", True),
    ("a|windash: '\u2015x'", "\u2014x", True),
    ("a|windash: '-x'", "+x", False),
    ("a|windash|contains: ' -p -q'", "p.exe /P \u2014q", True),
    ("a|contains|windash: ['-x', '-y']", "cmd /y", True),
    ("a|windash|contains|all: ['-x', '-y']", "/x /z", False),
    ("a|windash|base64offset|contains: '-x'", base64("/x", before="abc"), True),
    ("a|re: 'a+b'", "xaab", True),
    ("a|re: 'A'", "a", False),
    ("a|re|i: 'A'", "a", True),
    ("a|re: '^b'", "a\nb", False),
    ("a|re|m: '^b'", "a\nb", True),
    ("a|re: 'a.b'", "a\nb", False),
    ("a|re|s: 'a.b'", "a\nb", True),
    ("a|re|i|m|s: '^B.c'", "a\nb\nc", True),
    ("a|re|all: ['^a', 'b$']", "axb", True),
    ("a|re|all: ['^a', 'b$']", "a", False),
    ("a|re: '^4$'", 4, True),
    ("a|re|startswith: 'b|a'", "ab", True),
    ("a|re|startswith: 'b|c'", "ab", False),
    ("a|re|endswith: 'b|c'", "ab", True),
    ("a|re|contains: 'b|c'", "abd", True),
    ("a|base64: foo", "Zm9v", True),
    ("a|base64: 'C:\\x'", base64("C:\\x"), True),
    *(("a|base64offset|contains: foobar", base64("foobar", before="x" * n) + "eA", True) for n in range(3)),
    ("a|base64offset|contains: foobar", base64("foobaz"), False),
    ("a|utf16le|base64: cmd", base64("cmd", "utf-16-le"), True),
    ("a|wide|base64: Größe", base64("Größe", "utf-16-le"), True),
    ("a|wide|base64offset|contains: ping", base64("ping", "utf-16-le", "x"), True),
    ("a|utf16be|base64: cmd", base64("cmd", "utf-16-be"), True),
    ("a|utf16|base64: cmd", b64encode(b"\xff\xfec\0m\0d\0").decode(), True),
    ("a|wide: cmd", "c\0m\0d\0", True),
    ("a|wide|contains: cm", "c\0m\0d\0", True),
    ("a|utf16: c", "\ufeffc\0", True),
    ("a|lt: 5", 4, True),
    ("a|lt: 5", 5, False),
    ("a|lte: 5", "5.0", True),
    ("a|gt: 1.5", "1e3", True),
    ("a|gte: '5'", 6, True),
    ("a|gt: [1, 100]", 50, True),
    ("a|gt|all: [1, 100]", 50, False),
    ("a|lt: 5", "few", False),
    ("a|lt: 5", True, False),
    ("a|minute: 30", "2026-01-05T18:30:00Z", True),
    ("a|hour: 18", "2026-01-05T18:30:00+05:00", True),
    ("a|day|gte: 6", "2026-01-05T18:30:00Z", False),
    ("a|week: [1, 2]", "2026-01-05", True),
    ("a|month|lt: 2", "2026-01-05", True),
    ("a|year: 2026", "2026-01-05", True),
    ("a|hour|neq: 18", "2026-01-05T17:30:00Z", True),
    ("a|hour: 18", "eighteen", False),
    ("a|cidr: 10.0.0.0/8", "10.1.2.3", True),
    ("a|cidr: [10.0.0.0/8, '2001:db8::/32']", "2001:DB8::1", True),
    ("a|cidr: 10.1.2.3", "10.1.2.3", True),
    ("a|cidr: 10.0.0.0/8", "11.1.2.3", False),
    ("a|exists: true", "", True),
    ("a|exists: true", None, True),
    ("a|exists: false", None, False),
    ("a|exists: yes", 1, True),
]


@pytest.mark.parametrize(("item", "value", "expected"), MODIFIERS)
def test_modifiers(item: str, value: Any, expected: bool) -> None:
    assert holds(item, {"a": value}) is expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("a: null", True),
        ("a: ''", False),
        ("a: '*'", False),
        ("a|neq: x", True),
        ("a|exists: false", True),
        ("a|exists: true", False),
        ("a|fieldref: b", False),
        ("a|fieldref|neq: b", True),
        ("a|lt: 5", False),
    ],
)
def test_absent_fields(item: str, expected: bool) -> None:
    assert holds(item, {"b": "x"}) is expected


@pytest.mark.parametrize(
    ("item", "event", "expected"),
    [
        ("a|fieldref: b", {"a": "x", "b": "X"}, True),
        ("a|fieldref: b", {"a": 10, "b": "10"}, True),
        ("a|fieldref: b", {"a": ["x", "y"], "b": ["z", "y"]}, True),
        ("a|fieldref|cased: b", {"a": "x", "b": "X"}, False),
        ("a|fieldref: 43.40", {"a": "x", "43.40": "x", "43.4": "y"}, True),
        ("a|fieldref: 7", {"a": "x", "7": "x"}, True),
        ("a|fieldref: n.b", {"a": "x", "n": {"b": "x"}}, True),
        ("a|fieldref|startswith: b", {"a": "xy", "b": "x"}, True),
        ("a|fieldref|startswith: b", {"a": "yx", "b": "x"}, False),
        ("a|fieldref|endswith: b", {"a": "yx", "b": "x"}, True),
        ("a|fieldref|contains: b", {"a": "yxy", "b": "x"}, True),
        ("a|fieldref|neq: b", {"a": "x", "b": "y"}, True),
        ("a|neq|fieldref|endswith: b", {"a": "yx", "b": "x"}, False),
        ("a|fieldref: [b, c]", {"a": "x", "b": "y", "c": "x"}, True),
        ("a|fieldref|all: [b, c]", {"a": "x", "b": "y", "c": "x"}, False),
    ],
)
def test_references_to_fields(item: str, event: dict[str, Any], expected: bool) -> None:
    assert holds(item, event) is expected


# YAML 1.2.2, chapter 10.3.2 (core schema), which the specification names
YAML = [
    ("a: no", "no", True),
    ("a: no", False, False),
    ("a: on", "on", True),
    ("a: true", True, True),
    ("a: TRUE", "true", True),
    ("a: 010", 10, True),
    ("a: 0o10", 8, True),
    ("a: 0x10", "16", True),
    ("a: '0x10'", "16", False),
    ("a: 1e3", 1000, True),
    ("a: 2026-01-05", "2026-01-05", True),
    ("a: 12:30", "12:30", True),
    ("a: ~", None, True),
    ("a:", None, True),
    ("a: !!str 5", "5", True),
    ("a: !!str 5", "5.0", False),
    ("a: 5", "5.0", True),
    ("a: 5", "05", False),
    ("a: 1.0", 1, True),
    ("a: '1.0'", 1, False),
]


@pytest.mark.parametrize(("item", "value", "expected"), YAML)
def test_values_are_what_yaml_1_2_says(item: str, value: Any, expected: bool) -> None:
    assert holds(item, {"a": value}) is expected


KEYWORDS = [
    ("s: [evil, wicked]", {"x": {"y": ["an EVIL word"]}}, True),
    ("s: evil", {"x": "evil"}, True),
    ("s: ['ev*l']", {"x": "an evil"}, True),
    ("s: ['*evil']", {"x": "evils"}, True),
    ("s: ['ev?l*']", {"x": "an evil thing"}, True),
    ("s: [10]", {"x": 10}, True),
    ("s: [10]", {"x": "port 10 open"}, True),
    ("s: {'|all': [ab, cd]}", {"x": "ab", "y": "cd"}, True),
    ("s: {'|all': [ab, cd]}", {"x": "ab"}, False),
    ("s: {'|contains|all': [ab, cd]}", {"x": "xabcdx"}, True),
    ("s: {'|cased': AB}", {"x": "ab"}, False),
    ("s: {'|re': 'a.c'}", {"x": "xabcx"}, True),
    ("s: {'|re|i': 'A.C'}", {"x": "xabcx"}, True),
    ("s: {'|wide|base64offset|contains': ping}", {"x": base64("ping", "utf-16-le")}, True),
    ("s: {'|windash': ' -enc'}", {"x": "p /enc"}, True),
    ("s: {'|neq': evil}", {"x": "evil"}, False),
    ("s: {'|neq': evil}", {"x": "good"}, True),
    ("s: [evil, {a: x}]", {"a": "x"}, True),
    ("s: [evil, {a: x}]", {"b": "evil"}, True),
    ("s: [{a: x, b: y}, {c: z}]", {"a": "x", "c": "z"}, True),
    ("s: [{a: x, b: y}, {c: z}]", {"a": "x"}, False),
    ("s: [{a: x}, [{b: y}, {c: z}]]", {"c": "z"}, True),
    ("s: {a: [x, 5, null, '']}", {"a": 5}, True),
    ("s: {a: [x, 5, null, '']}", {}, True),
    ("s: {a: [x, 5, null, '']}", {"a": ""}, True),
]


@pytest.mark.parametrize(("selection", "event", "expected"), KEYWORDS)
def test_keywords_and_lists(selection: str, event: dict[str, Any], expected: bool) -> None:
    assert bool(ruleset(f"{selection}\ncondition: s").match(event, {}, None)) is expected


CONDITIONS: dict[str, Any] = {
    # names that hold in the event: a, b, _h; not: c, sel_x; sel_y holds
    "a": True,
    "c": False,
    "not c": True,
    "not not a": True,
    "a and c": False,
    "a or c": True,
    "c or a and b": True,
    "c and a or b": True,
    "a or b and c": True,
    "(a or b) and c": False,
    "not c and a": True,
    "not (c or a)": False,
    "not a or b": True,
    "a AND NOT c": True,
    "((a))": True,
    "1 of sel_*": True,
    "any of sel_*": True,
    "all of sel_*": False,
    "not 1 of sel_*": False,
    "not all of sel_*": True,
    "all of sel_* or a": True,
    "1 of them": True,
    "all of them": False,
    "1 of _*": True,
    "1 of c*": False,
    "1 of *_y": True,
    "all of s*_*y": True,
    "all of sel_y": True,
    "1 of a and 1 of b": True,
    "a and\n  b": True,
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions(condition: str) -> None:
    names = "a: {f: x}\nb: {g: y}\nc: {f: z}\n_h: {f: x}\nsel_x: {f: z}\nsel_y: {g: y}\n"
    rules = ruleset(f"{names}condition: {condition!r}".replace("\\n", " "))
    assert bool(rules.match({"f": "x", "g": "y"}, {}, None)) is CONDITIONS[condition]


def test_several_conditions_are_alternatives_and_them_leaves_underscores_out() -> None:
    names = "a: {f: x}\nb: {f: z}\n_h: {f: q}\n"
    assert ruleset(f"{names}condition: [a and b, a]").match({"f": "x"}, {}, None)
    assert ruleset(f"{names}condition: all of them").match({"f": ["x", "z"]}, {}, None)
    assert not ruleset(f"{names}condition: [a and b, b]").match({"f": "x"}, {}, None)


@pytest.mark.parametrize("name", ["1", "all", "any", "notepad", "or-else", "selection.1", "auswahl_ä", "of"])
def test_names_that_look_like_words_of_the_language(name: str) -> None:
    rules = ruleset(f"'{name}': {{f: x}}\ncondition: {name} and not not {name}")
    assert rules.match({"f": "x"}, {}, None)


def test_the_timeframe_of_sigma_1_is_no_detection() -> None:
    assert ruleset("s: {f: x}\ntimeframe: 5m\ncondition: all of them").match({"f": "x"}, {}, None)


HEAD: dict[str, Any] = {"title": "t", "detection": {"s": {"f": "x"}, "condition": "s"}}


def test_what_a_rule_says_of_itself() -> None:
    related = [{"id": "929a690e-bef0-4204-a928-ef5e620d6fcc", "type": "obsolete"}]
    source = {"product": "Windows", "service": "sysmon", "definition": "log everything", "vendor": "m"}
    rule = read_rule(
        {
            **HEAD,
            "logsource": source,
            "id": "not-a-uuid",
            "name": "short",
            "related": related,
            "taxonomy": "sigma",
            "scope": ["server"],
            "fields": ["CommandLine"],
            "modified": "2026/1/5",
            "ours": {"k": [1]},
        },
        "p",
        1,
    )
    assert (rule.id, rule.name, rule.scope, rule.fields) == ("not-a-uuid", "short", ("server",), ("CommandLine",))
    assert rule.related == (("obsolete", "929a690e-bef0-4204-a928-ef5e620d6fcc"),)
    assert (rule.product, rule.service, rule.category, str(rule.modified)) == ("windows", "sysmon", "", "2026-01-05")
    assert rule.custom == {"ours": {"k": [1]}}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"logsource": {"definition": "all"}}, "logsource is empty"),
        ({"logsource": "windows"}, "logsource is missing or no map"),
        ({"logsource": {"product": 5}}, "no text"),
        ({"title": ""}, "title"),
        ({"title": "x" * 257}, "title"),
        ({"level": "urgent"}, "level 'urgent'"),
        ({"status": "done"}, "status 'done'"),
        ({"date": "5 January"}, "date is no date"),
        ({"tags": ["attack"]}, "namespace"),
        ({"tags": "attack.t1"}, "tags is no list"),
        ({"related": [{"id": "x"}]}, "related"),
        ({"id": 5}, "id is no text"),
        ({"author": ["A"]}, "author is no text"),
        ({"taxonomy": "ours"}, "only a pipeline"),
        ({"wardwatch": {"subject": "ward"}}, "subject"),
        ({"fields": [{"a": 1}]}, "fields"),
    ],
)
def test_what_a_rule_cannot_say_of_itself(words: dict[str, Any], reason: str) -> None:
    with pytest.raises(RuleError, match=reason):
        read_rule({**HEAD, "logsource": {"product": "p"}, **words}, "p", 1)


def test_every_reason_is_told_at_once() -> None:
    with pytest.raises(RuleError, match=r"level 'x'.*; status 'y'.*; .*a\|near|level 'x'.*status 'y'"):
        read_rule({**HEAD, "logsource": {"product": "p"}, "level": "x", "status": "y"}, "p", 1)
