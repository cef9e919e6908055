"""What is told of a detection without an event."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.rules import RuleSet
from detectors.rules.detection import condition_over_names, named_detections, same_detection, wide
from detectors.rules.rule import Rule, read_rule


def rule(detection: dict[str, Any], **logsource: str) -> Rule:
    return read_rule({"title": "x", "logsource": logsource or {"product": "p"}, "detection": detection}, "", 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": "*"}, True),
        ({"a": "**"}, True),
        ({"a|contains": ""}, True),
        ({"a|startswith": ["x", ""]}, True),
        ({"a|re": ".*"}, True),
        ({"a|re|i": "^.*$"}, True),
        ({"a|re": "."}, True),
        ({"a": "?*"}, True),
        ({"a": "*", "b": "*"}, True),
        ({"a": "*", "b": "x"}, False),
        ([{"a": "*"}, {"b": "x"}], True),
        (["*"], True),
        ({"a": "x*"}, False),
        ({"a|re": "x.*"}, False),
        ({"a|exists": True}, False),
        ({"a": None}, False),
        ({"a": ""}, False),
    ],
)
def test_wide_holds_for_any_text(value: Any, expected: bool) -> None:
    (tree,) = named_detections({"detection": {"s": value, "condition": "s"}}).values()
    assert wide(tree) == expected
    if expected:
        one = rule({"s": value, "condition": "s"})
        assert RuleSet([one]).match({"a": "synthetic", "b": "synthetic"}, {}, None)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"a": "x", "b": "y"}, {"b": "Y", "a": "X"}, True),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, True),
        ({"a|contains": "x"}, {"a": "*x*"}, True),
        ({"a": "x"}, {"a|cased": "x"}, False),
        ({"a": "x"}, {"a": "y"}, False),
        ({"a": "x*y" + "z" * 300}, {"a": "x*y" + "z" * 299 + "w"}, False),
    ],
)
def test_the_same_is_what_asks_the_same(first: Any, second: Any, expected: bool) -> None:
    one, other = (rule({"name": value, "condition": "name"}) for value in (first, second))
    assert (same_detection(one) == same_detection(other)) == expected


def test_the_same_of_another_log_source_is_another() -> None:
    detection = {"s": {"a": "x"}, "condition": "s"}
    assert same_detection(rule(detection, product="p")) != same_detection(rule(detection, product="q"))


def test_a_condition_over_names_has_each_of_them_once_a_pattern_is_written_out() -> None:
    detection = {"s": {"a": "x"}, "f_1": {"a": "y"}, "f_2": ["word"], "condition": "s and not 1 of f_*"}
    tree = condition_over_names({"detection": detection})
    assert "'s'" in repr(tree)
    assert "'f_1'" in repr(tree)
    assert "'f_2'" in repr(tree)
    assert condition_over_names({"detection": {"s": {"a": "x"}, "condition": "nowhere"}}) is None
