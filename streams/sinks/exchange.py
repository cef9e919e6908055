"""One bounded HTTP request to a receiver: to an address that was checked, answered in time, its answer hardly read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from typing import cast

import httpcore
import httpx

from streams.sinks import attempts
from streams.sinks.addresses import Addresses, AddressRefused
from streams.sinks.attempts import Outcome

__all__ = ["HttpSink", "client_for", "tls_context", "unwritten", "why"]

#: Seconds until the next address of a host is tried.
_CONNECT = 5.0
#: Seconds that a connection is kept for the next request.
_KEPT = 5.0
#: Bytes of a refusal that are read, and the seconds that may take.
_ANSWER_BYTES = 512
_ANSWER_SECONDS = 1.0

#: Gives headers and content of one request, of the delivery's id, its message and the time in seconds.
Compose = Callable[[str, bytes, float], tuple[dict[str, str], bytes]]
#: Says what a status means, of it, the header Retry-After and the time in seconds.
Judge = Callable[[int, str, float], Outcome]


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are checked against ``ca_file``, else the system's authorities. Raises ValueError, OSError."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as exc:
        raise ValueError(f"{ca_file} holds no certificates in PEM") from exc


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to what :class:`Addresses` allows; the name stays what TLS and ``Host`` speak of."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        for address in await self._addresses.of(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout=_CONNECT, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        assert failure is not None
        raise failure


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        if hasattr(self._stream, "aclose"):
            await self._stream.aclose()


class _Transport(httpx.AsyncBaseTransport):
    """httpx over a pool of its own, whose connections go to checked addresses. No redirect, no retry."""

    def __init__(self, addresses: Addresses, context: ssl.SSLContext, proxy: str) -> None:
        self._addresses = addresses
        backend = _CheckedBackend(addresses)
        self._pool: httpcore.AsyncConnectionPool
        if proxy:
            at = httpx.URL(proxy)
            self._pool = httpcore.AsyncHTTPProxy(
                httpcore.URL(scheme=at.raw_scheme, host=at.raw_host, port=at.port, target=b"/"),
                proxy_auth=(at.username, at.password) if at.username else None,
                ssl_context=context,
                proxy_ssl_context=context if at.scheme == "https" else None,
                max_connections=None,
                keepalive_expiry=_KEPT,
                network_backend=backend,
            )
        else:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context, max_connections=None, keepalive_expiry=_KEPT, network_backend=backend
            )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(response.stream, AsyncIterable)
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response.stream))

    async def aclose(self) -> None:
        await self._pool.aclose()
        self._addresses.close()


def client_for(addresses: Addresses, context: ssl.SSLContext, proxy: str = "") -> httpx.AsyncClient:
    """One receiver's own client, so that no receiver that hangs uses up the connections of another.

    ``proxy``: what connections go through; then it is the proxy's address that ``addresses`` check.
    """
    return httpx.AsyncClient(transport=_Transport(addresses, context, proxy), trust_env=False, follow_redirects=False)


class HttpSink:
    """A receiver that takes POST requests."""

    def __init__(self, url: str, client: httpx.AsyncClient, compose: Compose, judge: Judge) -> None:
        self._url = url
        self._client = client
        self._compose = compose
        self._judge = judge

    async def attempt(self, delivery_id: str, body: bytes, now: float) -> Outcome:
        try:
            headers, content = self._compose(delivery_id, body, now)
        except Exception as exc:
            return unwritten(exc)
        headers = {"content-type": "application/json", "user-agent": "Wardwatch", **headers}
        timeout = attempts.TIMEOUT
        try:
            # The body of what it took is not read: a receiver cannot make us hold what it sends, or wait for it.
            async with (
                asyncio.timeout(timeout),
                self._client.stream("POST", self._url, content=content, headers=headers, timeout=timeout) as response,
            ):
                outcome = self._judge(response.status_code, response.headers.get("retry-after", ""), now)
                answer = "" if outcome.verdict == "delivered" else await _beginning(response)
                return outcome._replace(answer=answer)
        except Exception as exc:
            return why(exc)

    async def close(self) -> None:
        await self._client.aclose()


def unwritten(exc: Exception) -> Outcome:
    """What a message comes to that could not be put in the receiver's form: its letter holds it, others go on."""
    return Outcome("refused", f"{type(exc).__name__} while writing it: a defect of the product, please report it")


async def _beginning(response: httpx.Response) -> str:
    read = b""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_ANSWER_SECONDS):
            async with contextlib.aclosing(cast(AsyncGenerator[bytes, None], response.aiter_raw())) as chunks:
                async for chunk in chunks:
                    read += chunk
                    if len(read) >= _ANSWER_BYTES:
                        break
    return read[:_ANSWER_BYTES].decode("utf-8", "replace")


def why(exc: Exception) -> Outcome:
    """What a failed connection comes to. Its text may name the URL, which may be a secret: it is not told."""
    if isinstance(exc, AddressRefused):
        return Outcome("retry", str(exc))
    if isinstance(exc, TimeoutError | httpcore.TimeoutException):
        return Outcome("retry", "no answer in time")
    at: BaseException | None = exc
    while at is not None:
        if isinstance(at, ssl.SSLCertVerificationError):
            return Outcome("retry", f"its certificate is not trusted ({at.verify_message.rstrip('.')})")
        if isinstance(at, ssl.SSLError):
            return Outcome("retry", "TLS failed")
        if isinstance(at, OSError) and at.errno:
            told = os.strerror(at.errno) if at.errno > 0 else at.strerror  # a look-up's numbers are its own
            return Outcome("retry", f"no connection ({str(told).lower()})")
        at = at.__cause__ or at.__context__
    return Outcome("retry", type(exc).__name__)
