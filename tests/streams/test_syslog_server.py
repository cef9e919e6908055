"""Syslog over real TLS: every message once and in order, no faster than it is taken, and no stranger."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from authority import Authority, Issued

from streams.syslog_server import SyslogServer, server_tls

LARGEST = 100_000
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hospital(NamedTuple):
    authority: Authority
    server: Issued
    pacs: Issued


class Taken:
    """Takes messages, and none while it is held."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.asked = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def take(self, message: bytes) -> None:
        self.asked.set()
        await self.free.wait()
        self.messages.append(message)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return Hospital(authority, authority.issue("server", hosts=("127.0.0.1",)), authority.issue("pacs"))


@asynccontextmanager
async def serving(hospital: Hospital, taken: Taken, *, mutual: bool = True) -> AsyncIterator[tuple[SyslogServer, int]]:
    tls = server_tls(hospital.server.certificate, hospital.server.key, hospital.authority.file if mutual else None)
    server = SyslogServer(taken.take, tls, largest=LARGEST, connections=3, quiet=0.1)
    port = await server.start("127.0.0.1", 0)
    try:
        yield server, port
    finally:
        taken.free.set()
        await server.stop()


async def connect(hospital: Hospital, port: int, *, named: bool = True) -> Connection:
    tls = hospital.authority.client(hospital.pacs if named else None)
    return await asyncio.open_connection("127.0.0.1", port, ssl=tls)


def frame(message: bytes) -> bytes:
    return b"%d %s" % (len(message), message)


async def ended(reader: asyncio.StreamReader) -> None:
    """The server closed the connection."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_every_message_once_and_in_order_however_it_is_cut(hospital: Hospital) -> None:
    taken = Taken()
    messages = [b"<85>1 message %d\n\xc3\xbc" % number for number in range(50)] + [b"x" * LARGEST, b""]
    stream = b"".join(map(frame, messages[:-1]))
    async with serving(hospital, taken) as (server, port):
        reader, writer = await connect(hospital, port)
        for place in range(0, len(stream), 977):
            writer.write(stream[place : place + 977])
            await writer.drain()
        writer.write(b"\n" + frame(b"last"))  # some send a line feed between frames
        await writer.drain()
        await server.stop()
        await ended(reader)
        assert taken.messages == [*messages[:-1], b"last"]
        assert (server.received, server.skipped) == (len(taken.messages), 0)
        writer.close()


async def test_what_was_not_taken_stops_the_sender_and_nothing_is_lost(hospital: Hospital) -> None:
    taken = Taken()
    taken.free.clear()
    messages = [bytes([65 + number % 26]) * LARGEST for number in range(300)]

    async with serving(hospital, taken) as (server, port):
        reader, writer = await connect(hospital, port)

        async def send() -> None:
            for message in messages:
                writer.write(frame(message))
                await writer.drain()

        sending = asyncio.create_task(send())
        await taken.asked.wait()
        done, _ = await asyncio.wait({sending}, timeout=0.5)
        assert not done, "thirty megabytes were read and nobody had taken the first message"
        assert taken.messages == []
        taken.free.set()
        await sending
        await server.stop()
        await ended(reader)
        assert taken.messages == messages


@pytest.mark.parametrize(
    "broken",
    [b"no frame", b"0 x", b"12345678 x", b"-1 x", b"<85>1 unframed\n", b"5 abc"],
    ids=["word", "zero", "digits", "sign", "unframed", "short"],
)
async def test_what_is_no_frame_ends_its_connection_and_no_other(
    hospital: Hospital, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    taken = Taken()
    async with serving(hospital, taken) as (_, port):
        other_reader, other = await connect(hospital, port)
        reader, writer = await connect(hospital, port)
        writer.write(frame(b"before") + broken)
        if broken == b"5 abc":
            writer.close()
        else:
            await ended(reader)
            writer.close()
        other.write(frame(b"of the other"))
        other.close()
        await ended(other_reader)
        while len(taken.messages) < 2 or not caplog.messages:
            await asyncio.sleep(0)
        assert sorted(taken.messages) == [b"before", b"of the other"]
        assert "127.0.0.1" in caplog.messages[0]
        assert "abc" not in caplog.text


async def test_a_message_that_is_too_long_is_skipped_and_told(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    taken = Taken()
    async with serving(hospital, taken) as (server, port):
        reader, writer = await connect(hospital, port)
        writer.write(frame(b"y" * (LARGEST + 1)) + frame(b"next"))
        await writer.drain()
        writer.close()
        await ended(reader)
        while not taken.messages:
            await asyncio.sleep(0)
        assert (taken.messages, server.skipped) == ([b"next"], 1)
        assert f"a message of {LARGEST + 1} bytes of 127.0.0.1 is skipped" in caplog.text


async def test_a_stop_takes_what_has_arrived_and_hears_nobody_new(hospital: Hospital) -> None:
    taken = Taken()
    taken.free.clear()
    messages = [b"%d" % number for number in range(500)]
    async with serving(hospital, taken) as (server, port):
        reader, writer = await connect(hospital, port)
        writer.write(b"".join(map(frame, messages)))
        await writer.drain()
        await taken.asked.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        with pytest.raises(OSError, match=r"."):
            await connect(hospital, port)
        taken.free.set()
        await stopping
        assert (taken.messages, server.received) == (messages, 500)
        await ended(reader)
        writer.close()


async def test_without_a_certificate_of_the_authority_nobody_is_heard(hospital: Hospital, tmp_path: Path) -> None:
    taken = Taken()
    stranger = Authority(tmp_path, "stranger").issue("other")
    async with serving(hospital, taken) as (_, port):
        for own in (None, stranger):
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=hospital.authority.client(own))
                writer.write(frame(b"stranger"))
                await ended(reader)
                writer.close()
    async with serving(hospital, taken, mutual=False) as (_, port):
        reader, writer = await connect(hospital, port, named=False)
        writer.write(frame(b"anyone"))
        writer.close()
        await taken.asked.wait()
    assert taken.messages == [b"anyone"]


async def test_connections_are_counted(hospital: Hospital, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with serving(hospital, Taken()) as (_, port):
        connections = [await connect(hospital, port) for _ in range(3)]
        for _, writer in connections:
            writer.write(frame(b"x"))
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            reader, writer = await connect(hospital, port)
            await ended(reader)
            writer.close()
        assert "is turned away: there are 3 connections" in caplog.text
        for _, writer in connections:
            writer.close()


def test_files_that_are_no_certificates_are_named(hospital: Hospital, tmp_path: Path) -> None:
    cert, key = hospital.server.certificate, hospital.server.key
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for arguments, named in (
        ((tmp_path / "none", key, None), "none is no file"),
        ((nonsense, key, None), "nonsense.pem and .* are no certificate and its key"),
        ((cert, hospital.pacs.key, None), "are no certificate and its key"),
        ((cert, key, nonsense), "nonsense.pem holds no certificates"),
    ):
        with pytest.raises(ValueError, match=named):
            server_tls(*arguments)
