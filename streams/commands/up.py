"""``up``: Kafka, a worker, the console and a synthetic hospital, as one tree of processes that ends together."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from streams.admin import create_topics
from streams.commands.alert_line import alert_line
from streams.commands.terminal import terminal_look
from streams.embedded.child import PARENT
from streams.embedded.jars import EmbeddedError
from streams.embedded.java import port_is_free
from streams.embedded.kafka import DISK_NEEDED, EmbeddedKafka
from streams.keys import load_keys
from streams.settings import Settings
from streams.sinks.store import AlertStore

__all__ = ["Demo", "run"]

#: Seconds a worker may take until it says that it runs.
_READY = 60.0
#: Times within so many seconds that a worker is started again.
_OFTEN = 12
_LATELY = 600.0
#: Ports that are used unless told otherwise, and where the other commands look without a setting.
_PORT = 8900
_FOLDER = Path("~/.wardwatch")


@dataclass(frozen=True)
class Demo:
    rate: float  #: events per second
    staff: int
    seed: int


class Interrupted(Exception):
    """Ctrl-C, or a polite kill."""


def run(folder: Path, *, port: int, demo: Demo | None) -> int:
    """Start everything, show alerts as they come, and stop everything when told to. Gives the exit code."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    _check_ports(port)
    tree = _Tree(folder)
    kafka = EmbeddedKafka(folder / "kafka", port=port + 1, say=_say)
    try:
        _start(tree, kafka, folder, port, demo)
        return _watch(tree, kafka, folder)
    except Interrupted:
        print("\nstopping", flush=True)
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        tree.stop()
        kafka.stop()


def _check_ports(port: int) -> None:
    """Raises EmbeddedError where one of the two is taken."""
    mend = "stop what holds it, or choose another with --port"
    if not port_is_free(port):
        raise EmbeddedError(f"port {port} is in use: {mend}")
    if not port_is_free(port + 1):
        raise EmbeddedError(f"port {port + 1}, which Kafka takes beside the web page's {port}, is in use: {mend}")


def _start(tree: _Tree, kafka: EmbeddedKafka, folder: Path, port: int, demo: Demo | None) -> None:
    began = time.monotonic()
    settings = Settings(kafka=kafka.bootstrap, data_dir=folder)
    if settings.security.protocol != "PLAINTEXT":
        raise EmbeddedError(
            "up starts a Kafka of its own, on loopback and without TLS: take kafka_security out of the settings, or "
            "start a worker beside the Kafka that you have"
        )
    _check_folder(folder)
    AlertStore(settings.store_path).close()
    _say("starting Kafka")
    kafka.start()
    create_topics(settings)
    environment = {"WARDWATCH_KAFKA": kafka.bootstrap, "WARDWATCH_DATA_DIR": str(folder)}
    _say("starting the worker")
    started = int(time.time() * 1000)
    tree.start("worker", ["streams.worker"], environment)
    tree.start("console", ["dashboards.console", "--store", str(settings.store_path), "--port", str(port)], environment)
    _wait_for_worker(tree, settings, started)
    tree.keep("worker")
    if settings.events_kept:
        tree.start("events", ["streams.worker", "--only", "events"], environment)
        tree.keep("events")
    print(f"ready after {time.monotonic() - began:.1f} s")
    print(f"  web page  http://127.0.0.1:{port}")
    print(f"  Kafka     {kafka.bootstrap}")
    print(f"  data      {folder}")
    print(f"  logs      {folder / 'worker.log'}, {folder / 'kafka' / 'kafka.log'}")
    if hint := _hint(folder, port, environment):
        print(f"  commands  {hint} ./wardwatch status")
    if demo is not None:
        arguments = ["--rate", str(demo.rate), "--staff", str(demo.staff), "--seed", str(demo.seed)]
        tree.start("demo", ["streams.demo", *arguments], environment)
        print(f"  demo      a synthetic hospital, {demo.rate:g} events/s, seed {demo.seed}; no person in it exists.")
        print("            Its last half hour comes first, so that the models know what is usual; then attacks begin.")
    print("Ctrl-C stops it. Alerts as they come:", flush=True)


def _check_folder(folder: Path) -> None:
    """Say what is full or damaged before anything starts. Raises EmbeddedError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < DISK_NEEDED:
            raise EmbeddedError(f"the disk under {folder} is nearly full: it takes 512 MB free to start; make room")
        load_keys(folder)
    except ValueError as exc:
        raise EmbeddedError(str(exc)) from exc
    except OSError as exc:
        raise EmbeddedError(
            f"{folder} cannot be used ({exc.strerror or exc}): choose another folder with --data-dir"
        ) from exc


def _hint(folder: Path, port: int, environment: Mapping[str, str]) -> str:
    """What other commands must be told to find this installation; nothing where they look here by themselves."""
    told = [("WARDWATCH_KAFKA", port != _PORT), ("WARDWATCH_DATA_DIR", folder != _FOLDER.expanduser())]
    return " ".join(f"{name}={environment[name]}" for name, needed in told if needed)


def _wait_for_worker(tree: _Tree, settings: Settings, started: int) -> None:
    deadline = time.monotonic() + _READY
    store = AlertStore(settings.store_path, read_only=True)
    try:
        while not any(
            name.startswith("worker.") and fact["time"] >= started and fact["partitions"]
            for name, fact in store.facts().items()
        ):
            tree.check()
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the worker did not get ready in {_READY:.0f} s: see {settings.home / 'worker.log'}"
                )
            time.sleep(0.1)
    finally:
        store.close()


def _watch(tree: _Tree, kafka: EmbeddedKafka, folder: Path) -> int:
    """Print each alert as it comes, until something ends."""
    store = AlertStore(folder / "alerts.sqlite", read_only=True)
    shown = store.latest()
    try:
        while True:
            for alert in reversed(store.alerts(after=shown, limit=200)):
                print(alert_line(alert, now=time.time(), **terminal_look()), flush=True)
                shown = max(shown, alert["sequence"])
            for line in tree.said("demo"):
                print(f"{time.strftime('%H:%M:%S')}  the demo attacks: {line}", flush=True)
            if not kafka.running():
                _wait_for_room(tree, kafka, folder)
            tree.check()
            time.sleep(0.25)
    finally:
        store.close()


def _wait_for_room(tree: _Tree, kafka: EmbeddedKafka, folder: Path) -> None:
    """Start a Kafka again that filled its disk, once there is room. Raises EmbeddedError where it ended of else."""
    if not kafka.out_of_room:
        raise EmbeddedError(kafka.why_ended())
    kafka.stop()
    needed = f"{DISK_NEEDED // (1024 * 1024)} MB"
    print(f"the disk under {folder} is full: Kafka stopped, and goes on once {needed} are free; make room", flush=True)
    while shutil.disk_usage(folder).free < DISK_NEEDED:
        tree.check()
        time.sleep(0.5)
    kafka.start()
    print("there is room again: Kafka goes on", flush=True)


def _say(what: str) -> None:
    print(f"{what} …", flush=True)


class _Tree:
    """Child processes by name. One that ends and is not kept takes the rest along; so does the end of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {}
        self._ends: dict[str, list[float]] = {}
        self._read: dict[str, int] = {}

    def start(self, name: str, module: Sequence[str], environment: Mapping[str, str]) -> None:
        """``module`` and its arguments, in a process that ends with this one, its output in ``NAME.log``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        again = name in self._started
        self._started[name] = (module, environment)
        with (self._folder / f"{name}.log").open("ab" if again else "wb") as log:
            self._children[name] = subprocess.Popen(  # noqa: S603  # our own modules
                [sys.executable, "-m", "streams.embedded.child", *module],
                env={**os.environ, **environment, PARENT: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def keep(self, name: str) -> None:
        """Start ``name`` again whenever it ends, unless that is too often."""
        self._ends[name] = []

    def said(self, name: str) -> list[str]:
        """Whole lines that child ``name`` wrote since this was last asked."""
        log = self._folder / f"{name}.log"
        if name not in self._children:
            return []
        with log.open("rb") as file:
            file.seek(self._read.get(name, 0))
            whole, end, _ = file.read().rpartition(b"\n")
        self._read[name] = self._read.get(name, 0) + len(whole) + len(end)
        return whole.decode(errors="replace").splitlines()

    def check(self) -> None:
        """Raises EmbeddedError where a child has ended for good."""
        for name, child in list(self._children.items()):
            code = child.poll()
            if code is not None and self._start_again(name):
                print(
                    f"the {name} ended ({code}) and is started again (log: {self._folder / f'{name}.log'})", flush=True
                )
            elif code is not None:
                log = self._folder / f"{name}.log"
                lines = log.read_text(errors="replace").strip().splitlines()
                last = lines[-1] if lines else "it said nothing"
                raise EmbeddedError(f"the {name} ended ({code}): {last} (log: {log})")

    def _start_again(self, name: str) -> bool:
        """A record that kills the worker is found by starting it three times (:mod:`streams.crashes`)."""
        ends = self._ends.get(name)
        if ends is None:
            return False
        now = time.monotonic()
        ends[:] = [end for end in ends if end > now - _LATELY] + [now]
        if len(ends) > _OFTEN:
            return False
        self.start(name, *self._started[name])
        return True

    def stop(self) -> None:
        for child in reversed(self._children.values()):
            child.terminate()
        deadline = time.monotonic() + 15
        for child in self._children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
