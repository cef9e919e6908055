"""Mail through one SMTP server, encrypted unless the settings say that it stays inside.

A 4xx answer is tried again, a 5xx to this mail is for good; a login that fails, a certificate that is not trusted and a
server without STARTTLS are mended by people, so they are tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from hashlib import blake2b

import aiosmtplib

from streams.receivers import EmailReceiver
from streams.sinks import attempts
from streams.sinks.addresses import Addresses
from streams.sinks.attempts import Outcome
from streams.sinks.exchange import unwritten, why
from streams.sinks.messages import Message, cut, read_message, utf8

__all__ = ["MailSink", "compose"]

#: Bytes of a subject, before it is encoded.
SUBJECT = 180
#: Seconds until the next address of a host is tried, and for a goodbye.
_CONNECT, _GOODBYE = 5.0, 1.0


def compose(message: Message, receiver: EmailReceiver, now: float) -> EmailMessage:
    """The mail. A retry has the same Message-ID, and mails that belong together the same reference."""
    domain = receiver.sender.partition("@")[2]
    mail = EmailMessage(policy=WIRE)
    # An encoded word (RFC 2047) that a sender wrote would be decoded, and hide what plain() took out.
    title = message.title.replace("=?", "= ?")
    subject = title if message.over else f"{message.severity}: {title}"
    mail["Subject"] = cut(f"[Wardwatch] {subject}", SUBJECT, size=utf8)
    mail["From"] = receiver.sender
    mail["To"] = ", ".join(receiver.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    mail["Message-ID"] = f"<{_digest(message.id)}@{domain}>"
    mail["References"] = f"<{_digest(message.dedup)}.alert@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    if message.severity == "critical" and not message.over:
        mail["Importance"] = "high"
    width = max((len(name) for name, _ in message.facts), default=0)
    parts = [
        message.title,
        message.text,
        "\n".join(f"{name:<{width}}  {value}" for name, value in message.facts),
        "\n".join(f"- {line}" for line in message.lines),
        message.link,
        message.note,
    ]
    mail.set_content("\n\n".join(filter(None, parts)) + "\n", cte="quoted-printable")
    return mail


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class MailSink:
    """One receiver's mailboxes."""

    def __init__(self, receiver: EmailReceiver, addresses: Addresses, context: ssl.SSLContext) -> None:
        self._receiver = receiver
        self._addresses = addresses
        self._context = context

    async def attempt(self, delivery_id: str, body: bytes, now: float) -> Outcome:
        try:
            mail = compose(read_message(delivery_id, body), self._receiver, now)
        except Exception as exc:
            return unwritten(exc)
        try:
            async with asyncio.timeout(attempts.TIMEOUT):
                return await self._send(mail)
        except aiosmtplib.SMTPException as exc:
            return _refusal(exc)
        except Exception as exc:
            return why(exc)

    async def _send(self, mail: EmailMessage) -> Outcome:
        receiver = self._receiver
        client = aiosmtplib.SMTP(
            hostname=receiver.host,
            sock=await self._connect(),
            local_hostname=receiver.sender.partition("@")[2],
            use_tls=receiver.tls == "tls",
            start_tls=False,
            tls_context=self._context,
            timeout=attempts.TIMEOUT,
        )
        try:
            await client.connect()
            if receiver.tls == "starttls":
                await client.ehlo()
                if not client.supports_extension("starttls"):
                    return Outcome("retry", "it offers no STARTTLS, and mail is not sent in the clear")
                await client.starttls()
            if receiver.username:
                await client.login(receiver.username, receiver.password.get_secret_value())
            refused, answer = await client.send_message(mail, sender=receiver.sender, recipients=receiver.to)
            # It has the mail: how it takes the goodbye changes nothing.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_GOODBYE):
                    await client.quit()
        finally:
            client.close()
        if refused:
            return Outcome(
                "delivered", f"250, but not to {len(refused)} of {len(receiver.to)} addresses", answer=answer
            )
        return Outcome("delivered", "250", answer=answer)

    async def _connect(self) -> socket.socket:
        """A connection to an address that was checked. Raises AddressRefused, OSError."""
        failure: Exception = OSError("no address")
        port = self._receiver.port
        for address in await self._addresses.of(self._receiver.host, port):
            connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                async with asyncio.timeout(_CONNECT):
                    await asyncio.get_running_loop().sock_connect(connection, (address, port))
                return connection
            except OSError as exc:  # TimeoutError is one
                connection.close()
                failure = exc
            except BaseException:
                connection.close()
                raise
        raise failure

    async def close(self) -> None:
        self._addresses.close()


def _refusal(exc: aiosmtplib.SMTPException) -> Outcome:
    """What the server's answer comes to. Its words may name mailboxes: only its code is told."""
    if isinstance(exc, aiosmtplib.SMTPRecipientsRefused):
        codes = sorted({one.code for one in exc.recipients})
        final = all(code >= 500 for code in codes)
        told = f"{', '.join(map(str, codes))} for every address"
        return Outcome("refused" if final else "retry", told, answer=exc.recipients[0].message)
    if isinstance(exc, aiosmtplib.SMTPAuthenticationError):
        return Outcome("retry", f"{exc.code}: it does not take this username and password", answer=exc.message)
    if isinstance(exc, aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPDataError):
        return Outcome("refused" if exc.code >= 500 else "retry", f"status {exc.code}", answer=exc.message)
    if isinstance(exc, aiosmtplib.SMTPResponseException):
        return Outcome("retry", f"status {exc.code}", answer=exc.message)
    if isinstance(exc, aiosmtplib.SMTPTimeoutError):
        return Outcome("retry", "no answer in time")
    if isinstance(exc, aiosmtplib.SMTPNotSupported):
        return Outcome("retry", "it offers no login, and the settings have one")
    return why(exc)
