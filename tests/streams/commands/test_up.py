"""``up`` as a person at a terminal has it: real processes, a demo's alerts, Ctrl-C, a second start."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from streams.commands import up as command
from streams.embedded.jars import EmbeddedError, fetch_jars
from streams.embedded.java import free_port, port_is_free
from streams.embedded.kafka import JARS
from streams.keys import load_keys

ROOT = Path(__file__).parents[3]


class Up:
    """A running ``wardwatch up`` and what it said so far."""

    def __init__(self, folder: Path, port: int, *options: str, **environment: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "up", "--data-dir", str(folder), "--port", str(port), *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

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


def free_pair() -> int:
    """A port that is free like the one after it, which Kafka takes."""
    while not port_is_free((port := free_port()) + 1):
        pass
    return port


def processes(folder: Path) -> list[tuple[int, str]]:
    """Ids and command lines of processes that have to do with ``folder``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            cwd = os.readlink(entry / "cwd")
            environment = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(entry.name) != os.getpid() and (
            str(folder) in command or cwd.startswith(str(folder)) or f"DATA_DIR={folder}" in environment
        ):
            found.append((int(entry.name), command))
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
    folder, port = tmp_path / "data", free_pair()
    up = Up(folder, port, "--demo", "--rate", "10", "--size", "40")
    try:
        up.until(r"ready after", 60)
        up.until(rf"web page +http://127\.0\.0\.1:{port}", 1)
        up.until(r"\d\d:\d\d:\d\d  the demo attacks: cloud takeover: Root logs in without a second factor", 60)
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
        again.until(r"Alerts as they come:", 60)
        assert httpx.get(f"http://127.0.0.1:{port}/api/alerts").json(), "what was found before is still there"
        again.process.kill()
        again.process.wait(10)
        assert gone(folder), "killed, it leaves processes behind"
    finally:
        again.process.kill()


def only_sentence(up: Up) -> str:
    """What one that cannot start says last, on one line, having ended with 1."""
    assert up.process.wait(90) == 1
    up.reader.join(5)
    assert up.lines[-1].startswith("wardwatch: ")
    assert not any(line.startswith("wardwatch: ") or "Traceback" in line for line in up.lines[:-1])
    return up.lines[-1].removeprefix("wardwatch: ")


@pytest.mark.parametrize("above", [0, 1])
def test_a_port_in_use_is_one_sentence(tmp_path: Path, above: int) -> None:
    port = free_pair() + above
    with socket.socket() as held:
        held.bind(("127.0.0.1", port))
        held.listen()
        said = only_sentence(Up(tmp_path / "data", port - above))
    beside = f", which Kafka takes beside the web page's {port - 1}," if above else ""
    assert said == f"port {port}{beside} is in use: stop what holds it, or choose another with --port"


def damage_store(folder: Path) -> None:
    (folder / "alerts.sqlite").write_bytes(b"not a database, and long enough for sqlite to say so " * 50)


def damage_key(folder: Path) -> None:
    (folder / "keys").mkdir()
    (folder / "keys" / "webhook.key").write_bytes(b"half a key")


def swap_keys(folder: Path) -> None:
    load_keys(folder)
    other = load_keys(folder / "other")
    shutil.copy(other.folder / "dead-letters.public", folder / "keys" / "dead-letters.public")


def damage_kafka(folder: Path) -> None:
    (folder / "kafka" / "data").mkdir(parents=True)


def forbid(folder: Path) -> None:
    (folder / "kafka").write_text("a file where a folder belongs")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (damage_store, r".*alerts\.sqlite cannot be opened .*: move it away, a new one is made"),
        (damage_key, r".*webhook\.key holds 10 bytes where a key has 32: restore it from your backup"),
        (swap_keys, r".*\.public does not belong to .*\.private: restore both from your backup"),
        (damage_kafka, r".*data is damaged or not Kafka's .*: restore it, or move it away and a new one is made"),
        (forbid, r".*kafka cannot be used \(File exists\): choose another folder with --data-dir"),
    ],
)
def test_a_damaged_folder_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, damage: Callable[[Path], None], told: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    damage(folder)
    assert re.fullmatch(told, only_sentence(Up(folder, free_pair())))
    assert gone(folder)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    told = only_sentence(Up(tmp_path / "file" / "data", free_pair()))
    assert told == f"{tmp_path}/file/data cannot be used (Not a directory): choose another folder with --data-dir"


def test_a_full_disk_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000_000))
    with pytest.raises(EmbeddedError, match="nearly full: it takes 512 MB free to start; make room"):
        command._check_folder(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_what_a_crash_left_of_a_key_is_in_nobody_s_way(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / f".pseudonym.key.{os.getpid()}").write_bytes(b"half")
    assert len(load_keys(tmp_path).pseudonym) == 32


def test_without_a_network_the_first_start_says_what_it_needs(tmp_path: Path) -> None:
    closed = "http://127.0.0.1:9"
    said = only_sentence(
        Up(
            tmp_path / "data",
            free_pair(),
            XDG_CACHE_HOME=str(tmp_path / "cache"),
            HTTPS_PROXY=closed,
            https_proxy=closed,
        )
    )
    assert re.fullmatch(
        r"cannot fetch \S+ \(\w+\): the first start needs a network that reaches Maven Central, or a mirror of it "
        r"named in jgo's configuration; later starts need none",
        said,
    )


@pytest.mark.kafka
def test_the_first_start_fetches_from_a_mirror_and_tells_how_far_it_is(tmp_path: Path) -> None:
    """A hospital's own mirror, and no other network: what the sentence above promises."""
    mirror = tmp_path / "mirror"
    for coordinate, jar in zip(json.loads(JARS.read_text()), fetch_jars(JARS), strict=True):
        group, name, version, *classifier = coordinate.split(":")
        place = mirror / group.replace(".", "/") / name / version
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{'-'.join([name, version, *classifier])}.jar").symlink_to(jar)
    handler = functools.partial(QuietHandler, directory=str(mirror))
    closed = "http://127.0.0.1:9"
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = tmp_path / "jgo.conf"
        settings.write_text(f"[repositories]\nmirror = http://127.0.0.1:{server.server_port}\n")
        environment = {"JGO_CONFIG_FILE": str(settings), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        up = Up(tmp_path / "data", free_pair(), HTTPS_PROXY=closed, https_proxy=closed, **environment)
        try:
            up.until(r"^Apache Kafka 4\.2\.0: fetched 10 of \d+ files", 60)
            up.until(r"^Apache Kafka 4\.2\.0: fetched (\d+) of \1 files", 60)
            assert up.end(signal.SIGINT) == 0, "interrupted while it starts"
        finally:
            up.process.kill()
            server.shutdown()
    assert gone(tmp_path / "data"), processes(tmp_path / "data")
    assert up.lines[-1] == "stopping"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.mark.kafka
def test_it_says_when_kafka_ends_and_takes_the_rest_along(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    up = Up(folder, free_pair())
    try:
        up.until(r"Alerts as they come", 60)
        assert up.lines[-2].startswith("  commands  WARDWATCH_KAFKA=127.0.0.1:")
        (java,) = (pid for pid, command in processes(folder) if "kafka.Kafka" in command)
        os.kill(java, signal.SIGKILL)
        assert re.fullmatch(r"Kafka ended by itself: .*kafka\.log says why; start again to go on", only_sentence(up))
    finally:
        up.process.kill()
    assert gone(folder), processes(folder)


def test_a_worker_that_ends_is_started_again_and_not_for_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record that kills it is found by starting it three times."""
    tree = command._Tree(tmp_path)
    tree.start("worker", ["this"], {})  # a module that says something and ends
    tree.keep("worker")

    def watch() -> None:
        while True:
            tree.check()
            time.sleep(0.01)

    with pytest.raises(EmbeddedError, match=r"the worker ended \(0\)"):
        watch()
    assert capsys.readouterr().out.count("is started again") == command._OFTEN
