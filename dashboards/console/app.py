"""The console as an ASGI app over the embedded store. It only reads, and answers to nobody but this machine.

A foreign Host is refused, so that a name pointed at loopback reads nothing; a foreign Origin likewise. Alerts hold
strings that attackers choose: the page sets them as text, and its policy lets no script run but its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from detectors.base import SEVERITIES
from streams.sinks.store import AlertStore

__all__ = ["create_app"]

_STATIC = Path(__file__).parent / "static"
_FILES = {"": "index.html", "console.css": "console.css", "console.js": "console.js"}
_PAGE = 100
_LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


def create_app(store_path: Path, *, sleep: Sleep = asyncio.sleep) -> ASGIApp:
    """The page over the store at ``store_path``, which need not exist yet. ``sleep`` waits between two looks at it."""
    source = _Source(store_path)

    async def static(request: Request) -> Response:
        return FileResponse(_STATIC / _FILES[request.url.path.lstrip("/")])

    async def alerts(request: Request) -> Response:
        query = request.query_params
        severity = query.get("severity", "informational")
        numbers = {name: query.get(name, "0") for name in ("before", "after")}
        if severity not in SEVERITIES or not all(n.isascii() and n.isdecimal() for n in numbers.values()):
            return _json({"error": "severity is a level, before and after are numbers"}, 400)
        found = await source.ask(
            lambda store: store.alerts(
                text=query.get("text", "")[:200],
                severity=severity,
                source=query.get("source", "")[:50],
                entity=query.get("entity", "")[:200],
                before=int(numbers["before"][:18]),
                after=int(numbers["after"][:18]),
                limit=_PAGE,
            )
        )
        return _json(found or [])

    async def alert(request: Request) -> Response:
        found = await source.ask(lambda store: store.alert(request.path_params["id"]))
        return _json(found) if found else _json({"error": "there is no such alert; the oldest make room"}, 404)

    async def status(request: Request) -> Response:
        found = await source.ask(
            lambda store: {"counts": store.count(), "facts": store.facts(), "latest": store.latest()}
        )
        return _json(found or {"counts": {}, "facts": {}, "latest": 0})

    async def stream(request: Request) -> Response:
        given = request.headers.get("last-event-id", request.query_params.get("after", ""))
        start = int(given[:18]) if given.isascii() and given.isdecimal() else None
        return EventSourceResponse(_events(source, start, sleep), ping=15)

    app = Starlette(
        routes=[
            *(Route(f"/{path}", static) for path in _FILES),
            Route("/api/alerts", alerts),
            Route("/api/alerts/{id}", alert),
            Route("/api/status", status),
            Route("/api/stream", stream),
        ]
    )
    return _Guard(app)


async def _events(source: _Source, start: int | None, sleep: Sleep) -> AsyncIterator[dict[str, str]]:
    """New alerts since ``start``, oldest first; the newest page of them where more came than one."""
    latest = start if start is not None else await source.ask(lambda store: store.latest()) or 0
    while True:
        found = await source.ask(lambda store, after=latest: store.alerts(after=after, limit=_PAGE)) or []  # type: ignore[misc]
        for item in reversed(found):
            latest = item["sequence"]
            yield {"event": "alert", "id": str(latest), "data": orjson.dumps(item).decode()}
        await sleep(1.0)


class _Source:
    """The store, asked away from the event loop, one question at a time.

    Opened for each question: the file may not be there yet, or be moved away for a new one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()

    async def ask(self, question: Callable[[AlertStore], T]) -> T | None:
        async with self._lock:
            return await asyncio.to_thread(self._ask, question)

    def _ask(self, question: Callable[[AlertStore], T]) -> T | None:
        if not self._path.exists():
            return None
        store = AlertStore(self._path, read_only=True)
        try:
            return question(store)
        finally:
            store.close()


class _Guard:
    """Refuses whoever does not speak to this machine by its own name, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [(n, v) for n, v in message["headers"] if n.decode().lower() not in _HEADERS]
                message["headers"] = [*headers, *((n.encode(), v.encode()) for n, v in _HEADERS.items())]
            await send(message)

        refusal = _refusal(scope)
        answer: ASGIApp = refusal or self._app
        await answer(scope, receive, guarded)


def _refusal(scope: Scope) -> Response | None:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if scope["method"] not in ("GET", "HEAD"):
        return _json({"error": "the console only reads"}, 405)
    host = headers.get("host", "")
    if _name(host) not in _LOCAL:
        return _json({"error": "the console answers to 127.0.0.1 and localhost only"}, 421)
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return _json({"error": "another site asks"}, 403)
    return None


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
