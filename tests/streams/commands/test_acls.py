"""The file of ACLs: what it says, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.admin import SetupError
from streams.commands import acls
from streams.permissions import roles

ACLS = Path(__file__).parents[3] / "deploy" / "kafka" / "acls.toml"


def test_the_file_says_what_the_code_asks_for() -> None:
    told = acls.read_acls(ACLS)
    assert {role: sorted(given) for role, (_, given) in told.items()} == {r: sorted(a) for r, a in roles().items()}
    assert {role: principals for role, (principals, _) in told.items()} == {r: [f"User:wardwatch-{r}"] for r in roles()}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("worker =", "cannot be read"),
        ("worker = 1", "write principals and operations, each with a list"),
        ('[worker]\nprincipals = ["worker"]', "principal worker does not begin with User:"),
        ('[worker]\nLook = ["Topic events"]', "Look is none of Read, Write, Create"),
        ('[worker]\nRead = ["events"]', "'events' is no resource: write Topic or Group"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "acls.toml").write_text(text)
    with pytest.raises(SetupError, match=reason):
        acls.read_acls(tmp_path / "acls.toml")
