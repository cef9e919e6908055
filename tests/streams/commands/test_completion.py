"""Completion as a real bash does it, with the script that the command prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams import cli

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_wardwatch(shell: str) -> None:
    result = CliRunner().invoke(cli.app, ["completion", shell])
    assert result.exit_code == 0
    assert f"_WARDWATCH_COMPLETE=complete_{shell}" in result.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", result.stdout], check=True)


def test_another_shell_is_refused() -> None:
    result = CliRunner().invoke(cli.app, ["completion", "powershell"])
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr


def test_bash_completes_a_command(tmp_path: Path) -> None:
    program = tmp_path / "wardwatch"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m streams.cli "$@"\n')
    program.chmod(0o755)
    asked = """
    eval "$(wardwatch completion bash)"
    COMP_WORDS=(wardwatch dead-letters re) COMP_CWORD=2
    _wardwatch_completion wardwatch
    echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(["bash", "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["replay"]
