"""The script that a fresh clone starts with. Real shells and real environments; only uv is a stand-in, so no network.

The stand-in makes a real environment and installs nothing into it, and keeps a list of what it was asked.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "wardwatch"

TOOLS = ["awk", "cat", "cmp", "cut", "date", "df", "dirname", "grep", "mkdir", "mv"]
TOOLS += ["readlink", "rm", "sh", "sleep", "touch", "uname"]

CLI = """\
import os, sys
try:
    os.fstat(9)
    raise SystemExit("it holds the lock of making the environment for as long as it runs")
except OSError:
    pass
print(os.getcwd(), sys.executable, *sys.argv[1:], sep="|")
"""

UV = """\
#!/bin/sh
echo "$@" >>"{log}"
if [ "$1" = venv ]; then
  for last; do :; done
  [ ! -e "$last" ] || exit 2
  exec "{python}" -m venv --without-pip "$last"
fi
{install}
"""


class Clone:
    """A copy of what the script needs, and a PATH of nothing but the tools and interpreters a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.bin = folder / "bin"
        self.elsewhere = folder / "elsewhere"
        self.asked = folder / "uv.log"
        for made in (self.root / "streams", self.bin, self.elsewhere):
            made.mkdir(parents=True)
        self.script = Path(shutil.copy(SCRIPT, self.root))
        (self.root / "pyproject.toml").write_text("[project]\n")
        (self.root / "requirements.lock").write_text("synthetic==1\n")
        (self.root / "streams" / "__init__.py").touch()
        (self.root / "streams" / "cli.py").write_text(CLI)
        for tool in TOOLS:
            if path := shutil.which(tool):
                (self.bin / tool).symlink_to(path)

    def tool(self, name: str, text: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def python(self, name: str = "python3.11", *, ensurepip: bool = True) -> None:
        refuse = "" if ensurepip else 'case "$*" in *ensurepip*) exit 1 ;; esac\n'
        self.tool(name, f'#!/bin/sh\n{refuse}exec "{sys.executable}" "$@"\n')

    def uv(self, install: str = "exit 0") -> None:
        self.tool("uv", UV.format(log=self.asked, python=sys.executable, install=install))

    def start(self, *arguments: str, shell: str = "sh", script: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [shutil.which(shell) or shell, str(script or self.script), *arguments],
            env={"PATH": str(self.bin), "HOME": str(self.elsewhere)},
            cwd=self.elsewhere,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, shell: str = "sh", script: Path | None = None) -> tuple[int, str, str]:
        process = self.start(*arguments, shell=shell, script=script)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def installs(self) -> int:
        return self.asked.read_text().count("pip install") if self.asked.exists() else 0


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def one_sentence(err: str) -> str:
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("wardwatch: ")
    assert err.endswith(".\n")
    return err


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_needs_no_environment_and_makes_none(clone: Clone, shell: str, arguments: tuple[str, ...]) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    code, out, err = clone.run(*arguments, shell=shell)
    assert (code, err) == (0, "")
    assert "Usage: ./wardwatch COMMAND" in out
    assert not (clone.root / ".wardwatch").exists()


def test_without_a_python_that_fits_one_sentence_says_which_do(clone: Clone) -> None:
    clone.tool("python3", "#!/bin/sh\necho 'cpython 3.10 /usr'\n")
    code, _, err = clone.run("up")
    assert code == 1
    assert "needs Python 3.11, 3.12 or 3.13" in one_sentence(err)


@pytest.mark.parametrize("words", ["Linux aarch64", "Darwin x86_64", "FreeBSD amd64"])
def test_another_platform_is_told_so(clone: Clone, words: str) -> None:
    system, machine = words.split()
    clone.tool("uname", f'#!/bin/sh\n[ "$1" = -s ] && echo {system} || echo {machine}\n')
    code, _, err = clone.run("up")
    assert code == 1
    assert words in one_sentence(err)


def test_without_ensurepip_one_sentence_says_what_to_install(clone: Clone) -> None:
    clone.python(ensurepip=False)
    code, _, err = clone.run("up")
    assert code == 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"python{version}-venv" in one_sentence(err)


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_first_run_makes_an_environment_and_the_second_uses_it(clone: Clone, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    clone.python()
    clone.uv()
    (clone.elsewhere / "streams").mkdir()  # not ours: the folder one stands in is no source of modules
    (clone.elsewhere / "streams" / "__init__.py").touch()
    code, out, err = clone.run("status", "--json", "two words", shell=shell)
    assert code == 0, err
    cwd, executable, *arguments = out.strip().split("|")
    assert Path(cwd) == clone.elsewhere.resolve()
    assert Path(executable).is_relative_to(clone.root / ".wardwatch" / "env")
    assert arguments == ["status", "--json", "two words"]
    assert "environment ready" in err
    assert clone.run("status", shell=shell)[::2] == (0, "")
    assert clone.run("--help", shell=shell)[1].strip().endswith("|--help")
    assert clone.installs() == 1
    asked = clone.asked.read_text()
    assert "--require-hashes" in asked
    assert "--only-binary :all:" in asked


def test_a_shim_that_fails_is_passed_over(clone: Clone) -> None:
    clone.tool("python3.12", "#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    clone.python("python3.13")
    clone.uv()
    code, out, err = clone.run("status")
    assert code == 0, err
    assert out.strip().endswith("|status")


def test_a_named_python_is_used_or_refused(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    clone.python("chosen")
    clone.uv()
    run = [shutil.which("sh") or "sh", str(clone.script), "status"]
    env = {"PATH": str(clone.bin), "HOME": str(clone.elsewhere)}
    refused = subprocess.run(
        run, env={**env, "WARDWATCH_PYTHON": "no such"}, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "WARDWATCH_PYTHON names no such" in one_sentence(refused.stderr)
    used = subprocess.run(run, env={**env, "WARDWATCH_PYTHON": "chosen"}, capture_output=True, text=True, check=False)
    assert used.returncode == 0, used.stderr


def test_another_lock_makes_it_anew_and_another_tool_s_setting_does_not(clone: Clone) -> None:
    clone.python()
    clone.uv()
    assert clone.run("status")[0] == 0
    for changed, installs in (("pyproject.toml", 1), ("requirements.lock", 2)):
        with (clone.root / changed).open("a") as file:
            file.write("# newer\n")
        assert clone.run("status")[0] == 0
        assert clone.installs() == installs


def test_a_moved_clone_makes_its_environment_anew(clone: Clone, tmp_path: Path) -> None:
    clone.python()
    clone.uv()
    assert clone.run("status")[0] == 0
    clone.root.rename(tmp_path / "moved")
    code, out, err = clone.run("status", script=tmp_path / "moved" / "wardwatch")
    assert code == 0, err
    assert str(tmp_path / "moved") in out


def test_an_environment_whose_python_is_gone_is_made_anew(clone: Clone) -> None:
    clone.python()
    clone.uv()
    assert clone.run("status")[0] == 0
    (clone.root / ".wardwatch" / "env" / "bin" / "python").unlink()
    assert clone.run("status")[0] == 0
    assert clone.installs() == 2


def test_links_are_followed_to_the_clone(clone: Clone, tmp_path: Path) -> None:
    clone.python()
    clone.uv()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "first").symlink_to(Path("..") / "a clone" / "wardwatch")
    (clone.bin / "ward").symlink_to(tmp_path / "links" / "first")
    code, _, err = clone.run("status", script=clone.bin / "ward")
    assert code == 0, err
    assert (clone.root / ".wardwatch" / "env" / "stamp").exists()


def test_a_failed_install_says_why_and_is_not_believed(clone: Clone) -> None:
    clone.python(ensurepip=False)
    clone.uv(install="echo 'dns error' >&2; exit 2")
    code, out, err = clone.run("status")
    assert (code, out) == (1, "")
    assert "needs a network" in one_sentence(err.splitlines(keepends=True)[-1])
    assert "dns error" in (clone.root / ".wardwatch" / "install.log").read_text()
    clone.uv()
    assert clone.run("status")[0] == 0
    assert clone.installs() == 2


def test_a_nearly_full_disk_is_said_before_anything_is_written_to_it(clone: Clone) -> None:
    clone.python()
    clone.uv()
    clone.tool(
        "df", "#!/bin/sh\necho Filesystem 1024-blocks Used Available\necho /dev/full 9000000 8100000 900000 90% /\n"
    )
    code, _, err = clone.run("status")
    assert code == 1
    assert "nearly full" in one_sentence(err.splitlines(keepends=True)[-1])
    assert clone.installs() == 0


def test_an_interrupted_install_is_not_believed_and_leaves_no_lock(clone: Clone) -> None:
    clone.python()
    clone.uv(install=f'touch "{clone.bin}/begun"; sleep 600')
    process = clone.start("status")
    wait_until((clone.bin / "begun").exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    clone.uv()
    code, _, err = clone.run("status")
    assert code == 0, err
    assert "waiting" not in err


#: An install that lasts until it is told to go on; a minute at most, so that an interrupted run leaves nothing.
WAIT_FOR_GO = """touch "{bin}/begun"; n=0
while [ ! -e "{bin}/go" ] && [ $n -lt 3000 ]; do n=$((n + 1)); sleep 0.02; done"""


def test_of_two_at_once_one_installs_and_the_other_waits(clone: Clone) -> None:
    clone.python()
    clone.uv(install=WAIT_FOR_GO.format(bin=clone.bin))
    first = clone.start("status")
    wait_until((clone.bin / "begun").exists)
    second = clone.start("status")
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    (clone.bin / "go").touch()
    for process in (first, second):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.strip().endswith("|status")
    assert clone.installs() == 1


def test_the_test_command_runs_pytest_at_the_root(clone: Clone) -> None:
    clone.python()
    clone.uv()
    assert clone.run("status")[0] == 0
    site = next((clone.root / ".wardwatch" / "env").glob("lib/python*/site-packages"))
    (site / "pytest.py").write_text(CLI)
    code, out, _ = clone.run("test", "-k", "a or b")
    cwd, _, *arguments = out.strip().split("|")
    assert code == 0
    assert Path(cwd) == clone.root.resolve()
    assert arguments == ["-k", "a or b"]
