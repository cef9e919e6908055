"""A real HTTP receiver that fails in every way, for every kind: what it comes to, and that it costs little."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from authority import Authority
from pydantic import TypeAdapter
from receiving import receiving
from synthetic_alerts import alert

from streams.notify import alert_body
from streams.receivers import AnyReceiver, SlackReceiver
from streams.sinks import attempts
from streams.sinks.addresses import Addresses
from streams.sinks.attempts import Outcome
from streams.sinks.catalog import make_sink, make_sinks

KEY = bytes(range(32))
NOW = 1_700_000_000.0
BODY = alert_body(alert("a"))
KINDS: dict[str, dict[str, Any]] = {
    "webhook": {},
    "pagerduty": {"routing_key": "0" * 32},
    "slack": {},
    "teams": {},
    "alertmanager": {},
}
RECEIVERS: TypeAdapter[AnyReceiver] = TypeAdapter(AnyReceiver)


async def attempt(
    kind: str, url: str, *, addresses: Addresses | None = None, body: bytes = BODY, **fields: Any
) -> Outcome:
    receiver = RECEIVERS.validate_python({"kind": kind, "url": url, **KINDS[kind], **fields})
    sink = make_sink(receiver, addresses=addresses or Addresses(["127.0.0.1"]), webhook_key=KEY)
    try:
        async with asyncio.timeout(10):
            return await sink.attempt("id", body, NOW)
    finally:
        await sink.close()


REFUSED = {"webhook": "retry"}
GONE = {"webhook": "gone"}
IN_TWO_MINUTES = "Tue, 14 Nov 2023 22:15:20 GMT"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "headers", "verdict", "retry_after"),
    [
        (200, {}, lambda kind: "delivered", 0),
        (202, {}, lambda kind: "delivered", 0),
        (302, {"location": "http://127.0.0.1:9/"}, lambda kind: "retry", 0),
        (400, {}, lambda kind: REFUSED.get(kind, "refused"), 0),
        (403, {}, lambda kind: "retry", 0),
        (404, {}, lambda kind: "retry", 0),
        (410, {}, lambda kind: GONE.get(kind, "retry"), 0),
        (413, {}, lambda kind: REFUSED.get(kind, "refused"), 0),
        (429, {"retry-after": "120"}, lambda kind: "retry", 120),
        (429, {"retry-after": IN_TWO_MINUTES}, lambda kind: "retry", 120),
        (500, {}, lambda kind: "retry", 0),
        (503, {"retry-after": "9" * 5000}, lambda kind: "retry", 86_400),
    ],
)
async def test_what_an_answer_comes_to(
    kind: str, status: int, headers: dict[str, str], verdict: Callable[[str], str], retry_after: float
) -> None:
    with receiving(lambda _: (status, headers, b"no_service")) as receiver:
        outcome = await attempt(kind, receiver.url)
        assert len(receiver.received) == 1
    assert (outcome.verdict, outcome.retry_after) == (verdict(kind), retry_after)
    assert outcome.answer == ("" if outcome.verdict == "delivered" else "no_service")
    assert "no_service" not in outcome.detail


async def test_what_is_sent_is_json_and_a_webhook_s_is_signed() -> None:
    for kind in KINDS:
        with receiving() as receiver:
            await attempt(kind, receiver.url)
        (got,) = receiver.received
        assert got.headers["content-type"] == "application/json"
        assert orjson.loads(got.body)
        assert ("webhook-signature" in got.headers) == (kind == "webhook")
        assert got.path == ("/hook/api/v2/alerts" if kind == "alertmanager" else "/hook")


async def test_alertmanager_behind_a_proxy_gets_its_token() -> None:
    with receiving() as receiver:
        await attempt("alertmanager", receiver.url, token="synthetic-token")
    assert receiver.received[0].headers["authorization"] == "Bearer synthetic-token"


async def test_a_huge_answer_is_hardly_read() -> None:
    with receiving(lambda _: (400, {}, b"x" * 50_000_000)) as receiver:
        outcome = await attempt("slack", receiver.url)
    assert outcome == Outcome("refused", "status 400", answer="x" * 512)


async def test_a_reset_connection_is_tried_again() -> None:
    with receiving(lambda _: (0, {}, b"")) as receiver:
        outcome = await attempt("teams", receiver.url)
    assert outcome.verdict == "retry"


@asynccontextmanager
async def serving(speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[str]:
    """A server that speaks as it is told and never hangs up by itself; its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await speak(reader, writer)
            await reader.read()
        writer.close()
        hung_up.set()

    hung_up = asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/secret"
        await asyncio.wait_for(hung_up.wait(), 5)


async def _nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half-open: it took the connection, and that is all."""


async def _half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")


async def _no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")


async def _half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 400 Bad\r\ncontent-length: 1000\r\n\r\ninvalid_")


async def _taken_and_half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\no")


@pytest.mark.parametrize(
    ("speak", "outcome"),
    [
        (_nothing, Outcome("retry", "no answer in time")),
        (_half_a_head, Outcome("retry", "no answer in time")),
        (_no_http, Outcome("retry", "RemoteProtocolError")),
        (_half_a_body, Outcome("refused", "status 400", answer="invalid_")),
        (_taken_and_half_a_body, Outcome("delivered", "200")),
    ],
)
async def test_a_receiver_that_stops_in_the_middle(
    speak: Any, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "TIMEOUT", 0.4)
    monkeypatch.setattr("streams.sinks.exchange._ANSWER_SECONDS", 0.1)
    async with serving(speak) as url:
        assert await attempt("slack", url) == outcome


async def test_no_connection_is_told_without_the_address_that_may_be_a_secret() -> None:
    outcome = await attempt("slack", "http://127.0.0.1:9/services/secret")
    assert outcome == Outcome("retry", "no connection (connection refused)")


async def test_a_name_that_nobody_knows_is_told() -> None:
    outcome = await attempt("slack", "https://synthetic.invalid/services/secret")
    assert outcome.verdict == "retry"
    assert outcome.detail.startswith("no connection (")
    assert "secret" not in outcome.detail


async def test_a_certificate_is_checked_against_the_name_that_is_set(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    inside = Addresses(["pager.example", "other.example", "127.0.0.1"], lookup=lambda *_: ["127.0.0.1"])
    with receiving(tls=authority.server("pager.example")) as receiver:
        port = receiver.server.server_port
        for host, ca_file, outcome in [
            ("pager.example", authority.file, Outcome("delivered", "200")),
            (
                "other.example",
                authority.file,
                Outcome(
                    "retry",
                    "its certificate is not trusted (Hostname mismatch, certificate is not valid for 'other.example')",
                ),
            ),
            (
                "pager.example",
                None,
                Outcome("retry", "its certificate is not trusted (unable to get local issuer certificate)"),
            ),
        ]:
            assert await attempt("pagerduty", f"https://{host}:{port}/", addresses=inside, ca_file=ca_file) == outcome
        assert len(receiver.received) == 1, "nothing is told to whom nobody vouches for"
    with receiving() as plain:
        outcome = await attempt("pagerduty", f"https://127.0.0.1:{plain.server.server_port}/")
        assert outcome == Outcome("retry", "TLS failed")
        assert plain.received == []


async def test_receivers_outside_are_asked_through_the_proxy_and_those_inside_are_not(tmp_path: Path) -> None:
    """The name that the certificate is checked against is still the receiver's; the proxy sees no message."""
    authority = Authority(tmp_path)
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", outside.server.server_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))

    with receiving(tls=authority.server("pager.example")) as outside, receiving() as inside:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            sinks = make_sinks(
                {
                    "outside": SlackReceiver(kind="slack", url="https://pager.example/secret", ca_file=authority.file),
                    "inside": SlackReceiver(kind="slack", url=inside.url),
                },
                private_hosts=["127.0.0.1"],
                webhook_key=KEY,
                proxy=f"http://user:pass@localhost:{server.sockets[0].getsockname()[1]}",
            )
            for sink in sinks.values():
                assert await sink.attempt("id", BODY, NOW) == Outcome("delivered", "200")
                await sink.close()
        (request,) = asked
        assert request.startswith(b"CONNECT pager.example:443 HTTP/1.1\r\n")
        assert b"proxy-authorization: basic dxnlcjpwyxnz" in request.lower()
        assert len(outside.received) == len(inside.received) == 1


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    writer.close()


async def test_a_message_that_cannot_be_written_harms_no_other() -> None:
    with receiving() as receiver:
        for kind in KINDS.keys() - {"webhook"}:
            outcome = await attempt(kind, receiver.url, body=b'{"type": "alert.opened"}')
            assert outcome.verdict == "refused"
            assert outcome.detail == "KeyError while writing it: a defect of the product, please report it"
        assert receiver.received == []


async def test_a_resolver_that_hangs_keeps_no_thread_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-ups block threads; those of one receiver are its own."""
    monkeypatch.setattr(attempts, "TIMEOUT", 0.3)
    slow = Addresses(lookup=lambda *_: time.sleep(1) or [])  # type: ignore[func-returns-value]
    receiver = SlackReceiver(kind="slack", url="https://slow.example/")
    sink = make_sink(receiver, addresses=slow, webhook_key=KEY)
    hanging = [asyncio.create_task(sink.attempt("id", BODY, NOW)) for _ in range(20)]
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await asyncio.gather(*(asyncio.to_thread(int) for _ in range(8)))
    assert time.monotonic() - began < 0.8
    assert {outcome.detail for outcome in await asyncio.gather(*hanging)} == {"no answer in time"}
    await sink.close()
