"""For generated rules and events the evaluator answers what the plain reference answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference
from sigma.rule import SigmaRule

from detectors.rules import index
from detectors.rules.explanation import Answer, answer, asked, causes
from detectors.rules.expression import Question
from detectors.rules.pipelines import Pipelines
from detectors.rules.rule import read_rule
from detectors.rules.ruleset import RuleSet
from detectors.rules.tables import NO_TABLES

FIELDS = ("a", "b", "n.x", "n.y", "l.x", "l.m.z", "event.action")
WORDS = (
    "",
    "a",
    "A",
    "ab",
    "aB c",
    "Straße",
    "STRASSE",
    "İ",
    "ς",
    "10",
    "10.0",
    "true",
    "x*",
    "\\",
    "a\nb",
    "10.0.0.7",
    "YQ==",
    "2026-01-05T12:00:00Z",
)

word = st.sampled_from(WORDS)
scalar = st.one_of(
    word, st.sampled_from([0, 1, 10, 10.0, 1.5, -3, True, False, None]), st.text("aAbß*?\\ ", max_size=4)
)
leaf = st.one_of(scalar, st.lists(scalar, max_size=3), st.lists(st.lists(scalar, max_size=2), max_size=2))
node = st.fixed_dictionaries({}, optional={"x": leaf, "y": leaf, "m": st.fixed_dictionaries({}, optional={"z": leaf})})
record = st.fixed_dictionaries(
    {},
    optional={
        "a": leaf,
        "b": leaf,
        "n": st.one_of(node, leaf),
        "n.x": leaf,  # a flat key beside the nested path
        "l": st.one_of(st.lists(st.one_of(node, scalar, st.lists(node, max_size=2)), max_size=3), node),
        "event.action": leaf,
        "other": leaf,
    },
)
ecs = st.fixed_dictionaries({}, optional=dict.fromkeys(("event.action", "a", "n.y"), leaf))

ENCODINGS = ("base64", "wide", "utf16be", "utf16|base64", "wide|base64offset|contains", "wide|startswith|cased")
REFERENCES = ("fieldref", "fieldref|startswith", "fieldref|endswith", "fieldref|contains", "fieldref|neq")

pattern = st.lists(st.sampled_from(["a", "B", "ß", "*", "?", "\\*", "\\\\", "c", " ", "10"]), max_size=5).map("".join)
plain = st.one_of(word, pattern, st.sampled_from([0, 1, 10, 10.0, 1.5, True, False, None]))
strings = st.one_of(word, pattern)
regexes = st.sampled_from(["a", "^a", "b$", ".*b", "[ab]+ c", "a.b", "(?:a|b) ?c", "10\\.0", "a{1,2}", "^$", "S[t]ra"])
numbers = st.sampled_from([0, 1, 10, 1.5, -3])
plain_words = st.sampled_from([w for w in WORDS if "*" not in w and w.isascii()])

long_words = plain_words.filter(lambda word: len(word) > 1)  # one byte leaves no certain trace in base64


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, st.lists(values, min_size=1, max_size=3))


def item(name: str) -> st.SearchStrategy[tuple[str, Any]]:
    def of(modifiers: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
        return st.tuples(st.just(f"{name}{modifiers}"), values)

    return st.one_of(
        of("", some(plain)),
        *(of(f"|{m}", some(strings)) for m in ("contains", "startswith", "endswith", "cased", "contains|cased")),
        of("|contains|all", st.lists(strings, min_size=2, max_size=3)),
        of("|windash|contains", some(st.sampled_from(["-a", "/b", "a -c"]))),
        of("|base64offset|contains", some(long_words)),
        *(of(f"|{m}", some(long_words)) for m in ENCODINGS),
        of("|contains|all|neq", st.lists(strings, min_size=2, max_size=3)),
        of("|re|all", st.lists(regexes, min_size=2, max_size=2)),
        of("|re|i|neq", some(regexes)),
        *(of(f"|{m}", some(st.integers(0, 12))) for m in ("hour", "day", "week", "minute|neq", "month|gte", "year|lt")),
        *(of(f"|{m}", some(regexes)) for m in ("re", "re|i", "re|m|s")),
        of("|cidr", some(st.sampled_from(["10.0.0.0/8", "10.0.0.7/32", "2001:db8::/32"]))),
        of("|exists", st.booleans()),
        *(of(f"|{m}", numbers) for m in ("lt", "lte", "gt", "gte")),
        of("|neq", some(plain)),
        *(of(f"|{m}", st.sampled_from(FIELDS)) for m in REFERENCES),
    )


items = st.sampled_from(FIELDS).flatmap(item)
mapping = st.lists(items, min_size=1, max_size=3).map(dict)
keywords = st.one_of(
    st.lists(st.one_of(strings, st.sampled_from([10, 1.5])), min_size=1, max_size=2),
    st.builds(lambda values: {"|all": values}, st.lists(strings, min_size=2, max_size=2)),
    st.builds(lambda values: {"|re": values}, regexes),
)
detection = st.one_of(mapping, mapping, st.lists(mapping, min_size=1, max_size=2), keywords)
CONDITIONS = (
    "s1",
    "s1 and s2",
    "s1 or s2",
    "s1 and not s2",
    "not s1",
    "not (s1 and s2)",
    "1 of s*",
    "all of s*",
    "all of them",
    "1 of them and not _h",
    "s1 and (s2 or not _h)",
    ["s1 and s2", "_h"],
)
rule = st.builds(
    lambda s1, s2, h, condition: {
        "title": "generated",
        "logsource": {"product": "p"},
        "detection": {"s1": s1, "s2": s2, "_h": h, "condition": condition},
    },
    detection,
    detection,
    detection,
    st.sampled_from(CONDITIONS),
)


NOTHING = Pipelines([{"name": "none", "transformations": []}])


@settings(max_examples=80, deadline=None)
@given(document=rule)
def test_a_rule_is_read_as_pysigma_reads_it(document: dict[str, Any]) -> None:
    """Both ways into the tree: our own, and through pySigma's parser, modifiers and pyparsing."""
    assert read_rule(document, "generated", 1).expression == NOTHING.applied(document, NO_TABLES)[1]


def accepted(documents: list[dict[str, Any]]) -> Iterator[tuple[Any, Reference]]:
    for number, document in enumerate(documents):
        document["id"] = f"00000000-0000-4000-8000-{number:012}"
        yield read_rule(document, "generated", 1), Reference(SigmaRule.from_dict(document))


@settings(max_examples=100, deadline=None)
@given(
    documents=st.lists(rule, min_size=1, max_size=4), events=st.lists(st.tuples(record, ecs), min_size=1, max_size=4)
)
def test_same_answer_as_the_reference(
    documents: list[dict[str, Any]], events: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    pairs = list(accepted(documents))
    # As if there were many fields, then few: events find candidates by another way in each.
    for few in (0, 12):
        with patch.object(index, "_FEW", few):
            compare(pairs, events)


def compare(pairs: list[tuple[Any, Reference]], events: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    rules = RuleSet(one for one, _ in pairs)
    for one_record, fields in events * 2:  # the second time out of what the first remembered
        expected = [one.id for one, reference in pairs if reference.matches(one_record, fields)]
        found = rules.match(one_record, fields, None)
        assert [match.rule.id for match in found] == expected
        note("matched" if expected else "nothing matched")
        for match in found:
            match.evidence()


@settings(max_examples=100, deadline=None)
@given(document=rule, one_record=record, fields=ecs)
def test_the_explanation_answers_as_the_reference(
    document: dict[str, Any], one_record: dict[str, Any], fields: dict[str, Any]
) -> None:
    """The explanation decides the rule a third way, true or false: it must come to the same answer."""
    ((one, reference),) = accepted([document])
    said = answer(one.expression, one_record, fields)
    assert said.held == reference.matches(one_record, fields)
    for cause in causes(one.expression, one_record, fields):
        assert said.held
        assert cause.field or cause.value is not None
    for leaf in leaves(said):
        assert asked(leaf.node)
        assert leaf.hit < len(leaf.values or ())


def leaves(said: Answer) -> Iterator[Any]:
    if isinstance(said.node, Question):
        yield said
    for part in said.parts:
        yield from leaves(part)
