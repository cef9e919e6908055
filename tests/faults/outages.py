"""A link to a server that can be cut and mended: what a client sees of a server that is away and comes back."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

__all__ = ["Link"]


class Link:
    """Forwards connections on :attr:`port` of loopback to a server. Cut: connections break, new ones are reset.

    The port stays ours meanwhile; one given back may be somebody's else when the server returns.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._away = False
        self.met = 0  #: how often somebody came while it was away
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def mend(self) -> None:
        self._away = False

    def cut(self) -> None:
        """Break what is under way, whatever state it is in, and refuse what comes."""
        with self._lock:
            self._away = True
            broken, self._connections = self._connections, set()
        for connection in broken:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever accepts
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._reach()
            with self._lock:
                alive = server is not None and not self._away
                if server is not None and alive:
                    self._connections |= {client, server}
            if server is not None and alive:
                threading.Thread(target=self._join, args=(client, server), daemon=True).start()
            else:
                self.met += self._away
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()

    def _reach(self) -> socket.socket | None:
        if self._away:
            return None
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            return None
        server.settimeout(None)
        return server

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()
        with self._lock:
            self._connections -= {client, server}
        client.close()
        server.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
