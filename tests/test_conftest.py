"""What a test run does when the machine lacks something, and what it leaves out unless asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def test_without_chromium_the_summary_says_so_and_the_run_passes(tmp_path: Path) -> None:
    code, output = pytest_in("/nowhere", tmp_path)
    assert code == 0
    assert "browser: not run (no Chromium on PATH; 1 tests skipped)" in output
    assert "1 deselected" in output


def test_without_chromium_the_run_fails_where_a_browser_is_required(tmp_path: Path) -> None:
    code, output = pytest_in("/nowhere", tmp_path, WARDWATCH_REQUIRE_BROWSER="1")
    assert code == 1
    assert "install Debian's chromium" in output


def test_what_measures_runs_only_when_asked_for(tmp_path: Path) -> None:
    code, output = pytest_in("/nowhere", tmp_path, "-m", "bench")
    assert code == 1
    assert "AssertionError: measured" in output
    assert "AssertionError: ran" not in output
