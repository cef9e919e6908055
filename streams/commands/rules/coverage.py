"""``rules coverage``: which techniques of ATT&CK rules and correlations look for, as a layer for ATT&CK Navigator and
in words; and which sources no rule is tried on.

Source: ATT&CK Navigator, *Layer File Format Definition* 4.5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from detectors.rules import Rule, RuleSet
from detectors.rules.attack import attack
from detectors.rules.correlation import Correlation
from streams.commands.rules.fields import fitting
from streams.commands.rules.listing import origin
from streams.sources.known import Sources
from streams.topics import PUBLISHED

__all__ = ["CLOUD", "Coverage", "as_json", "as_layer", "as_lines", "coverage_of"]

#: ATT&CK's platforms of a cloud and its identity providers.
CLOUD: Final = ("IaaS", "Identity Provider", "Office Suite", "SaaS")
#: What Navigator shows from no rule to many; six and more look alike.
_GRADIENT: Final = {"colors": ["#ffffff", "#8ec843", "#2c7a1f"], "minValue": 0, "maxValue": 6}


class Coverage(NamedTuple):
    """What rules cover."""

    rules: int
    correlations: int  #: those that alert by themselves
    techniques: dict[str, list[Rule | Correlation]]  #: by id, those of ATT&CK alone
    unknown: dict[str, list[Rule | Correlation]]  #: what tags name and ATT&CK does not have
    untagged: list[Rule | Correlation]
    sources: dict[str, int]  #: by source, how many rules are tried on its records
    unheard: list[Rule]  #: rules of log sources that nothing here sends
    published: list[Rule]  #: rules of the topic, not of files or the starter pack


def coverage_of(rules: RuleSet, sources: Sources) -> Coverage:
    """What ``rules`` cover, of ATT&CK and of ``sources``."""
    catalog = attack().techniques
    techniques: dict[str, list[Rule | Correlation]] = {}
    unknown: dict[str, list[Rule | Correlation]] = {}
    tried: Counter[str] = Counter()
    unheard = []
    correlations = [plan.rule for plan in rules.correlations.plans if plan.alone]
    looking: list[Rule | Correlation] = [*rules.rules, *correlations]
    for one in looking:
        for technique in one.techniques:
            (techniques if technique in catalog else unknown).setdefault(technique, []).append(one)
    for rule in rules.rules:
        found = fitting(rule, sources)
        tried.update(source.name for source in found)
        if not found:
            unheard.append(rule)
    published = [rule for rule in rules.rules if rule.path.startswith(PUBLISHED)]
    untagged = [one for one in looking if not one.techniques]
    counts = {source.name: tried[source.name] for source in sources}
    known = dict(sorted(techniques.items()))
    return Coverage(len(rules.rules), len(correlations), known, unknown, untagged, counts, unheard, published)


def as_layer(covered: Coverage, *, name: str, platforms: Sequence[str] = ()) -> dict[str, Any]:
    """A layer: a technique's score is how many rules name it, its comment which. ``platforms``: shown alone."""
    catalog = attack()
    most = max(map(len, covered.techniques.values()), default=0)
    layer: dict[str, Any] = {
        "name": name,
        "versions": {"attack": catalog.version, "navigator": "5.1.0", "layer": "4.5"},
        "domain": catalog.domain,
        "description": f"{_counted(covered)}; the score is how many name a technique, {most} at most.",
        "sorting": 3,
        "techniques": [
            {
                "techniqueID": technique,
                "score": len(rules),
                "comment": "\n".join(f"{rule.title} ({rule.level})" for rule in rules),
                "enabled": True,
                "showSubtechniques": "." in technique
                or any(one.startswith(f"{technique}.") for one in covered.techniques),
                "metadata": [
                    {"name": name, "value": value}
                    for rule in rules
                    for name, value in (("rule", rule.id), ("from", origin(rule)))
                ],
            }
            for technique, rules in covered.techniques.items()
        ],
        "gradient": _GRADIENT,
        "legendItems": [],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
    }
    if platforms:
        layer["filters"] = {"platforms": list(platforms)}
    return layer


def as_lines(covered: Coverage) -> Iterator[str]:
    """In words: tactics, techniques, sources."""
    catalog = attack()
    found, known = len(covered.techniques), len(catalog.techniques)
    yield f"{_counted(covered)}: {found} of ATT&CK {catalog.version}'s {known} techniques"
    if covered.published:
        yield f"of these {len(covered.published)} published: {', '.join(rule.title for rule in covered.published)}"
    for tactic in catalog.tactics:
        total = [name for name, tactics in catalog.techniques.items() if tactic in tactics]
        seen = [name for name in total if name in covered.techniques]
        yield f"  {tactic:<21} {len(seen):>3} of {len(total):>3}  {' '.join(seen)}".rstrip()
    if covered.unknown:
        yield f"not in ATT&CK {catalog.version}: {', '.join(sorted(covered.unknown))}"
    if covered.untagged:
        yield f"rules that name no technique: {len(covered.untagged)}"
    yield "rules tried on each source"
    for source, count in sorted(covered.sources.items(), key=lambda one: (-one[1], one[0])):
        if count:
            yield f"  {source:<21} {count:>3}"
    if bare := sorted(source for source, count in covered.sources.items() if not count):
        yield f"sources without a rule: {', '.join(bare)}"
    if covered.unheard:
        yield f"rules of log sources that no source here sends: {len(covered.unheard)}"


def as_json(covered: Coverage) -> dict[str, Any]:
    """The same as one document."""
    catalog = attack()
    return {
        "attack": catalog.version,
        "rules": covered.rules,
        "correlations": covered.correlations,
        "techniques": {name: [rule.id for rule in rules] for name, rules in covered.techniques.items()},
        "tactics": {
            tactic: sum(tactic in catalog.techniques[name] for name in covered.techniques) for tactic in catalog.tactics
        },
        "published": [rule.id for rule in covered.published],
        "unknown_techniques": sorted(covered.unknown),
        "without_technique": [rule.id for rule in covered.untagged],
        "sources": covered.sources,
        "sources_without_a_rule": sorted(source for source, count in covered.sources.items() if not count),
        "rules_without_a_source": [rule.id for rule in covered.unheard],
    }


def _counted(covered: Coverage) -> str:
    return f"{covered.rules} rules and {covered.correlations} correlations"
