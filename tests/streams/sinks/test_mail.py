"""Mail to a real SMTP server that takes it, refuses it, encrypts badly, hangs up and says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from authority import Authority
from synthetic_alerts import alert

from streams.notify import alert_body
from streams.receivers import EmailReceiver
from streams.sinks import attempts
from streams.sinks.addresses import Addresses
from streams.sinks.attempts import Outcome
from streams.sinks.catalog import make_sink

NOW = 1_700_000_000.0
BODY = alert_body(alert("a", entity="user:Zoë"), public_url="https://wardwatch.example/")


class Mailboxes:
    """Answers as it is told, and keeps what it took."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.taken: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 ok")

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        answer = self.answers.get(address, self.answers.get("RCPT", "250 ok"))
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        answer = self.answers.get("DATA", "250 taken as 42")
        if answer.startswith("2"):
            self.taken.append(envelope)
        return answer

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"synthetic-password", handled=False)


@asynccontextmanager
async def mailboxes(
    boxes: Mailboxes, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A server for ``boxes``; its port. With ``starttls`` it takes nothing in the clear."""

    def speak() -> SMTP:
        return SMTP(
            boxes,
            hostname="mail.example",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=boxes.authenticate,
        )

    server = await asyncio.get_running_loop().create_server(speak, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def attempt(port: int, **fields: Any) -> Outcome:
    given = {
        "kind": "email",
        "host": "mail.example",
        "port": port,
        "tls": "none",
        "sender": "ward@hospital.example",
        "to": ["soc@hospital.example", "ciso@hospital.example"],
    }
    receiver = EmailReceiver.model_validate({**given, **fields})
    addresses = Addresses(["mail.example", "other.example"], lookup=lambda *_: ["127.0.0.1"])
    sink = make_sink(receiver, addresses=addresses, webhook_key=bytes(32))
    try:
        async with asyncio.timeout(10):
            return await sink.attempt("delivery-1", BODY, NOW)
    finally:
        await sink.close()


async def test_a_mail_arrives_whole() -> None:
    boxes = Mailboxes()
    async with mailboxes(boxes) as port:
        assert await attempt(port) == Outcome("delivered", "250", answer="taken as 42")
    (envelope,) = boxes.taken
    assert envelope.mail_from == "ward@hospital.example"
    assert envelope.rcpt_tos == ["soc@hospital.example", "ciso@hospital.example"]
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)  # type: ignore[arg-type]
    assert message["Subject"] == "[Wardwatch] high: Synthetic alert a"
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    content = message.get_content()
    assert "Who       user:Zoë" in content
    assert f"https://wardwatch.example/#{alert('a', entity='user:Zoë').id}" in content


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"RCPT": "550 no such user"}, ("refused", "550 for every address", "no such user")),
        ({"RCPT": "450 greylisted"}, ("retry", "450 for every address", "greylisted")),
        ({"soc@hospital.example": "550 no", "RCPT": "450 no"}, ("retry", "450, 550 for every address", "no")),
        ({"soc@hospital.example": "550 no"}, ("delivered", "250, but not to 1 of 2 addresses", "taken as 42")),
        ({"MAIL": "550 not from you"}, ("refused", "status 550", "not from you")),
        ({"MAIL": "451 later"}, ("retry", "status 451", "later")),
        ({"DATA": "552 too large"}, ("refused", "status 552", "too large")),
        ({"DATA": "452 full"}, ("retry", "status 452", "full")),
        ({"DATA": "421 closing"}, ("retry", "status 421", "closing")),
    ],
)
async def test_what_an_answer_comes_to(answers: dict[str, str], outcome: tuple[str, str, str]) -> None:
    async with mailboxes(Mailboxes(**answers)) as port:
        got = await attempt(port)
    assert (got.verdict, got.detail, got.answer) == outcome
    assert "hospital.example" not in got.detail, "mailboxes are nobody's business in a log"


async def test_starttls_and_tls_log_in_to_whom_an_authority_vouches_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server("mail.example")
    login = {"username": "synthetic-ward", "password": "synthetic-password", "ca_file": authority.file}
    boxes = Mailboxes()
    async with mailboxes(boxes, starttls=context) as port:
        assert (await attempt(port, tls="starttls", **login)).verdict == "delivered"
        assert boxes.logins == [(b"synthetic-ward", b"synthetic-password")]
        wrong = await attempt(port, tls="starttls", **{**login, "password": "another"})
        assert (wrong.verdict, wrong.detail) == ("retry", "535: it does not take this username and password")
        logins = len(boxes.logins)
        for host, ca_file, told in [
            ("other.example", authority.file, "Hostname mismatch, certificate is not valid for 'other.example'"),
            ("mail.example", None, "unable to get local issuer certificate"),
        ]:
            refused = await attempt(port, tls="starttls", host=host, **{**login, "ca_file": ca_file})
            assert refused == Outcome("retry", f"its certificate is not trusted ({told})")
        assert len(boxes.logins) == logins, "no password to whom nobody vouches for"
    assert len(boxes.taken) == 1


async def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    boxes = Mailboxes()
    async with mailboxes(boxes, tls=authority.server("mail.example")) as port:
        assert (await attempt(port, tls="tls", ca_file=authority.file)).verdict == "delivered"
        refused = await attempt(port, tls="tls", host="other.example", ca_file=authority.file)
        assert "Hostname mismatch" in refused.detail
    assert len(boxes.taken) == 1


async def test_without_starttls_nothing_is_sent() -> None:
    boxes = Mailboxes()
    async with mailboxes(boxes) as port:
        outcome = await attempt(port, tls="starttls")
    assert outcome == Outcome("retry", "it offers no STARTTLS, and mail is not sent in the clear")
    assert boxes.taken == []


@asynccontextmanager
async def speaking(*lines: bytes, hang_up: bool = False) -> AsyncIterator[int]:
    """A server that answers one line for each it reads, first of all unasked, and then nothing more."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            for line in lines:
                writer.write(line + b"\r\n")
                await reader.readline()
            if not hang_up:
                await reader.read()
        writer.close()
        done.set()

    done = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.wait_for(done.wait(), 5)


@pytest.mark.parametrize("lines", [[], [b"220 hello"], [b"220 hello", b"250-mail.example"], [b"220 hello", b"250 ok"]])
async def test_a_server_that_stops_in_the_middle(lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "TIMEOUT", 0.3)
    async with speaking(*lines) as port:
        assert await attempt(port) == Outcome("retry", "no answer in time")


@pytest.mark.parametrize("lines", [[], [b"220 hello"], [b"554 go away"], [b"220 hello", b"250 ok", b"250 ok"]])
async def test_a_server_that_hangs_up(lines: list[bytes]) -> None:
    async with speaking(*lines, hang_up=True) as port:
        outcome = await attempt(port)
    assert outcome.verdict == "retry"


async def test_a_goodbye_that_is_not_answered_sends_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.sinks.mail._GOODBYE", 0.1)
    lines = [b"220 hello", b"250 ok", b"250 ok", b"250 ok", b"250 ok", b"354 go on"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in lines:
            writer.write(line + b"\r\n")
            await reader.readline()
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 taken\r\n")
        await reader.read()
        writer.close()
        done.set()

    done = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        assert await attempt(server.sockets[0].getsockname()[1]) == Outcome("delivered", "250", answer="taken")
        await asyncio.wait_for(done.wait(), 5)


async def test_no_server_is_told() -> None:
    assert await attempt(9) == Outcome("retry", "no connection (connection refused)")
