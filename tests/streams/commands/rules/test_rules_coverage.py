"""Coverage counts what rules name, and its layer is one that ATT&CK Navigator reads."""

from __future__ import annotations

from pathlib import Path

from rule_files import changed, write

from detectors.rules import RuleSet, load, starter_rules
from detectors.rules.attack import attack
from streams.commands.rules.coverage import CLOUD, as_json, as_layer, as_lines, coverage_of
from streams.sources.catalog import SOURCES
from streams.sources.known import CATALOG

COVERED = coverage_of(starter_rules(), CATALOG)


def test_every_technique_of_the_pack_is_counted() -> None:
    looking = [*starter_rules().rules, *(plan.rule for plan in starter_rules().correlations.plans if plan.alone)]
    assert set(COVERED.techniques) == {technique for one in looking for technique in one.techniques}
    assert COVERED.unknown == {}
    assert sum(map(len, COVERED.techniques.values())) == sum(len(one.techniques) for one in looking)
    assert "No heartbeat of a pump for ten minutes" in [one.title for one in COVERED.techniques["T1499"]]


def test_sources_with_and_without_a_rule() -> None:
    document = as_json(COVERED)
    assert set(document["sources"]) == {source.name for source in SOURCES}
    ehr = [rule for rule in starter_rules().rules if rule.applies_to("fhir", "auditevent", "ehr")]
    assert document["sources"]["fhir"] == len(ehr) > 0
    alone = as_json(coverage_of(RuleSet(ehr), CATALOG))
    assert {"okta", "cloudtrail"} <= set(alone["sources_without_a_rule"])
    assert not {"fhir", "atna"} & set(alone["sources_without_a_rule"])


def test_rules_that_nothing_can_use_are_told(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        changed(logsource={"product": "windows"}, tags=["attack.t9999"]),
        changed(id="00000000-0000-4000-8000-000000000001", tags=None),
    )
    covered = coverage_of(load([path]), CATALOG)
    assert list(covered.unknown) == ["T9999"]
    assert len(covered.untagged) == len(covered.unheard) == 1
    told = "\n".join(as_lines(covered))
    assert "not in ATT&CK 19: T9999" in told
    assert "rules that name no technique: 1" in told
    assert "rules of log sources that no source here sends: 1" in told


def test_the_layer_is_of_format_4_5() -> None:
    """ATT&CK Navigator, layer format 4.5: what it requires, and of each part the type."""
    layer = as_layer(COVERED, name="Synthetic", platforms=CLOUD)
    assert layer["versions"] == {"attack": "19", "navigator": "5.1.0", "layer": "4.5"}
    assert layer["domain"] == "enterprise-attack"
    assert layer["filters"] == {"platforms": ["IaaS", "Identity Provider", "Office Suite", "SaaS"]}
    assert "filters" not in as_layer(COVERED, name="Synthetic")
    for technique in layer["techniques"]:
        assert technique["techniqueID"] in attack().techniques
        assert technique["score"] == len(COVERED.techniques[technique["techniqueID"]])
        assert technique["comment"].count("\n") == technique["score"] - 1
        assert set(technique) == {"techniqueID", "score", "comment", "enabled", "showSubtechniques", "metadata"}
    shown = {one["techniqueID"]: one["showSubtechniques"] for one in layer["techniques"]}
    below = {technique.partition(".")[0] for technique in shown if "." in technique}
    assert shown == {technique: "." in technique or technique in below for technique in shown}
    assert set(shown.values()) == {True, False}


def test_the_words_count_as_the_layer_does() -> None:
    told = list(as_lines(COVERED))
    counted = f"{len(starter_rules().rules)} rules and {COVERED.correlations} correlations"
    assert told[0] == f"{counted}: {len(COVERED.techniques)} of ATT&CK 19's 697 techniques"
    by_tactic = {line.split()[0]: int(line.split()[1]) for line in told[1:16]}
    assert by_tactic == as_json(COVERED)["tactics"]


def test_a_published_rule_is_said_to_be_one(tmp_path: Path) -> None:
    text = write(tmp_path, changed(tags=["attack.t1078"])).read_text()
    covered = coverage_of(load([], published={"published/team.yml": text}), CATALOG)
    (rule,) = covered.published
    assert as_json(covered)["published"] == [rule.id]
    assert f"of these 1 published: {rule.title}" in as_lines(covered)
    (technique,) = as_layer(covered, name="Synthetic")["techniques"]
    assert {"name": "from", "value": "published: team.yml"} in technique["metadata"]
    assert COVERED.published == []
