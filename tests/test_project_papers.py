"""What the lock promises the script: everything the project asks for is pinned, hashed, and from no named place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
ENTRIES = re.split(r"\n(?=[A-Za-z0-9])", "\n" + LOCK)[1:]

ASKED = [
    *PROJECT["project"]["dependencies"],
    *PROJECT["project"]["optional-dependencies"]["server"],
    *PROJECT["dependency-groups"]["dev"],
    *PROJECT["dependency-groups"]["hunting"],
]


def pins() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in ENTRIES:
        pinned = Requirement(entry.splitlines()[0].rstrip(" \\"))
        (specifier,) = pinned.specifier
        assert specifier.operator == "==", entry
        found.setdefault(canonicalize_name(pinned.name), []).append(specifier.version)
    return found


@pytest.mark.parametrize("asked", ASKED)
def test_the_lock_follows_the_project(asked: str) -> None:
    requirement = Requirement(asked)
    locked = pins().get(canonicalize_name(requirement.name), [])
    assert locked, f"{requirement.name} is not locked: make the lock anew as CONTRIBUTING.md says"
    for version in locked:
        assert requirement.specifier.contains(version, prereleases=True), f"the lock has {requirement.name} {version}"


def test_every_entry_is_hashed() -> None:
    for entry in ENTRIES:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]


def test_the_lock_names_no_index() -> None:
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links|-f)\b|://", LOCK, re.MULTILINE)
