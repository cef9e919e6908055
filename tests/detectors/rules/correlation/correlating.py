"""What the tests of correlations share: rules a, b and c, plans over them, and hits by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from windows_reference import Seen

from detectors.base import Finding
from detectors.rules.correlation import Correlations, Hit, Memory, link, read_correlation
from detectors.rules.correlation.bounds import billionths
from detectors.rules.correlation.told import fingerprint
from detectors.rules.rule import Rule, read_rule

__all__ = ["HOUR", "Crashing", "hit_of", "linked", "rule", "run"]

HOUR = 3_600_000


@cache
def rule(name: str) -> Rule:
    document = {
        "title": f"Rule {name}",
        "id": f"id-{name}",
        "name": name,
        "logsource": {"category": "test"},
        "detection": {"selection": {"kind": name}, "condition": "selection"},
    }
    return read_rule(document, "rules.yml", 1)


def linked(*sections: Mapping[str, Any], **document: Any) -> Correlations:
    """Correlations ``one``, ``two``, ... over rules a, b and c. Raises AssertionError where one is refused."""
    names = ("one", "two", "three", "four")
    read = [
        read_correlation({"title": f"Number {name}", "id": name, "correlation": section, **document}, "c.yml", n)
        for n, (name, section) in enumerate(zip(names, sections, strict=False), 1)
    ]
    correlations, problems = link([rule(name) for name in "abc"], read)
    assert not problems, problems
    return correlations


def hit_of(correlations: Correlations, seen: Seen, number: int, group: str = "g") -> Hit:
    """A hit of the first plan."""
    plan = correlations.plans[0]
    member = [one.name for one in plan.members].index(seen.rule)
    kind = plan.rule.kind
    value = None
    if kind in ("value_count", "new_term"):
        value = fingerprint(seen.value)
    elif kind.startswith("value_"):
        value = billionths(seen.value)
    shown = (group,) * len(plan.rule.group_by)
    if kind == "new_term":
        shown += (str(seen.value),) * len(plan.rule.fields)
    return Hit(plan.key, group, shown, member, seen.time, f"e{number}", value, f"user:{group}", "test")


class Crashing(Memory):
    """A memory that keeps nothing but what was saved, from each hit to the next."""

    def reborn(self) -> None:
        for key, group in self._groups.items():
            correlator = self._correlators[key.partition("/")[0]]
            text = json.dumps(group.save())
            again = correlator.load(json.loads(text))
            assert json.dumps(again.save()) == text
            self._groups[key] = again


def run(
    correlations: Correlations,
    seen: Sequence[Seen],
    *,
    watermarks: Iterable[int] = (),
    crash: bool = False,
    end: int = 0,
) -> list[Finding]:
    """Findings of the first plan over ``seen`` in the order given. ``end``: time of the last event, of any kind."""
    memory = Crashing(correlations, lateness=HOUR)
    findings: list[Finding] = []
    marks: Iterator[int] = iter(watermarks)
    for number, one in enumerate(seen):
        findings.extend(memory.take([hit_of(correlations, one, number)], next(marks, 0)))
        if crash:
            memory.reborn()
    findings.extend(memory.settle(end=end))
    assert not len(memory), "nothing is kept once all is settled"
    return findings
