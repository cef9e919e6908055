"""A cache of rules gives the very rules it was given, or nothing."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path
from unittest.mock import patch

import pytest

from detectors.rules import RuleSet, cache, load, loader

SOURCE = "logsource: {product: p}\n"
TEXTS = {
    "one.yml": f"""\
title: One
id: one
name: first
level: high
author: A
date: 2026-01-05
tags: [attack.t1078]
related: [{{id: other, type: derived}}]
scope: [server]
own: {{k: [1, true, null, 1.5]}}
{SOURCE}detection:
    s:
        a: [x, 'y*z', 5, null]
        b|re|i: 'x+'
        c|cidr: 10.0.0.0/8
        d|gte: 5
        e|hour|lt: 6
        f|exists: true
        g|fieldref|startswith: h
        i|expand: '%indicators.domains%'
        j|contains|all|cased: [K, L]
    t: [keyword]
    condition: s and not t or 1 of them
""",
    "filter.yml": f"title: F\nid: f\n{SOURCE}filter: {{rules: [one], s: {{a: q}}, condition: not s}}\n",
    "broken.yml": f"---\ntitle: Broken\nid: broken\n{SOURCE}detection: {{condition: s}}\n",
    "huge.yml": f"title: Huge\nid: huge\n{SOURCE}detection: {{s: {{a|gt: {10**40}}}, condition: s}}\n",
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "lists" / "indicators").mkdir(parents=True)
    (tmp_path / "lists" / "indicators" / "domains.txt").write_text("evil.example\n")
    return tmp_path


def loaded(folder: Path, *, cached: bool = True) -> tuple[RuleSet, list[str]]:
    """The rules, and the files that were read for them."""
    read: list[str] = []
    real = loader._read

    def noted(path: str, *rest: object) -> list[cache.Found]:
        read.append(Path(path).name)
        return real(path, *rest)  # type: ignore[arg-type]

    with patch.object(loader, "_read", noted):
        paths = [folder / name for name in sorted(TEXTS)]
        found = load(paths, lists=[folder / "lists"], cache=folder / "cache" / "rules" if cached else None)
    return found, read


def told(rules: RuleSet) -> object:
    return [(rule, rule.expression) for rule in rules.rules], rules.problems, rules.version


def test_what_comes_out_is_what_went_in(rules: Path) -> None:
    fresh, _ = loaded(rules, cached=False)
    first, read = loaded(rules)
    assert read == sorted(TEXTS)
    again, read = loaded(rules)
    assert read == ["huge.yml"]  # JSON has no form for its number
    assert told(fresh) == told(first) == told(again)
    event = {"a": "x", "b": "X", "c": "10.1.1.1", "d": 6, "e": "2026-01-01T05:00", "f": "", "g": "hx", "h": "h"}
    event |= {"i": "w.evil.example", "j": "KL"}
    assert [match.rule.id for match in again.match(event, {}, None)] == ["one"]
    assert (rules / "cache" / "rules").stat().st_mode & 0o077 == 0


def test_only_files_that_changed_are_read_again(rules: Path) -> None:
    loaded(rules)
    (rules / "one.yml").write_text(TEXTS["one.yml"].replace("title: One", "title: Other"))
    found, read = loaded(rules)
    assert read == ["huge.yml", "one.yml"]
    assert found.rules[1].title == "Other"
    assert loaded(rules)[1] == ["huge.yml"]


def test_other_lists_and_another_engine_make_it_void(rules: Path) -> None:
    loaded(rules)
    (rules / "lists" / "indicators" / "domains.txt").write_text("other.example\n")
    assert loaded(rules)[1] == sorted(TEXTS)
    with patch.object(cache, "_engine", lambda: "next version"):
        assert loaded(rules)[1] == sorted(TEXTS)


def resigned(content: bytes) -> bytes:
    return blake2b(content, digest_size=32).hexdigest().encode() + b"\n" + content


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "other entries", "no map", "folder"])
def test_a_damaged_or_foreign_cache_is_as_good_as_none(harm: str, rules: Path) -> None:
    fresh, _ = loaded(rules, cached=False)
    loaded(rules)
    path = rules / "cache" / "rules"
    whole = path.read_bytes()
    if harm == "cut":
        path.write_bytes(whole[:-10])
    elif harm == "flipped":
        path.write_bytes(whole.replace(b"high", b"info"))
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "other entries":
        content = json.loads(whole.partition(b"\n")[2])
        content["entries"] = {key: [["rule", 1], ["nonsense"]] for key in content["entries"]}
        path.write_bytes(resigned(json.dumps(content).encode()))
    elif harm == "no map":
        path.write_bytes(resigned(b"[]"))
    else:
        path.unlink()
        path.mkdir()
    found, read = loaded(rules)
    assert read == sorted(TEXTS)
    assert told(found) == told(fresh)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_costs_only_time(rules: Path) -> None:
    (rules / "cache").mkdir(mode=0o500)
    assert told(loaded(rules)[0]) == told(loaded(rules, cached=False)[0])
