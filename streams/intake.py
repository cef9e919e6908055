"""The HTTP intake: events from services that cannot speak Kafka. ``POST /v1/events`` with a bearer token.

Promises:

- 202 is said only once all replicas have every event of the request; it names their ids.
- What is wrong is said by index and reason, and then nothing of the request was sent.
- Memory is bounded: by the size of a body, and by the bytes that wait for Kafka, beyond which the answer is 429.
- While Kafka is away the answer is 503 with Retry-After. An event may have been written all the same: with an id of its
  own, or an ``Idempotency-Key`` on the request, the retry counts once.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any, Final, Protocol

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from streams.intake_body import LARGEST, Refused, Taken, events, unzipped
from streams.producers import stop
from streams.sources.known import Sources

__all__ = ["Broker", "KafkaBroker", "create_intake"]

log = logging.getLogger(__name__)

#: Seconds that Kafka may take to have a request's events, and a client to send them.
PATIENCE: Final = 10.0
_BODY_SECONDS: Final = 30.0
#: Bytes of events that may wait for Kafka.
_WAITING: Final = 64 * 1024 * 1024
#: Seconds after which a client may try again: while Kafka is away, and while it is behind.
_AWAY: Final = "5"
_BEHIND: Final = "1"
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

Headers = list[tuple[str, bytes]]


class Broker(Protocol):
    """Where events go."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def ready(self) -> bool: ...

    async def send(self, topic: str, value: bytes, key: bytes | None, headers: Headers) -> asyncio.Future[Any]:
        """Take one event; what it gives is done once all replicas have it. Raises KafkaError."""
        ...


class KafkaBroker:
    """One idempotent producer. It is opened in the background, so that the intake answers while Kafka is away."""

    def __init__(self, client: Mapping[str, Any], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """``client``: aiokafka's connection settings."""
        self._client = dict(client)
        self._sleep = sleep
        self._producer: AIOKafkaProducer | None = None
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        while True:
            producer = AIOKafkaProducer(
                **self._client, acks="all", enable_idempotence=True, linger_ms=5, max_request_size=1024 * 1024
            )
            opened = False
            try:
                await producer.start()
                opened = True
            except KafkaError as exc:
                log.warning("no Kafka answers (%s): trying again", type(exc).__name__)
            finally:
                if not opened:  # also where the intake ends meanwhile
                    await stop(producer)
            if opened:
                self._producer = producer
                return
            await self._sleep(2.0)

    def ready(self) -> bool:
        return self._producer is not None

    async def send(self, topic: str, value: bytes, key: bytes | None, headers: Headers) -> asyncio.Future[Any]:
        if self._producer is None:
            raise KafkaError("not connected yet")
        sent: asyncio.Future[Any] = await self._producer.send(topic, value, key=key, headers=headers)
        return sent

    async def stop(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            with suppress(asyncio.CancelledError):
                await self._opening
        if self._producer is not None:
            await stop(self._producer)


class _Intake:
    def __init__(
        self, broker: Broker, tokens: Mapping[str, str], sources: Sources, patience: float, waiting: int
    ) -> None:
        self._broker = broker
        self._tokens = [(name, sha256(token.encode()).digest()) for name, token in tokens.items()]
        self._sources = sources
        self._patience = patience
        self._most_waiting = waiting
        self._waiting = 0

    async def post(self, request: Request) -> Response:
        try:
            producer = self._producer(request.headers.get("authorization", ""))
            body = await _body(request)
            named = request.headers.get("wardwatch-source") or request.query_params.get("source", "")
            taken = await asyncio.to_thread(events, body, named, self._sources)
            ids = _ids(taken, producer, request.headers.get("idempotency-key", ""))
            await self._send(taken, ids, producer)
        except Refused as exc:
            return _refusal(exc)
        return _json({"accepted": len(ids), "ids": ids}, 202)

    async def health(self, _: Request) -> Response:
        ready = self._broker.ready()
        return _json({"kafka": ready}, 200 if ready else 503)

    def _producer(self, authorization: str) -> str:
        """Whose token it is. Every token is compared, so that how long it takes tells nothing."""
        scheme, _, token = authorization.partition(" ")
        given = sha256(token.strip().encode()).digest()
        matching = [name for name, known in self._tokens if hmac.compare_digest(known, given)]
        if scheme.lower() != "bearer" or not matching:
            raise Refused(401, "the token is missing, or none of this intake's")
        return matching[0]

    async def _send(self, taken: list[Taken], ids: list[str], producer: str) -> None:
        """Returns once all replicas have every event."""
        size = sum(len(event.value) for event in taken)
        if self._waiting + size > self._most_waiting:
            raise Refused(429, "Kafka takes less than is sent: try again")
        away = Refused(
            503, "Kafka does not take events now: try again; with ids, or an Idempotency-Key, none counts twice"
        )
        try:
            async with asyncio.timeout(self._patience):
                sent = [await self._one(event, id_, producer) for event, id_ in zip(taken, ids, strict=True)]
                results = await asyncio.gather(*map(asyncio.shield, sent), return_exceptions=True)
        except (KafkaError, TimeoutError):
            raise away from None
        failed = [result for result in results if isinstance(result, BaseException)]
        if failed:
            log.warning("%d of %d events were not delivered: %s", len(failed), len(taken), type(failed[0]).__name__)
            raise away

    async def _one(self, event: Taken, id_: str, producer: str) -> asyncio.Future[Any]:
        headers = [("event-id", id_.encode()), ("source", event.source.encode()), ("producer", producer.encode())]
        size = len(event.value)
        self._waiting += size
        try:
            sent = await self._broker.send(event.topic, event.value, event.key.encode() or None, headers)
        except BaseException:
            self._waiting -= size
            raise
        sent.add_done_callback(lambda done: self._done(done, size))
        return sent

    def _done(self, sent: asyncio.Future[Any], size: int) -> None:
        """An event that Kafka has, or never will, waits no longer, also where its client gave up."""
        self._waiting -= size
        if not sent.cancelled():
            sent.exception()


async def _body(request: Request) -> bytes:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise Refused(415, "Content-Encoding is neither gzip nor left out")
    length = request.headers.get("content-length", "")
    too_large = Refused(413, f"the body has more than the {LARGEST} bytes that are taken")
    if length.isascii() and length.isdecimal() and int(length[:18]) > LARGEST:
        raise too_large
    raw = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > LARGEST:
                    raise too_large
    except TimeoutError:
        raise Refused(408, "the body took too long") from None
    except ClientDisconnect:
        raise Refused(400, "the body broke off") from None
    return unzipped(bytes(raw)) if encoding == "gzip" else bytes(raw)


def _ids(taken: list[Taken], producer: str, once: str) -> list[str]:
    """Each event's id: its own, else one that a retry of the request under the same key has again."""
    if len(once) > 256:
        raise Refused(400, "Idempotency-Key has more than 256 characters")
    if not once:
        return [event.id or str(uuid.uuid4()) for event in taken]
    made = sha256(f"{producer}\x1f{once}".encode()).hexdigest()[:32]
    return [event.id or f"{made}.{place}" for place, event in enumerate(taken)]


def _refusal(refused: Refused) -> Response:
    answer = _json(refused.answer, refused.status)
    if refused.status == 401:
        answer.headers["www-authenticate"] = "Bearer"
    elif refused.status in (429, 503):
        answer.headers["retry-after"] = _BEHIND if refused.status == 429 else _AWAY
    return answer


def _json(value: Any, status: int) -> Response:
    return Response(orjson.dumps(value), status, dict(_HEADERS), media_type="application/json")


def create_intake(
    broker: Broker,
    tokens: Mapping[str, str],
    sources: Sources,
    *,
    patience: float = PATIENCE,
    waiting: int = _WAITING,
) -> Starlette:
    """The ASGI app. ``tokens``: name of each producer to its token; ``patience``: seconds; ``waiting``: bytes."""
    intake = _Intake(broker, tokens, sources, patience, waiting)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await broker.start()
        try:
            yield
        finally:
            await broker.stop()

    return Starlette(
        routes=[
            Route("/v1/events", intake.post, methods=["POST"]),
            Route("/v1/health", intake.health, methods=["GET"]),
        ],
        lifespan=lifespan,
    )
