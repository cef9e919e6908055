"""A rule's address says which rule, and holds nothing of the machine it was loaded on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detectors.rules import Links, Rule, starter_rules
from detectors.rules.findings import told_of
from detectors.rules.links import check_template

ONE = starter_rules().rules[0]
TEMPLATE = "https://git.hospital.example/rules/blob/main/{path}#{id}"


def at(path: str) -> Rule:
    return replace(ONE, path=path, id="a b/c")


@pytest.mark.parametrize(
    ("path", "roots", "expected"),
    [
        ("/etc/wardwatch/rules/cloud/a b.yml", ["/etc/wardwatch/rules"], "cloud/a%20b.yml"),
        ("/etc/wardwatch/rules/cloud/a.yml", ["/etc/wardwatch", "/etc/wardwatch/rules"], "cloud/a.yml"),
        ("/home/x/secret/a.yml", ["/etc/wardwatch/rules"], "a.yml"),
        ("/etc/wardwatch/a.yml", ["/etc/wardwatch/a.yml"], "a.yml"),
        ("../other/a.yml", [], "a.yml"),
        ("packs/ehr/a.yml", ["/etc/wardwatch/rules"], "packs/ehr/a.yml"),
    ],
)
def test_a_path_is_below_its_root(path: str, roots: list[str], expected: str) -> None:
    address = Links(TEMPLATE, roots).address(at(path))
    assert address == f"https://git.hospital.example/rules/blob/main/{expected}#a%20b%2Fc"


def test_without_a_template_there_is_none() -> None:
    told = told_of(ONE)
    assert "reference" not in told
    assert told["path"] == ONE.path
    assert "license" not in told
    assert told_of(replace(ONE, license="DRL-1.1"))["license"] == "DRL-1.1"


@pytest.mark.parametrize("template", ["git/{path}", "https://x/{path} y", "https://x/", "https://x/{path}{title}"])
def test_a_template_that_would_lead_nowhere_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"address|names a rule"):
        check_template(template)
