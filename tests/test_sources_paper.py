"""What docs/sources.md says of the EHR's sources is so."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from detectors.rules import starter_rules
from streams import syslog_server, xml_records
from streams.commands import syslog
from streams.privacy import Pseudonyms
from streams.sources.catalog import SOURCES
from streams.syslog_server import SyslogServer

ROOT = Path(__file__).parents[1]
PAPER = (ROOT / "docs" / "sources.md").read_text()
EHR = PAPER.partition("\n## EHR\n")[2].partition("\n## ")[0]


def test_every_source_of_the_ehr_is_in_the_table_and_no_other() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| `(\w+)` \| `(\w+)` \|$", EHR, re.MULTILINE)
    ehr = [source for source in SOURCES if source.topic == "audit.ehr" and source.name != "wardwatch"]
    assert rows == [(source.name, source.logsource.product, source.logsource.service) for source in ehr]
    assert {source.logsource.category for source in ehr} == {"ehr"}


def test_the_starter_rules_it_names_are_tried_on_all() -> None:
    everywhere = {rule.title for rule in starter_rules().rules if (rule.product, rule.category) == ("", "ehr")}
    assert everywhere >= {
        "Emergency access to a record",
        "Patient data disclosed or exported",
        "Patient record deleted",
        "Access denied by the patient's consent",
        "Audit recording stopped",
    }


def test_the_spellings_of_a_number_are_one_patient() -> None:
    pseudonym = Pseudonyms(bytes(range(32)), "k1").patient
    written = [text for text in re.findall(r"`(123\^[^`]*)`", EHR) if "1.2.3" in text]
    assert len(written) == 2
    assert "system `urn:oid:1.2.3`" in EHR
    assert {pseudonym(text) for text in written} == {pseudonym("urn:oid:1.2.3|123")}
    assert pseudonym("123^^^HOSP") == pseudonym("HOSP|123")


def test_the_message_shown_is_found(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```xml\n(.*?)```", EHR, re.DOTALL)
    (tmp_path / "override.xml").write_text(shown)
    found = subprocess.run(
        [sys.executable, "-m", "streams.cli", "detect", "--only-rules", "override.xml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WARDWATCH_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    (finding,) = map(json.loads, found.stdout.splitlines())
    assert (finding["rule.name"], finding["entity"]) == ("Emergency access to a record", "user:synthetic-nurse")


@pytest.mark.parametrize(
    ("said", "is_so"),
    [
        ("longer than 1,000,000 bytes", syslog.LARGEST == 1_000_000),
        ("512 connections", inspect.signature(SyslogServer).parameters["connections"].default == 512),
        ("(ten seconds at most)", syslog_server.GRACE == 10.0),
        ("deeper than 32 elements", xml_records.DEEPEST == 32),
    ],
)
def test_numbers_are_those_of_the_code(said: str, is_so: bool) -> None:
    assert said in EHR
    assert is_so


def test_options_shown_are_there() -> None:
    told = (ROOT / "streams" / "cli.py").read_text()
    for option in set(re.findall(r" --([a-z-]+)", EHR)) | {"buffer"}:
        assert re.search(rf"\b{option.replace('-', '_')}: Annotated\[", told), option
