"""``docs/sources.md`` promises what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from streams.emitter import TOPICS
from streams.sources.base import Source
from streams.sources.catalog import SOURCES
from streams.wrappers import DEEPEST, MOST

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sources.md").read_text()
CLOUDS = [source for source in SOURCES if source.topic == "audit.cloud"]


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the tables under a heading: the name in the first column to the others."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {first.strip(" `"): [cell.strip() for cell in rest] for first, *rest in lines}


@pytest.mark.parametrize("source", CLOUDS, ids=lambda source: source.name)
def test_the_log_source_of_rules_is_as_shown(source: Source) -> None:
    shown = rows("Clouds and identity providers")[source.name][2:]
    logsource = source.logsource
    assert [cell.strip("`") for cell in shown] == [logsource.product, logsource.service, logsource.category]


@pytest.mark.parametrize("source", CLOUDS, ids=lambda source: source.name)
def test_what_leaves_ingest_is_what_is_shown_and_no_more(source: Source) -> None:
    section = PAGE.partition("## What leaves ingest\n")[2]
    common = set(re.findall(r"`([a-z._]+)`", section.partition("Every source above")[2].partition("Beside them")[0]))
    (shown,) = rows("What leaves ingest")[source.name]
    own = "wardwatch.bucket" if source.name == "cloudtrail" else "wardwatch.resource"
    both = {"wardwatch.bucket", "wardwatch.resource"}
    assert set(re.findall(r"`([a-z_.]+)`", shown)) | (common - both) | {own} == source.released


def test_every_source_of_a_cloud_is_shown_and_no_other() -> None:
    names = [source.name for source in CLOUDS]
    assert list(rows("Clouds and identity providers")) == list(rows("What leaves ingest"))
    assert sorted(rows("What leaves ingest")) == sorted(names)


def test_the_limits_of_wrappers_are_as_shown() -> None:
    assert f"at most {MOST:,}" in PAGE
    assert {4: "four deep"}[DEEPEST] in PAGE


def test_the_emitter_knows_where_each_source_s_records_go() -> None:
    """It stands alone, so it has a table of its own."""
    assert {source.name: source.topic for source in SOURCES} == TOPICS
