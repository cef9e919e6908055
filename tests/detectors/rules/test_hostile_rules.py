"""Rules written to harm: each ends soon, in little memory, with a reason, and costs only itself."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from detectors.rules import RuleSet, load

HEAD = "title: Hostile\nid: hostile\nlogsource: {product: p}\ndetection:\n"
GOOD = "title: Good\nid: good\nlogsource: {product: p}\ndetection: {s: {a: x}, condition: s}\n"


def loaded(folder: Path, text: str | bytes) -> RuleSet:
    (folder / "good.yml").write_text(GOOD)
    (folder / "hostile.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load([folder])


def many(count: int) -> str:
    return "".join(f"  s{n}: {{a: v{n}}}\n" for n in range(count))


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "aliases that multiply": (
        "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
        "aliases",
    ),
    "merges that multiply": (
        "a0: &a0 {k0: x}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9)),
        "aliases",
    ),
    "an alias to itself": ("a: &a\n  b: *a\n", "alias"),
    "a condition of 1 MB": (HEAD + "  s: {a: x}\n  condition: " + "s or " * 190_000 + "s\n", "longer than"),
    "a condition of names without end": (
        HEAD + "  s: {a: x}\n  condition: " + "s or " * 39_000 + "s\n",
        "more than 20000",
    ),
    "patterns over 5,000 selections": (
        HEAD + many(5000) + "  condition: " + " and ".join(["1 of s*"] * 900) + "\n",
        "more than 20000",
    ),
    "brackets in brackets": (
        HEAD + "  s: {a: x}\n  condition: " + "(" * 90_000 + "s" + ")" * 90_000 + "\n",
        "brackets",
    ),
    "a list of 110,000 values": (HEAD + "  s: {a: [" + "x," * 110_000 + "x]}\n  condition: s\n", "100000 values"),
    "a long expression": (HEAD + "  s: {a|re: '" + "x" * 500_000 + "'}\n  condition: s\n", "longer than 2000"),
    "counts of counts": (HEAD + "  s: {a|re: '((x{1,99}){1,99}){1,99}'}\n  condition: s\n", "RE2"),
    "dashes that are encoded": (
        HEAD + "  s: {a|windash|base64offset: '" + " -x" * 30 + "'}\n  condition: s\n",
        "three dashes",
    ),
    "wildcards without end": (
        HEAD + "  s: {a: '" + "x*" * 100_000 + "'}\n  condition: s\n",
        "more than 1000 wildcards",
    ),
    "invalid UTF-8": (HEAD.encode() + b"  s: {a: \xff}\n  condition: s\n", "UTF-8"),
    "half a surrogate pair": (HEAD + '  s: {a: "\\ud800"}\n  condition: s\n', ""),
    "a number of 5,000 digits": (HEAD + "  s: {a: " + "9" * 5000 + "}\n  condition: s\n", "quote it"),
    "an object of Python": (HEAD + "  s: {a: !!python/object/apply:os.system [x]}\n  condition: s\n", "unknown tag"),
    "a tag of one's own": (HEAD + "  s: {a: !own x}\n  condition: s\n", "unknown tag"),
    "a key that is a list": (HEAD + "  s: {[a]: x}\n  condition: s\n", "key is a list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_harm_is_refused_soon(name: str, tmp_path: Path) -> None:
    text, reason = REFUSED[name]
    tracemalloc.start()
    start = time.process_time()
    try:
        rules = loaded(tmp_path, text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 10  # seconds, with memory traced
    assert peak < 200_000_000
    assert [rule.id for rule in rules.rules] == ["good"]
    assert rules.problems
    assert all(problem.path == str(tmp_path / "hostile.yml") for problem in rules.problems)
    assert any(reason in problem.reason for problem in rules.problems)
    assert all(len(problem.reason) < 600 for problem in rules.problems)


TAKEN = {
    "a list of 10,000 values": (
        HEAD + "  s: {a: [" + ", ".join(f"v{n}" for n in range(10_000)) + "]}\n  condition: s\n"
    ),
    "10,000 selections": HEAD + many(10_000) + "  condition: 1 of s*\n",
    "a condition of 10,000 names": HEAD
    + many(50)
    + "  condition: "
    + " or ".join(["s9 and s9"] * 5000 + ["s7"])
    + "\n",
    "40,000 words of not": HEAD + "  s7: {a: v7}\n  condition: " + "not " * 40_000 + "s7\n",
    "fifty brackets": HEAD + "  s7: {a: v7}\n  condition: " + "not (" * 50 + "s7" + ")" * 50 + "\n",
    "fifty brackets of and and or": HEAD
    + many(9)
    + "  condition: "
    + "s7 and (s7 or not (" * 25
    + "s7"
    + "))" * 25
    + "\n",
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_only_large_is_taken(name: str, tmp_path: Path) -> None:
    start = time.process_time()
    rules = loaded(tmp_path, TAKEN[name])
    assert rules.problems == ()
    found = [match.rule.id for match in rules.match({"a": "V7"}, {}, None)]
    assert time.process_time() - start < 10
    assert found == ["hostile"]
    assert rules.match({"a": "V"}, {}, None) == []


def test_thirty_dashes_are_compared_and_not_written_out(tmp_path: Path) -> None:
    rules = loaded(tmp_path, HEAD + "  s: {a|windash|contains: '" + " -x" * 30 + "'}\n  condition: s\n")
    assert rules.problems == ()
    assert [match.rule.id for match in rules.match({"a": "p" + " /x \u2013x" * 15}, {}, None)] == ["hostile"]
    assert rules.match({"a": "p" + " /x" * 29}, {}, None) == []


def test_a_list_of_values_is_one_leaf(tmp_path: Path) -> None:
    rules = loaded(tmp_path, TAKEN["a list of 10,000 values"])
    (rule,) = (rule for rule in rules.rules if rule.id == "hostile")
    assert getattr(rule.expression, "kind", None) == "equals"
    assert len(getattr(rule.expression, "operands", ())) == 10_000
