"""An address that is called while all is well: whoever watches it calls a person when the calls stop.

What has ended, hangs or has no power cannot say so; its silence does.
"""

from __future__ import annotations

import asyncio
import logging

import httpx

__all__ = ["PERIOD", "Heartbeat"]

log = logging.getLogger(__name__)

#: Seconds between two calls.
PERIOD = 60.0
#: Seconds that the address may take to answer.
TIMEOUT = 10.0


class Heartbeat:
    """Calls one address. What it answers changes nothing here; a failure is logged once until a call succeeds."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        """``url`` is a secret: whoever has it can keep a dead pipeline looking alive. It is never logged."""
        self._url = url
        self._client = client
        self._failing = False

    async def beat(self) -> bool:
        """GET the address; whether it took the call. Never raises for what happens on the way."""
        why = await self._call()
        if why and not self._failing:
            log.warning("the heartbeat was not taken (%s): whoever watches it will call; mend heartbeat_url", why)
        elif self._failing and not why:
            log.warning("the heartbeat is taken again")
        self._failing = bool(why)
        return not why

    async def _call(self) -> str:
        try:
            # The answer's body is not read, and a redirect is not followed.
            async with asyncio.timeout(TIMEOUT), self._client.stream("GET", self._url, timeout=TIMEOUT) as response:
                return "" if response.is_success else f"status {response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as exc:  # the text of it may name the URL
            return type(exc).__name__
