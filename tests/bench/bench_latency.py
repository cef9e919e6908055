"""How long from ``emit()`` until Elasticsearch has acknowledged the alert, at a steady rate.

    python tests/bench/bench_latency.py [--rate 2000] [--seconds 30]

Real Kafka, a real worker, real Elasticsearch; one event in a hundred is a finding. A relay between the last two writes
down when each bulk request was answered. Prints one JSON line, in seconds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "faults")]

from cluster import Cluster  # noqa: E402
from load import records  # noqa: E402
from servers.elasticsearch_server import TestElasticsearch  # noqa: E402

from streams import topics  # noqa: E402
from streams.emitter import Emitter  # noqa: E402

_EVENTS = re.compile(rb'"events":\["([^"]+)"')


class Relay(ThreadingHTTPServer):
    """Passes requests on to a server, and keeps when each event it saw in one was answered for."""

    daemon_threads = True

    def __init__(self, url: str) -> None:
        self.target = urlsplit(url)
        self.answered: dict[str, float] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        upstream = HTTPConnection(self.server.target.hostname or "", self.server.target.port or 0, timeout=60)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        now = time.time()
        upstream.close()
        for event in _EVENTS.findall(body):
            self.server.answered.setdefault(event.decode(), now)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = _pass_on  # noqa: N815  # the names that http.server calls

    def log_message(self, *args: Any) -> None:
        """Nothing: it would cost more than the relay."""


@contextmanager
def relay(url: str) -> Iterator[Relay]:
    server = Relay(url)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def emit(bootstrap: str, *, rate: float, seconds: float) -> dict[str, float]:
    """When each event was emitted, by id; ``rate`` a second, whatever the broker does."""
    emitted: dict[str, float] = {}
    begin = time.time()
    day = records(count=int(rate * seconds), entities=100_000, begin=int(begin * 1000), per_second=rate)
    with Emitter(bootstrap, producer="bench", linger_ms=5) as emitter:
        for number, emission in enumerate(day):
            ahead = begin + number / rate - time.time()
            if ahead > 0.001:
                time.sleep(ahead)
            name = emission.record.get("id") or emission.record["eventID"]
            emitted[name] = time.time()
            emitter.emit(emission.record, source=emission.source, key=emission.key.decode())
    return emitted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--seconds", type=float, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        elasticsearch = TestElasticsearch(Path(folder) / "elasticsearch")
        elasticsearch.start()
        with relay(elasticsearch.url) as between:
            cluster = Cluster(Path(folder), environment={"WARDWATCH_ELASTICSEARCH": between.url})
            cluster.start()
            try:
                cluster.add_worker()
                emit(cluster.kafka.bootstrap, rate=200, seconds=5)  # everything has run once
                cluster.settle(seconds=60)
                emitted = emit(cluster.kafka.bootstrap, rate=arguments.rate, seconds=arguments.seconds)
                cluster.settle(seconds=60)
                wanted = sum(cluster.ends(topics.ALERTS).values())
                for _ in itertools.takewhile(lambda _: len(between.answered) < wanted * 0.9, range(100)):
                    time.sleep(0.1)
            finally:
                cluster.stop()
        elasticsearch.stop()
    waits = sorted(between.answered[name] - at for name, at in emitted.items() if name in between.answered)
    result = {
        "events": len(emitted),
        "events_per_second": arguments.rate,
        "alerts": len(waits),
        "median": statistics.median(waits),
        "p99": waits[int(len(waits) * 0.99)],
        "highest": waits[-1],
    }
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))


if __name__ == "__main__":
    main()
