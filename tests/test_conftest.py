"""What a test run does when the machine lacks something, and what it leaves out unless asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ByFile
from playwright.async_api import Browser

ROOT = Path(__file__).parents[1]


async def test_the_browser_is_real_and_runs_script(browser: Browser) -> None:
    page = await browser.new_page()
    await page.set_content("<p id=alerts></p><script>alerts.textContent = [1, 2, 3].map(n => n * n).join()</script>")
    assert await page.locator("#alerts").inner_text() == "1,4,9"


def pytest_in(path: str, folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    (folder / "test_inner.py").write_text(
        "import pytest\n"
        "async def test_page(browser): raise AssertionError('ran')\n"
        "def test_disk(small_disk, tmp_path): assert small_disk(tmp_path / 'disk', 1) is None\n"
        "def test_clock(wrong_clock): raise AssertionError('ran')\n"
        "@pytest.mark.bench\n"
        "def test_speed(): raise AssertionError('measured')\n"
    )
    (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\n")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("WARDWATCH_", "PYTEST_", "COV_"))}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "--confcutdir", folder),
            *("-p", "no:cacheprovider", "-p", "conftest", *arguments, folder),
        ],
        cwd=ROOT,
        env={**inherited, "PATH": path, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_what_the_machine_lacks_the_summary_says_and_the_run_passes(tmp_path: Path) -> None:
    code, output = pytest_in("/nowhere", tmp_path)
    assert code == 0
    assert "browser: not run (no Chromium on PATH; 1 tests skipped)" in output
    assert "full disk: not run (there is no unshare on PATH; 1 tests skipped)" in output
    assert "clock: not run (no faketime on PATH; 1 tests skipped)" in output
    assert "1 deselected" in output


def test_what_the_machine_lacks_fails_the_run_where_it_is_required(tmp_path: Path) -> None:
    required = {f"WARDWATCH_REQUIRE_{what}": "1" for what in ("BROWSER", "FULL_DISK", "CLOCK")}
    code, output = pytest_in("/nowhere", tmp_path, **required)
    assert code == 1
    for mend in ("install Debian's chromium", "install util-linux", "install Debian's faketime"):
        assert mend in output


def test_what_measures_runs_only_when_asked_for(tmp_path: Path) -> None:
    code, output = pytest_in("/nowhere", tmp_path, "-m", "bench")
    assert code == 1
    assert "AssertionError: measured" in output
    assert "AssertionError: ran" not in output


def test_what_runs_in_two_processes_is_handed_out_by_the_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        case = f"    Path({str(tmp_path)!r}, f'{name}.{{os.getpid()}}').touch()\n"
        text = "import os\nfrom pathlib import Path\n" + "".join(f"def test_{n}():\n{case}" for n in range(8))
        (tmp_path / f"test_{name}.py").write_text(text)
    code, output = pytest_in("/nowhere", tmp_path, "-n", "2", "-k", "not page and not disk and not clock")
    assert code == 0, output
    (one,), (two,) = tmp_path.glob("one.*"), tmp_path.glob("two.*")
    assert one.suffix != two.suffix


def test_what_kills_clusters_or_uses_elasticsearch_is_one_process_s(request: pytest.FixtureRequest) -> None:
    scheduler = ByFile.__new__(ByFile)
    heavy = {"faults", "elasticsearch"}
    for item in request.session.items:
        if heavy & {mark.name for mark in item.iter_markers()}:
            assert scheduler._split_scope(item.nodeid) == "heavy", item.nodeid
    assert scheduler._split_scope("tests/faults/test_faults.py::test_x") == "heavy"
    assert scheduler._split_scope("tests/streams/test_lanes.py::test_x[a::b]") == "tests/streams/test_lanes.py"
