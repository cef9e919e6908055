"""Takes syslog messages over TLS (RFC 5425) and hands each to whoever takes them; reads no faster than they are taken.

RFC 5425 has no acknowledgement: a sender counts a message as delivered once its TCP stack has it. So:

- What was read is taken before more is read: where nobody takes, the connection's window fills, and the sender waits or
  keeps its messages itself.
- At a stop nobody new is heard, and what the network holds is still read: until it is quiet, for ten seconds at most.
- What lies in buffers of the network when this process is killed is lost, and neither side can know. Senders with a
  disk of their own to spool to, which ATNA asks for, do not help here: they do not send again what TCP took.

A frame that is no frame ends its connection, because nothing after it can be trusted to begin where it seems to; one
that is longer than allowed is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

__all__ = ["SyslogServer", "server_tls"]

log = logging.getLogger(__name__)

#: Bytes read ahead on one connection.
_AHEAD: Final = 256 * 1024
_DIGITS: Final = 7
#: Seconds for a handshake, for what is still read and taken at a stop, and for a connection to close.
_HANDSHAKE: Final = 10.0
GRACE: Final = 10.0
_CLOSING: Final = 2.0


def server_tls(cert: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and later with this certificate; with ``client_ca``, only for clients that have one of it.

    Raises ValueError that names the file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (cert, key, *([client_ca] if client_ca else [])):
        if not path.is_file():
            raise ValueError(f"{path} is no file")
    try:
        context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as exc:
        raise ValueError(f"{cert} and {key} are no certificate and its key in PEM ({_why(exc)})") from exc
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (ssl.SSLError, OSError) as exc:
            raise ValueError(f"{client_ca} holds no certificates in PEM ({_why(exc)})") from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _why(exc: OSError) -> str:
    return (exc.reason if isinstance(exc, ssl.SSLError) else exc.strerror) or type(exc).__name__


class SyslogServer:
    """One listening address. :attr:`received`, :attr:`skipped`: messages so far."""

    def __init__(
        self,
        take: Callable[[bytes], Awaitable[None]],
        tls: ssl.SSLContext,
        *,
        largest: int,
        connections: int = 512,
        quiet: float = 0.5,
    ) -> None:
        """``take``: returns once a message is taken. ``largest``: bytes of one. ``connections``: at a time.

        ``quiet``: seconds without a message after which a connection has no more for a server that stops.
        """
        self._take = take
        self._tls = tls
        self._largest = largest
        self._most = connections
        self._quiet = quiet
        self._open: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self.received = 0
        self.skipped = 0

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port, a free one where ``port`` is 0. Raises OSError where it cannot be had."""
        self._server = await asyncio.start_server(
            self._serve, host, port, ssl=self._tls, ssl_handshake_timeout=_HANDSHAKE, limit=_AHEAD
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Hear nobody new; returns when what the network held is taken, after ten seconds at the latest."""
        self._stop.set()
        self._server.close()
        await asyncio.sleep(self._quiet)  # a sender that has just come may have written before its handshake is done
        if self._open:
            await asyncio.wait(self._open, timeout=GRACE)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = (writer.get_extra_info("peername") or ("an unknown address",))[0]
        task = asyncio.current_task()
        if len(self._open) >= self._most or task is None:
            log.warning("%s is turned away: there are %d connections", peer, len(self._open))
            writer.transport.abort()
            return
        self._open.add(task)
        try:
            await self._messages(reader, peer)
        except (ConnectionError, ssl.SSLError) as exc:
            log.warning("the connection of %s broke: %s", peer, type(exc).__name__)
        except asyncio.CancelledError:
            log.warning("%s went on sending while this server stopped; the rest is lost", peer)
        except Exception as exc:
            # Whoever takes them cannot, for good: this sender learns of it by its connection.
            log.error("a message of %s cannot be taken (%s); it is disconnected", peer, type(exc).__name__)
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(writer.wait_closed(), _CLOSING)

    async def _messages(self, reader: asyncio.StreamReader, peer: str) -> None:
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            while True:
                reading = asyncio.ensure_future(self._message(reader, peer))
                await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():  # what the network still holds is there in a moment, or not at all
                    await asyncio.wait({reading}, timeout=self._quiet)
                if not reading.done():
                    reading.cancel()
                    return
                message = reading.result()
                if message is None:
                    return
                # Not to be given up half way: what was read is taken, whatever asks this task to end.
                taking = asyncio.ensure_future(self._take(message))
                try:
                    await asyncio.shield(taking)
                except asyncio.CancelledError:
                    await taking
                    self.received += 1
                    raise
                self.received += 1
        finally:
            stopping.cancel()

    async def _message(self, reader: asyncio.StreamReader, peer: str) -> bytes | None:
        """The next message; None where there is none any more."""
        while True:
            size = await self._size(reader)
            if size is None:
                return None
            if size < 0:
                log.warning("%s sends no frames of RFC 5425, octet count and message; it is disconnected", peer)
                return None
            if size > self._largest:
                self.skipped += 1
                log.warning("a message of %d bytes of %s is skipped: %d are taken", size, peer, self._largest)
                await _skip(reader, size)
                continue
            try:
                return await reader.readexactly(size)
            except asyncio.IncompleteReadError:
                log.warning("%s ended within a message", peer)
                return None

    async def _size(self, reader: asyncio.StreamReader) -> int | None:
        """MSG-LEN of the next frame; None at the end of the connection, -1 where there is no frame."""
        digits = b""
        while len(digits) <= _DIGITS:
            byte = await reader.read(1)
            if not byte:
                return None if not digits else -1
            if byte == b" ":
                return int(digits) if digits and digits[:1] != b"0" else -1
            if not byte.isdigit():
                # Some senders put a line feed between frames.
                if not digits and byte in b"\r\n":
                    continue
                return -1
            digits += byte
        return -1


async def _skip(reader: asyncio.StreamReader, size: int) -> None:
    while size > 0:
        passed = await reader.read(min(size, _AHEAD))
        if not passed:
            return
        size -= len(passed)
