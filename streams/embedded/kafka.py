"""Apache Kafka itself, one node on loopback, from pip alone. Its data stays in a folder and is found again."""

from __future__ import annotations

import errno
import shutil
import socket
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from streams.embedded.java import EmbeddedError, JavaProcess, fetch_jars, port_is_free

__all__ = ["EmbeddedKafka"]

VERSION = "4.2.0"
COORDINATES = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")

#: Bytes that must be free to start: Kafka stops hard when a disk fills up under it.
_DISK_NEEDED = 512 * 1024 * 1024

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
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
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
    """One broker. :meth:`start`, then clients at :attr:`bootstrap`, then :meth:`stop`; start again any time."""

    def __init__(self, folder: Path, *, port: int = 9092, heap: str = "256m") -> None:
        """``folder``: kept between runs. ``port``: 0 takes a free one, and keeps it for later starts."""
        self._folder = folder
        self._port = port
        self._controller = 0
        self._heap = heap
        self._process: JavaProcess | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Run it; returns when it takes connections. Raises EmbeddedError in one sentence."""
        if self._port and not port_is_free(self._port):
            raise EmbeddedError(f"port {self._port} is in use: stop what holds it, or choose another with --port")
        self._port = self._port or _free_port()
        self._controller = self._controller or _free_port()
        data = self._folder / "data"
        try:
            data.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(data).free < _DISK_NEEDED:
                raise EmbeddedError(f"the disk under {self._folder} is nearly full: Kafka needs 512 MB free to start")
            settings = self._folder / "server.properties"
            settings.write_text(
                _SETTINGS.format(port=self._port, controller=self._controller, data=data), encoding="utf-8"
            )
        except OSError as exc:
            raise EmbeddedError(_os_error(exc, self._folder)) from exc
        classpath = ":".join(str(jar) for jar in fetch_jars(COORDINATES))
        if not (data / "meta.properties").exists():
            self._format(classpath, settings, data)
        log = self._folder / "kafka.log"
        log.write_bytes(b"")
        self._process = JavaProcess(
            [
                f"-Xmx{self._heap}",
                f"-Xms{self._heap}",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xshare:auto",
                "--enable-native-access=ALL-UNNAMED",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-cp",
                classpath,
                "kafka.Kafka",
                str(settings),
            ],
            log=log,
        )
        try:
            self._process.wait_ready(lambda: _answers(self._port), seconds=60)
        except EmbeddedError as exc:
            self.stop()
            raise EmbeddedError(
                f"Kafka did not start, {exc}; if {self._folder} is damaged, move it away: a new one is made"
            ) from exc

    def _format(self, classpath: str, settings: Path, data: Path) -> None:
        if any(data.iterdir()):
            raise EmbeddedError(f"{data} holds something that is not Kafka's: move it away, or name another folder")
        log = self._folder / "format.log"
        process = JavaProcess(
            [
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                classpath,
                "kafka.tools.StorageTool",
                "format",
                "-t",
                _cluster_id(),
                "-c",
                str(settings),
            ],
            log=log,
        )
        process.wait_ready(lambda: (data / "meta.properties").exists() and not process.running(), seconds=60)

    def stop(self) -> None:
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


def _cluster_id() -> str:
    """A random UUID in Kafka's own base64 form, which may not begin with a dash."""
    while (name := urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _os_error(exc: OSError, folder: Path) -> str:
    if exc.errno == errno.ENOSPC:
        return f"the disk under {folder} is full: make room and start again"
    if exc.errno in (errno.EACCES, errno.EROFS):
        return f"{folder} cannot be written: choose another with --data-dir"
    return f"{folder} cannot be used: {exc.strerror}"
