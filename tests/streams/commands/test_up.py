"""``up`` as a person at a terminal has it: real processes, a demo's alerts, Ctrl-C, a second start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from streams.embedded.java import free_port

ROOT = Path(__file__).parents[3]


class Up:
    """A running ``wardwatch up`` and what it said so far."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "up", "--data-dir", str(folder), "--port", str(port), *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip())

    def until(self, pattern: str, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.lines:
                if re.search(pattern, line):
                    return line
            assert self.process.poll() is None, self.lines
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} within {seconds} s: {self.lines}")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


def processes(folder: Path) -> list[str]:
    """Command lines of processes that have to do with ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(entry.name) != os.getpid() and (str(folder) in command or f"DATA_DIR={folder}" in environment):
            found.append(command)
    return found


def gone(folder: Path, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while processes(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.kafka
def test_a_demo_from_start_to_second_start(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    up = Up(folder, port, "--demo", "--rate", "10", "--size", "40")
    try:
        up.until(r"ready after", 60)
        up.until(rf"console +http://127\.0\.0\.1:{port}", 1)
        alert = up.until(r"\d\d:\d\d:\d\d  critical", 60)
        assert "Root logged in to the console without a second factor" in alert
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
        assert any("Root logged in" in a["title"] for a in httpx.get(f"http://127.0.0.1:{port}/api/alerts").json())
        assert up.end(signal.SIGINT) == 0
    finally:
        up.process.kill()
    assert gone(folder), processes(folder)

    again = Up(folder, port)
    try:
        again.until(r"Alerts:", 60)
        assert httpx.get(f"http://127.0.0.1:{port}/api/alerts").json(), "what was found before is still there"
        again.process.kill()
        again.process.wait(10)
        assert gone(folder), "killed, it leaves processes behind"
    finally:
        again.process.kill()


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        up = Up(tmp_path / "data", held.getsockname()[1])
        assert up.process.wait(30) == 1
    time.sleep(0.2)
    (line,) = up.lines
    assert re.fullmatch(r"wardwatch: port \d+ is in use: stop what holds it, or choose another with --port", line)


def test_a_damaged_store_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "alerts.sqlite").write_bytes(b"not a database, and long enough for sqlite to say so " * 50)
    up = Up(folder, free_port())
    assert up.process.wait(90) == 1
    time.sleep(0.2)
    assert re.fullmatch(
        r"wardwatch: .*alerts\.sqlite cannot be opened .*: move it away, a new one is made", up.lines[-1]
    )
    assert gone(folder)
