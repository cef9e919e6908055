"""The image's recipe: what it takes, what it leaves out, and as whom it runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

from composed import ENTRYPOINT, ROOT

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [(line.split()[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def test_the_image_is_made_in_two_stages_and_runs_as_nobody_special() -> None:
    stages = [argument for name, argument in instructions() if name == "FROM"]
    assert len(stages) == 2
    assert len({stage.split()[0] for stage in stages}) == 1
    assert re.fullmatch(r"python:3\.1[123]\.\d+-slim-\w+", stages[1]), "pinned to a patch"
    last = instructions()[[name for name, _ in instructions()].index("FROM", 1) :]
    assert [argument for name, argument in last if name == "USER"] == ["1000:1000"]
    assert not any("pip" in argument or "gcc" in argument for name, argument in last if name == "RUN")
    (entrypoint,) = (json.loads(argument) for name, argument in last if name == "ENTRYPOINT")
    assert entrypoint[1:] == ENTRYPOINT
    (command,) = (json.loads(argument) for name, argument in last if name == "CMD")
    assert command == ["worker"]


def test_every_file_that_the_image_takes_is_there_and_is_let_through() -> None:
    through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    taken = {
        source.rstrip("/")
        for name, argument in instructions()
        if name == "COPY" and not argument.startswith("--from")
        for source in argument.split()[:-1]
    }
    assert taken == through
    assert all((ROOT / source).exists() for source in taken)


def test_the_image_has_what_the_server_asks_for_and_not_what_tests_do() -> None:
    """The recipe's own line, run here."""
    (line,) = re.findall(r'python -c "(.*?)" > server\.txt', dict_of_runs())
    made = subprocess.run([sys.executable, "-c", line], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert made.splitlines() == [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["server"],
    ]
    assert "--require-hashes" in dict_of_runs()


def dict_of_runs() -> str:
    return "\n".join(argument for name, argument in instructions() if name == "RUN")
