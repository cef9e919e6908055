"""An installation to look at, and what doctor found unwell in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streams.commands.doctor import Finding
from streams.keys import load_keys
from streams.settings import Settings

__all__ = ["installed", "unwell"]


def installed(folder: Path) -> Settings:
    """An installation in ``folder`` whose keys are made, and nothing else of it."""
    load_keys(folder / "home")
    return Settings(data_dir=folder / "home", kafka="127.0.0.1:9")


def unwell(found: Iterator[Finding]) -> list[tuple[str, str, str, str]]:
    """What each finding that is not ok is about, its level, what it tells, and its mend."""
    every = list(found)
    assert all(bool(one.mend) == (one.level != "ok") for one in every), "each that is unwell has its mend"
    return [(one.about, one.level, one.told, one.mend) for one in every if one.level != "ok"]
