"""docs/memory.md: its example is read, and its figures are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from detectors.rules import load, starter_rules
from detectors.rules.correlation import Correlation
from detectors.rules.correlation.memory import MOST_GROUPS
from detectors.rules.correlation.parse import LEARNING, MOST_TERMS, OWN
from detectors.rules.correlation.plan import OF_ABSENCES
from detectors.rules.correlation.runs import PENDING
from detectors.rules.correlation.terms import KNOWN

PAGE = Path(__file__).parents[1] / "docs" / "memory.md"
PAPER = PAGE.read_text()


def test_the_example_is_read_as_it_stands(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", PAPER, re.MULTILINE | re.DOTALL)
    path = tmp_path / "rules.yml"
    path.write_text(example)
    rules = load([path])
    assert rules.problems == ()
    assert sorted(plan.rule.title for plan in rules.correlations.plans if plan.alone) == [
        "Many pumps fall silent",
        "Pump without a heartbeat",
        "Role assumed by a user who never did",
    ]


def test_as_many_shipped_ones_are_built_on_them_as_the_changelog_says() -> None:
    built = [
        plan
        for plan in starter_rules().correlations.plans
        if plan.alone and any(one.kind in OWN for one in (plan.rule, *plan.members) if isinstance(one, Correlation))
    ]
    assert len(built) == 6
    assert "six of the shipped correlations are built on them" in (PAGE.parents[1] / "CHANGELOG.md").read_text()


def test_its_figures_are_those_of_the_code() -> None:
    assert all(f"## `{kind}`" in PAPER for kind in OWN)
    assert f"{LEARNING // 86_400_000} days without it" in PAPER
    assert f"of up to {MOST_TERMS} fields" in PAPER
    assert f"at most {KNOWN:,} values and {PENDING} that are not decided" in PAPER
    assert f"past {MOST_GROUPS:,} of a partition" in PAPER
    assert f"| `absence` | {', '.join(f'`{kind}`' for kind in OF_ABSENCES)};" in PAPER
