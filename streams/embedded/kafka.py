"""Apache Kafka itself, one node on loopback, from pip alone. Its data stays in a folder and is found again.

Jars come by ``kafka-jars.json`` (see jars.py), once; after that no network is needed. The compiler stops at its first
tier: measured, it starts in half the time and costs the two small cores it shares with the workers half the CPU.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import struct
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from streams.embedded.jars import EmbeddedError, fetch_jars
from streams.embedded.java import JavaProcess, NotReady, free_port, port_is_free

__all__ = ["DISK_NEEDED", "EmbeddedError", "EmbeddedKafka"]

VERSION = "4.2.0"
JARS = Path(__file__).with_name("kafka-jars.json")

#: Bytes that must be free to start: Kafka stops hard when a disk fills up under it.
DISK_NEEDED = 512 * 1024 * 1024

#: What Java says of a write to a full disk.
_NO_ROOM = "No space left on device"

#: Seconds that a broker whose parent was killed may take to end and let go of its folder.
_PATIENCE = 7.0

# A broker killed outright is let in again only when its last session is over: nine seconds by default, three here.
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{port}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
log.dirs={data}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
offsets.topic.num.partitions=10
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
message.max.bytes=8388608
socket.request.max.bytes=104857600
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""


class EmbeddedKafka:
    """One broker. :meth:`start`, then clients at :attr:`bootstrap`, then :meth:`stop`; start again any time.

    It ends when this process does, however that ends.
    """

    def __init__(
        self, folder: Path, *, port: int = 9092, heap: str = "256m", say: Callable[[str], None] = lambda _: None
    ) -> None:
        """``folder``: kept between runs. ``port``: 0 takes a free one, and keeps it for later starts of this object.

        ``say`` hears about what takes long, a line at a time.
        """
        self._folder = folder.absolute()
        self._port = port
        self._heap = heap
        self._say = say
        self._process: JavaProcess | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients; the port is known once started."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        """Warnings and errors of the run at hand; those of the run before lie beside it in ``kafka.log.old``."""
        return self._folder / "kafka.log"

    def start(self) -> None:
        """Run it; returns when it serves. Raises EmbeddedError in one sentence."""
        with contextlib.ExitStack() as held:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                lock = held.enter_context((self._folder / "lock").open("w"))
                self._take(lock)
                self._prepare()
            except OSError as exc:
                raise EmbeddedError(self._os_error(exc)) from exc
            self._run(lock.fileno())

    def _take(self, lock: TextIO) -> None:
        """Lock the folder; Java inherits the lock, so it lasts as long as either of us lives.

        Kafka has a lock of its own, but a second Kafka damages the first one's metadata log before it looks there.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        f"another Kafka uses {self._folder}: stop it, or choose another folder with --data-dir"
                    ) from None
            time.sleep(0.1)

    def _run(self, lock: int) -> None:
        jars = fetch_jars(JARS, say=lambda line: self._say(f"Apache Kafka {VERSION}: {line}"))
        classpath = os.pathsep.join(str(jar) for jar in jars)
        try:
            if not self._data.exists():
                self._format(classpath, lock)
            self._process = self._java(
                [f"-Xmx{self._heap}", f"-Xms{self._heap}"], classpath, ["kafka.Kafka", "server.properties"], lock
            )
            self._process.wait_ready(lambda: _serves(self._port), seconds=60)
        except NotReady as exc:
            self.stop()
            raise EmbeddedError(self._known_cause() or self._unknown_cause(str(exc))) from exc
        except BaseException:
            self.stop()
            raise

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _prepare(self) -> None:
        if self._port and not port_is_free(self._port):
            raise EmbeddedError(f"port {self._port} is in use: stop what holds it, or choose another with --port")
        self._port = self._port or free_port()
        if shutil.disk_usage(self._folder).free < DISK_NEEDED:
            raise EmbeddedError(f"the disk under {self._folder} is nearly full: Kafka needs 512 MB free to start")
        if self._data.exists() and not (self._data / "meta.properties").is_file():
            raise EmbeddedError(
                f"{self._data} is damaged or not Kafka's (meta.properties is missing): restore it, or move it away and "
                "a new one is made"
            )
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.old"))
        self._write_settings("server.properties", "data")

    def _write_settings(self, name: str, data: str) -> None:
        # Relative to the folder Kafka runs in: a comma or a backslash in an absolute path would mean something to it.
        text = _SETTINGS.format(port=self._port, controller=free_port(), data=data)
        (self._folder / name).write_text(text, encoding="ascii")

    def _format(self, classpath: str, lock: int) -> None:
        """Format beside the place and rename, so that what is there was formatted whole."""
        fresh = self._folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._write_settings("format.properties", fresh.name)
        self._java(
            [],
            classpath,
            ["kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", "format.properties"],
            lock,
        ).wait_done(seconds=60)
        fresh.rename(self._data)

    def _java(self, options: list[str], classpath: str, command: list[str], lock: int) -> JavaProcess:
        return JavaProcess(
            [
                *options,
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-cp",
                classpath,
                *command,
            ],
            log=self.log,
            folder=self._folder,
            inherit=[lock],
        )

    def stop(self) -> None:
        """End it in order; what was acknowledged is found again. Harmless when it is not running."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def running(self) -> bool:
        return self._process is not None and self._process.running()

    @property
    def out_of_room(self) -> bool:
        """Whether a broker that ended by itself did because its disk is full."""
        return _NO_ROOM in self._said()

    def why_ended(self) -> str:
        """One sentence about a broker that ended by itself, for whoever finds it not running."""
        return self._known_cause() or f"Kafka ended by itself: {self.log} says why; start again to go on"

    def _known_cause(self) -> str | None:
        log = self._said()
        if _NO_ROOM in log:
            return self._os_error(OSError(errno.ENOSPC, ""))
        if "Address already in use" in log:
            return f"port {self._port} is in use: stop what holds it, or choose another with --port"
        return None

    def _said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _unknown_cause(self, words: str) -> str:
        return (
            f"Kafka did not start ({words}): if {self._data} is damaged, restore it, or move it away and a new one is "
            f"made; the whole story is in {self.log}"
        )

    def _os_error(self, exc: OSError) -> str:
        if exc.errno == errno.ENOSPC:
            return f"the disk under {self._folder} is full: make room and start again"
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"{self._folder} cannot be written: choose another folder with --data-dir"
        return f"{self._folder} cannot be used ({exc.strerror or exc}): choose another folder with --data-dir"


def _cluster_id() -> str:
    """A random UUID in Kafka's own base64 form, which may not begin with a dash."""
    while (name := urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return name


def _serves(port: int) -> bool:
    """Whether the broker there answers a Metadata request and counts itself as alive; earlier, topics cannot be made.

    The request and the beginning of the answer are version 4 of Kafka's protocol guide, "Metadata API".
    """
    body = struct.pack(">hhihib", 3, 4, 1, -1, 0, 0)  # Metadata, v4, correlation, no client id, no topics, no creation
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            with connection.makefile("rb") as answer:
                head = answer.read(16)  # size, correlation, throttle time, number of brokers
    except OSError:
        return False
    return len(head) == 16 and struct.unpack(">iiii", head)[1] == 1 and struct.unpack(">iiii", head)[3] > 0
