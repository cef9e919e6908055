"""A real HTTP receiver that answers as it is told, and keeps what it was sent."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

__all__ = ["Received", "Receiver", "receiving"]


class Received(NamedTuple):
    headers: dict[str, str]
    body: bytes
    path: str = ""


#: Gives status, headers and body for the n-th request (from 0).
Answer = Callable[[int], tuple[int, dict[str, str], bytes]]


class Receiver:
    def __init__(self, answer: Answer, delay: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.delay = delay
        self.received: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                number = len(receiver.received)
                receiver.received.append(Received({k.lower(): v for k, v in self.headers.items()}, body, self.path))
                time.sleep(receiver.delay)
                status, headers, content = receiver.answer(number)
                if status == 0:
                    self.connection.close()
                    return
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:  # a heartbeat
                self.do_POST()

            def do_PUT(self) -> None:  # Elasticsearch's bulk requests
                self.do_POST()

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100  # more wait than by default, else the kernel resets them

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is part of the test."""

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}/hook"


@contextmanager
def receiving(
    answer: Answer = lambda _: (200, {}, b""), *, delay: float = 0.0, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    receiver = Receiver(answer, delay, tls)
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()
