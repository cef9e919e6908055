"""Rules and events to measure rules with: public ones, varied so that nothing is seen twice."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["harmless", "many_rules", "varied"]

_NUMBER = re.compile(rb"\d{5,}")


def _events(data: Path) -> list[bytes]:
    found = []
    for name in ("stratus_detonations", "invictus_stratus_timeline"):
        for line in (data / "cloudtrail" / f"{name}.jsonl").read_text().splitlines():
            found.append(json.dumps(json.loads(line)["event"], separators=(",", ":")).encode())
    return found


def varied(data: Path, count: int, seed: int = 1) -> Iterator[bytes]:
    """``count`` lines of CloudTrail, each long number in them another each time."""
    chance = random.Random(seed)

    def other(found: re.Match[bytes]) -> bytes:
        length = len(found[0])
        return str(chance.randrange(10 ** (length - 1), 10**length)).encode()

    events = _events(data)
    for number in range(count):
        yield _NUMBER.sub(other, events[number % len(events)]) + b"\n"


def harmless(lines: Iterator[bytes], suspicious: frozenset[str], share: float) -> Iterator[bytes]:
    """Those of ``lines`` whose action is not ``suspicious``, and as many others as make ``share`` of all."""
    kept = due = 0.0
    for line in lines:
        if json.loads(line)["eventName"] in suspicious:
            if due < 1:
                continue
            due -= 1
        kept += 1
        due += share
        yield line


def many_rules(data: Path, folder: Path, count: int, seed: int = 1) -> None:
    """``count`` rules in ``folder``: the public ones, then copies with the same fields and modifiers and other values.

    Half of the values are drawn from what the events hold under any field, the other half are made up.
    """
    chance = random.Random(seed)
    vocabulary = sorted({text for line in _events(data) for text in _texts(json.loads(line)) if 2 < len(text) < 60})
    originals = []
    for path in sorted((data / "sigma_rules").rglob("*.yml")):
        text = path.read_text()
        if "|expand" not in text:
            originals.append(text)
            (folder / f"{len(originals):05}.yml").write_text(text)
    for number in range(len(originals), count):
        rule = yaml.load(chance.choice(originals), yaml.CSafeLoader)
        rule["id"] = f"{number:08x}-0000-4000-8000-000000000000"
        rule["title"] = f"{rule['title'][:80]} {number}"
        detection = rule["detection"]
        for name in detection:
            if name != "condition":
                detection[name] = _other(detection[name], chance, vocabulary)
        rule.pop("related", None)
        (folder / f"{number + 1:05}.yml").write_text(yaml.safe_dump(rule, sort_keys=False, allow_unicode=True))


def _other(value: Any, chance: random.Random, vocabulary: list[str], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _other(inner, chance, vocabulary, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_other(inner, chance, vocabulary, key) for inner in value]
    if not isinstance(value, str) or "|re" in key or "|cidr" in key or "|base64" in key:
        return value
    if chance.random() < 0.5:
        other = chance.choice(vocabulary).replace("*", "").replace("?", "").replace("\\", "")
    else:
        other = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=max(6, len(value))))
    return f"{'*' if value.startswith('*') else ''}{other}{'*' if value.endswith('*') else ''}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
