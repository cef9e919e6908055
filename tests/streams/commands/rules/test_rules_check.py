"""Each kind of finding is found where it is, and nowhere else."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif
from rule_files import GOOD, changed, write

from detectors.rules.attack import attack
from streams.commands.rules.check import check
from streams.commands.rules.diagnostics import CODES
from streams.commands.rules.fields import OTHERS
from streams.commands.rules.papers import as_told, starter_folder
from streams.commands.rules.report import as_json, as_lines, as_sarif, exit_code
from streams.sources import catalog
from streams.sources.base import LogSource
from streams.sources.known import CATALOG, Sources
from streams.sources.table_load import load_tables


def codes(path: Path, sources: Sources = CATALOG) -> list[str]:
    return [one.code for one in check([path], sources)]


def detection(**named: Any) -> dict[str, Any]:
    return {"selection": {"eventName": "StopLogging"}, "condition": "selection", **named}


SELECTION = {"eventName": "StopLogging"}
OKTA = {"product": "okta", "service": "okta"}
PARTS: list[tuple[str, dict[str, Any]]] = [
    ("WR101", {"detection": detection(selection={"eventName|re": "(?=a)"})}),
    ("WR101", {"detection": detection(selection={"eventName|expand": "%names%"})}),
    ("WR102", {"references": "https://example.org"}),
    ("WR102", {"tags": ["attack.defense-impairment", "attack.t1685.002", "attack.t1685.002"]}),
    ("WR102", {"date": "05.01.2026"}),
    ("WR201", {"detection": detection(selection={**SELECTION, "source.mac": "00:00:5e:00:53:01"})}),
    ("WR201", {"detection": detection(selection={**SELECTION, "eventsource": "cloudtrail.amazonaws.com"})}),
    ("WR201", {"detection": detection(selection={**SELECTION, "wardwatch.bukket": "synthetic"})}),
    ("WR202", {"detection": detection(selection={**SELECTION, "requestParameters.somethingNew": "x"})}),
    ("WR203", {"logsource": {"product": "windows", "category": "process_creation"}}),
    ("WR301", {"detection": detection(condition="not selection")}),
    ("WR302", {"detection": detection(selection={"eventName": "*"})}),
    ("WR302", {"detection": detection(other={"eventName|re": ".*"}, condition="selection and not other")}),
    ("WR302", {"detection": detection(other={"eventName|contains": ""}, condition="selection or other")}),
    ("WR401", {"tags": ["attack.t9999"]}),
    ("WR401", {"tags": ["attack.t1562.001"]}),
    ("WR402", {"tags": ["attack.defense-evasion"]}),
    ("WR402", {"tags": ["attack.persistance"]}),
    ("WR403", {"tags": ["attack.t1685.002", "attack.impact"]}),
    ("WR404", {"tags": [*GOOD["tags"], "tlp.pink"]}),
    ("WR404", {"tags": [*GOOD["tags"], "our.own"]}),
    ("WR405", {"tags": ["attack.t1685.002", "attack.defense-impairment", "attack.impact"]}),
    ("WR501", {"title": "x" * 111}),
    ("WR501", {"title": "Synthetic trail stopped."}),
    ("WR502", {"description": "Short"}),
    ("WR502", {"description": None}),
    ("WR503", {"status": None}),
    ("WR504", {"date": None}),
    ("WR504", {"modified": "2025-12-31"}),
    ("WR505", {"level": None}),
    ("WR506", {"id": None}),
    ("WR506", {"id": "7a3c7c52-4c1f-1a53-9d0e-1f6a1b0c2d3e"}),
    ("WR508", {"author": None}),
    ("WR509", {"falsepositives": None}),
    ("WR510", {"wardwatch": {"response": "Start it again."}}),
    ("WR511", {"wardwatch": {"tests": GOOD["wardwatch"]["tests"]}}),
]


def test_of_a_good_rule_nothing_is_said(tmp_path: Path) -> None:
    assert codes(write(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("code", "parts"), PARTS, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)
def test_each_kind_is_found(code: str, parts: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path, changed(**parts))
    found = codes(path)
    assert code in found
    beside = {"WR102": {"WR101"}, "WR302": {"WR301"}, "WR403": {"WR405"}}.get(code, set())
    assert set(found) <= {code} | beside, check([path], CATALOG)


def test_the_paper_lists_every_code_as_it_is() -> None:
    paper = (Path(__file__).parents[4] / "docs" / "rules.md").read_text()
    rows = re.findall(r"^\| `(WR\d+)` \| (\w+) \| (.*) \|$", paper, re.MULTILINE)
    assert rows == [(code, kind.level, kind.summary) for code, kind in CODES.items()]


def test_every_code_is_tried() -> None:
    elsewhere = {"WR103", "WR303", "WR507"}
    assert {code for code, _ in PARTS} | elsewhere == CODES.keys()


def test_a_file_that_is_no_yaml_is_one_finding_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yml"
    path.write_text("title: x\nid: [\n")
    (one,) = check([path], CATALOG)
    assert (one.code, one.path) == ("WR101", str(path))
    assert one.line >= 2


HOSTILE = {
    "bomb": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghijk")),
    "itself": "title: &a\n  x: *a\n",
    "deep": "title: " + "[" * 5000 + "\n",
    "long": "title: x\ntags:\n" + "- t\n" * 20_000,
    "wide": "title: x\nlogsource: {product: aws}\ndetection:\n  s:\n    eventName:\n"
    + "".join(f"    - value{n}\n" for n in range(2_000))
    + "  condition: s\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_costs_itself_and_little_time(text: str, tmp_path: Path) -> None:
    good = write(tmp_path, GOOD, name="good.yml").read_text()
    (tmp_path / "hostile.yml").write_text(f"{good}---\n{text}")
    (tmp_path / "good.yml").write_text(good.replace(GOOD["id"], "00000000-0000-4000-8000-000000000001"))
    begin = process_time()
    found = check([tmp_path], CATALOG)
    assert process_time() - begin < 20
    assert {one.path for one in found if one.level == "error"} == (
        {str(tmp_path / "hostile.yml")} if text != HOSTILE["wide"] else set()
    )


def test_a_name_of_a_file_that_shells_and_links_dislike(tmp_path: Path) -> None:
    assert codes(write(tmp_path, GOOD, name="Synthetic Rule.yml")) == ["WR507"]


def test_an_id_stands_once_here_and_in_the_starter_pack(tmp_path: Path) -> None:
    write(tmp_path, GOOD, name="a.yml")
    write(tmp_path, changed(title="Another", detection=detection()), name="b.yml")
    (one,) = check([tmp_path], CATALOG)
    assert (one.code, one.path) == ("WR103", str(tmp_path / "b.yml"))
    shipped = next(starter_folder().glob("cloud/trail_stopped.yml"))
    copy = tmp_path / "copy" / "mine.yml"
    copy.parent.mkdir()
    copy.write_bytes(shipped.read_bytes())
    assert "WR103" in codes(copy)


def test_the_same_detection_under_other_names_and_another_id(tmp_path: Path) -> None:
    write(tmp_path, GOOD, name="a.yml")
    other = {
        "one": {"eventSource": "CLOUDTRAIL.amazonaws.com"},
        "two": {"eventName": ["StopLogging"]},
        "condition": "two and one",
    }
    twin = changed(id="00000000-0000-4000-8000-000000000001", detection=other)
    write(tmp_path, twin, name="b.yml")
    (one,) = check([tmp_path], CATALOG)
    assert (one.code, one.path) == ("WR303", str(tmp_path / "b.yml"))
    assert f"{tmp_path / 'a.yml'}:1" in one.message
    apart = changed(id="00000000-0000-4000-8000-000000000002", detection={**other, "condition": "two or one"})
    write(tmp_path, apart, name="b.yml")
    assert codes(tmp_path) == []


def test_the_starter_pack_has_no_more_than_notes() -> None:
    found = check([starter_folder()], CATALOG)
    assert exit_code(found) == 0
    assert {one.level for one in found} <= {"note"}


def test_lines_point_at_what_is_meant(tmp_path: Path) -> None:
    path = write(tmp_path, changed(tags=["attack.defense-impairment", "attack.t9999"], level="hgih"))
    text = path.read_text().splitlines()
    told = {one.code: text[one.line - 1] for one in check([path], CATALOG)}
    assert told["WR401"] == "- attack.t9999"
    assert told["WR102"] == "level: hgih"


def test_the_second_rule_of_a_file_has_its_own_lines(tmp_path: Path) -> None:
    second = changed(id="00000000-0000-4000-8000-000000000001", title="Second.", detection=detection())
    path = write(tmp_path, GOOD, second)
    (one,) = check([path], CATALOG)
    assert path.read_text().splitlines()[one.line - 1] == "title: Second."


def test_a_table_s_columns_are_known_and_others_are_not(tmp_path: Path) -> None:
    table = tmp_path / "access.toml"
    table.write_text(
        'name = "synthetic-ehr"\ncolumns = ["ts", "who", "did", "mrn"]\nreleased = []\n'
        'logsource = { product = "synthetic", service = "ehr" }\n[time]\ncolumn = "ts"\nformat = "iso"\nzone = "UTC"\n'
        '[actor]\ncolumn = "who"\n[action]\ncolumn = "did"\notherwise = { action = "read", category = ["file"],'
        ' type = ["access"] }\n[[patients]]\ncolumn = "mrn"\n'
    )
    tables, problems = load_tables([table], [])
    assert problems == []
    rule = changed(
        logsource={"product": "synthetic", "service": "ehr"},
        detection=detection(selection={"did": "export"}, other={"dit": "export"}, condition="1 of selection and other"),
        wardwatch={"response": "Ask.", "tests": {"positive": [{}], "negative": [{}]}},
    )
    (one,) = check([write(tmp_path, rule)], Sources(tables))
    assert one.code == "WR201"
    assert one.message == "dit is filled by no source of this log source; did you mean did?"


def test_every_log_source_of_every_source_is_known_here() -> None:
    """A source whose records are of several services says so by constants of its module."""
    import sys

    for source in catalog.SOURCES:
        module = sys.modules[type(source).__module__]
        constants = [value for value in vars(module).values() if isinstance(value, LogSource)]
        constants += [
            value for held in vars(module).values() if isinstance(held, dict)
            for value in held.values() if isinstance(value, LogSource)
        ]  # fmt: skip
        assert set(constants) <= {source.logsource, *OTHERS.get(source.name, ())}, source.name


def test_sarif_is_as_its_published_schema_has_it(tmp_path: Path) -> None:
    write(tmp_path, changed(tags=["attack.t9999"]), name="ü b.yml")
    found = check([tmp_path], CATALOG)
    document = as_sarif(found)
    Sarif.model_validate(document)
    run = document["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(CODES)
    for result, one in zip(run["results"], found, strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == one.code
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"].endswith("/%C3%BC%20b.yml")
        assert place["region"]["startLine"] == one.line


def test_sarif_names_files_as_a_code_host_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, changed(level=None), name="a b.yml")
    assert as_told(str(tmp_path / "a b.yml")) == "a b.yml"
    (one, *_) = as_sarif(check([Path("a b.yml")], CATALOG))["runs"][0]["results"]
    assert one["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "a%20b.yml"}


def test_notes_alone_are_no_failure(tmp_path: Path) -> None:
    noted = check([write(tmp_path, changed(author=None))], CATALOG)
    assert [one.level for one in noted] == ["note"]
    assert exit_code(noted) == 0
    warned = check([write(tmp_path, changed(level=None))], CATALOG)
    assert exit_code(warned) == 1
    assert list(as_lines(warned, 1))[-1] == "1 rule: 0 errors, 1 warning, 0 notes"
    assert as_json(warned, 1)["diagnostics"][0]["rule_id"] == GOOD["id"]


def test_attack_has_what_it_says(outside_data: Path) -> None:
    """SigmaHQ's rules are tagged by ATT&CK 19 too: each technique and tactic that they name is in the list."""
    found = check([outside_data / "sigma_rules"], CATALOG)
    assert not [str(one) for one in found if one.code in ("WR401", "WR402", "WR404", "WR102", "WR103")]
    assert attack().version == "19"
