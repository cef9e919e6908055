"""docs/correlations.md: its example is read, and its figures are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from detectors.rules import load
from detectors.rules.correlation.bounds import LARGEST, UNIT
from detectors.rules.correlation.memory import MOST_GROUPS
from detectors.rules.correlation.parse import MOST_VALUES, Kind
from detectors.rules.correlation.telling import GROUPS, VALUES
from detectors.rules.correlation.windows import LIMIT
from streams.pipeline import LATENESS

PAPER = (Path(__file__).parents[1] / "docs" / "correlations.md").read_text()


def test_the_example_is_read_as_it_stands(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", PAPER, re.MULTILINE | re.DOTALL)
    path = tmp_path / "rules.yml"
    path.write_text(example)
    rules = load([path])
    assert rules.problems == ()
    assert [plan.depth for plan in rules.correlations.plans] == [0, 1]
    assert len(rules.correlations.silent) == 3, "only the first of them alerts"


def test_every_type_has_its_row() -> None:
    rows = "\n".join(line for line in PAPER.splitlines() if line.startswith("| `"))
    assert all(f"`{kind}`" in rows for kind in get_args(Kind))


def test_its_figures_are_those_of_the_code() -> None:
    assert f"at most {LIMIT:,} entries" in PAPER
    assert f"A partition keeps {MOST_GROUPS:,} groups" in PAPER
    assert f"at most {MOST_VALUES:,} different values" in PAPER
    assert f"up to {GROUPS}; a list counts every value of a `field`, up to {VALUES:,}" in PAPER
    assert LATENESS == 3_600_000
    assert "up to an hour behind the watermark" in PAPER
    assert (UNIT, LARGEST) == (10**9, 10**18)
