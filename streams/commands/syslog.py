"""``syslog``: audit messages that arrive by syslog over TLS into Kafka, through the same emitter that services use."""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from ssl import SSLContext
from typing import TextIO

from kafka.errors import KafkaTimeoutError

from streams.admin import SetupError
from streams.emitter import BufferFull, DeliveryError, Emitter
from streams.settings import Settings
from streams.syslog_server import SyslogServer, server_tls

__all__ = ["run"]

#: How long no broker may answer at the start before a person is told.
_PATIENCE_MS = 10_000
#: Seconds that a message may wait for a broker that is away: a sender will not send it again, so a week.
_DELIVERY = 7 * 24 * 3600.0
#: Bytes of one message: what the emitter takes of a record.
LARGEST = 1_000_000
#: Seconds at the end for what the broker has not got yet.
_ENDING = 30.0


def run(
    settings: Settings,
    *,
    host: str,
    port: int,
    cert: Path,
    key: Path,
    client_ca: Path | None,
    producer: str,
    buffer: int,
    errors: TextIO,
) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code, 1 where a message that was taken is not in Kafka.

    ``buffer``: bytes that may wait for Kafka, past which no connection is read. Raises SetupError where no broker
    answers, the port cannot be had, or a file is no certificate.
    """
    try:
        tls = server_tls(cert, key, client_ca)
    except ValueError as exc:
        raise SetupError(
            f"{exc}: name a certificate in --cert, its key in --key, and an issuer in --client-ca"
        ) from exc
    try:
        emitter = Emitter(
            settings.kafka,
            producer=producer,
            security=settings.security,
            buffer=buffer,
            max_block=1.0,
            delivery_timeout=_DELIVERY,
            bootstrap_timeout_ms=_PATIENCE_MS,
        )
    except KafkaTimeoutError as exc:
        raise SetupError(f"no Kafka answers at {settings.kafka}: start it, or name another in WARDWATCH_KAFKA") from exc
    forwarder = Forwarder(emitter)
    try:
        served = asyncio.run(_serve(forwarder, host, port, tls, errors))
    except OSError as exc:
        raise SetupError(f"{host}:{port} cannot be listened on ({exc.strerror or exc}): name another --port") from exc
    try:
        emitter.close(_ENDING)
    except (DeliveryError, TimeoutError) as exc:
        print(f"wardwatch: {exc}", file=errors)
        return 1
    print(f"{served.received} messages taken, {served.skipped} skipped, {forwarder.given_up} given up", file=errors)
    return 1 if forwarder.given_up else 0


class Forwarder:
    """Gives messages to the emitter; where that takes none, waits for it, and nothing more is read meanwhile."""

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._threads = ThreadPoolExecutor(4, "syslog")
        self._ending = threading.Event()
        self.given_up = 0  #: messages that were read and that Kafka had no room for at the end

    async def take(self, message: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._emit, message)

    def _emit(self, message: bytes) -> None:
        while True:
            try:
                self._emitter.emit(message, source="atna")
            except BufferFull:
                if self._ending.is_set():
                    self.given_up += 1
                    return
            else:
                return

    def end(self) -> None:
        """From now on a message for which there is no room is given up: whoever stops must not wait for ever."""
        self._ending.set()


async def _serve(forwarder: Forwarder, host: str, port: int, tls: SSLContext, errors: TextIO) -> SyslogServer:
    server = SyslogServer(forwarder.take, tls, largest=LARGEST)
    opened = await server.start(host, port)
    print(f"listening on {host}:{opened}, TLS", file=errors, flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    forwarder.end()
    await server.stop()
    return server
