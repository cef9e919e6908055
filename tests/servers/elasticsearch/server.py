"""Real Elasticsearch for tests: one node on loopback, from its published jars, with nothing but Python installed.

The jars come by ``jars.json`` (see streams/embedded/jars.py; they are under the Elastic License 2.0: fetched for tests,
never shipped). The few classes that stand in for what is not published lie under ``java`` and are compiled by Eclipse's
compiler, once for each change of theirs. Not there: security, scripting, ingest pipelines, update by query, lifecycle
policies; a test that needs those names a server of its own with ``WARDWATCH_TEST_ELASTICSEARCH``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from streams.embedded.jars import EmbeddedError, cache_folder, fetch_jars
from streams.embedded.java import JavaProcess, NotReady, free_port

__all__ = ["ElasticsearchServer"]

HERE = Path(__file__).parent
JARS = HERE / "jars.json"
SOURCES = sorted((HERE / "java").rglob("*.java"))

_OPTIONS = (
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
    "--enable-native-access=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-modules=jdk.net",
)
_SETTINGS = {
    "cluster.name": "wardwatch-tests",
    "node.name": "one",
    "discovery.type": "single-node",
    "network.host": "127.0.0.1",
    "transport.port": "0",
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    "logger.level": "WARN",
}


class ElasticsearchServer:
    """One node whose data lies in a folder. It can be stopped, or killed, and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._port = 0
        self._process: JavaProcess | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        return self._folder / "elasticsearch.log"

    def start(self) -> None:
        """Run it; returns when an index can be written. Raises EmbeddedError with what its log says."""
        self._folder.mkdir(parents=True, exist_ok=True)
        jars = fetch_jars(JARS)
        classes = _compiled(jars)
        self._port = self._port or free_port()
        settings = {**_SETTINGS, "http.port": str(self._port)}
        self._process = JavaProcess(
            [
                *_OPTIONS,
                "-cp",
                os.pathsep.join(map(str, [classes, *jars])),
                "org.elasticsearch.node.SingleNode",
                str(self._folder),
                *(f"{key}={value}" for key, value in settings.items()),
            ],
            log=self.log,
            folder=self._folder,
        )
        try:
            self._process.wait_ready(self._serves, seconds=120)
        except NotReady as exc:
            self.stop()
            tail = self.log.read_text(errors="replace")[-4000:]
            raise EmbeddedError(f"Elasticsearch did not start ({exc}); its log ends:\n{tail}") from exc

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_cluster/health", timeout=5) as answer:
                return bool(json.load(answer)["status"] in ("green", "yellow"))
        except (urllib.error.URLError, OSError):
            return False


def _compiled(jars: list[Path]) -> Path:
    """The folder of our classes, compiled against ``jars`` unless they are there. Raises EmbeddedError."""
    stamp = hashlib.sha256(JARS.read_bytes())
    for source in SOURCES:
        stamp.update(source.read_bytes())
    done = cache_folder() / f"elasticsearch-classes-{stamp.hexdigest()[:16]}"
    if done.is_dir():
        return done
    compiler = next(jar for jar in jars if "-ecj-" in jar.name)
    work = Path(tempfile.mkdtemp(dir=cache_folder(), prefix="compiling-"))
    try:
        process = JavaProcess(
            [
                *("-cp", str(compiler), "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-nowarn"),
                *("-d", str(work / "classes"), "-cp", os.pathsep.join(map(str, jars))),
                *map(str, SOURCES),
            ],
            log=work / "compiler.log",
            folder=work,
        )
        try:
            process.wait_done(seconds=120)
        except NotReady as exc:
            log = (work / "compiler.log").read_text(errors="replace")[-4000:]
            raise EmbeddedError(f"the stand-in classes do not compile:\n{log}") from exc
        try:
            (work / "classes").rename(done)
        except OSError:  # another run was first
            if not done.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return done
