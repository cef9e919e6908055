"""A real HTTP server that answers any method by its path, and keeps what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

__all__ = ["Answering", "Asked", "answering"]


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]  #: names in lower case
    body: bytes


#: Gives status, headers and body.
Answer = Callable[[Asked], tuple[int, dict[str, str], bytes]]


class Answering:
    def __init__(self, answer: Answer) -> None:
        self.asked: list[Asked] = []
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                answering.asked.append(asked)
                status, headers, content = answer(asked)
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.do_GET()

            def do_PUT(self) -> None:
                self.do_GET()

            def log_message(self, *args: Any) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def answering(answer: Answer) -> Iterator[Answering]:
    server = Answering(answer)
    thread = threading.Thread(target=server.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        thread.join()
        server.server.server_close()
