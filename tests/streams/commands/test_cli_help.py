"""What the commands say of themselves."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from command_line import ROOT, Shell

COMMANDS = [
    "up",
    "worker",
    "setup",
    "acls",
    "status",
    "emit",
    "intake",
    "syslog",
    "normalize",
    "detect",
    "schemas",
    "config",
    "doctor",
    "completion",
    "reveal",
    "who",
    "timeline",
    "backtest",
    "dead-letters",
    "sources",
    "rules",
    "notify",
    "keys",
]
GROUPS = {
    "dead-letters": ("list", "show", "replay"),
    "sources": ("list", "check"),
    "rules": (
        *("check", "test", "explain", "coverage", "new", "list", "import", "convert"),
        *("publish", "withdraw", "release", "status"),
    ),
    "notify": ("list", "test"),
    "keys": ("list", "create", "rotate", "destroy"),
}
#: Each command that does something, those of a group by their whole names.
WHOLE = [
    *(command for command in COMMANDS if command not in GROUPS),
    *(f"{group} {name}" for group, names in GROUPS.items() for name in names),
]


def test_help_names_every_command(shell: Shell) -> None:
    told = shell.run("--help").stdout
    assert told.startswith("Usage: wardwatch ")
    assert [line.split()[0] for line in told.partition("Commands:\n")[2].splitlines()] == COMMANDS
    assert "..." not in told.partition("Commands:\n")[2], "what a command does is not cut short"


def test_the_script_s_own_help_names_every_command() -> None:
    usage = (ROOT / "wardwatch").read_text().partition("Ctrl-C stops them\n")[2].partition("\n\n")[0]
    named = {line.split()[0] for line in usage.splitlines()}
    assert named == {*COMMANDS, "test"} - {"up"}


@pytest.mark.parametrize("command", WHOLE)
def test_every_option_is_explained(shell: Shell, command: str) -> None:
    told = shell.run(*command.split(), "--help").stdout
    options = re.findall(r"^  (?:-h, )?(--[a-z-]+(?: [A-Z]+)?)(.*(?:\n {8,}\S.*)*)", told, re.MULTILINE)
    assert options
    for name, explained in options:
        assert re.search(r"[a-z]{2,} [a-z]+|[A-Z][a-z]+ ", explained), name


def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
import streams.cli
heavy = {"kafka", "faust", "aiokafka", "river", "numpy", "pydantic", "elasticsearch", "nacl", "sigma", "rich"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_beside_the_base_install_it_says_what_brings_the_commands() -> None:
    code = f"import sys; sys.path.append({str(ROOT)!r}); import streams.cli"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == (
        "wardwatch: the emitter alone is installed here; the commands come with pip install 'wardwatch[server]'\n"
    )
