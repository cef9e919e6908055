"""Webhooks by the Standard Webhooks specification 1.0: what is signed, what an answer means, when to try again.

Nothing here keeps state; :mod:`streams.deliveries` keeps each delivery durable and calls this.
"""

from __future__ import annotations

import asyncio
import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

import httpx

__all__ = ["Outcome", "decode_secret", "judge", "post", "retry_delay", "sign"]

#: Seconds before the second, third, ... attempt, as the specification proposes; after the last the delivery is given
#: up.
RETRIES = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Share of a delay that chance may take off or add, so that receivers are not hit in step.
JITTER = 0.2
#: Seconds a receiver may take to answer.
TIMEOUT = 20.0

_PREFIX = "whsec_"


class Outcome(NamedTuple):
    """What an attempt came to."""

    verdict: Literal["delivered", "retry", "gone"]
    detail: str = ""
    retry_after: float = 0.0  #: seconds the receiver asked for


def decode_secret(secret: str) -> bytes:
    """``whsec_`` and base64, 24 to 64 bytes. Raises ValueError."""
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError as exc:
        raise ValueError("a webhook secret is whsec_ and base64") from exc
    if not 24 <= len(key) <= 64:
        raise ValueError(f"a webhook secret holds 24 to 64 bytes, this one {len(key)}")
    return key


def sign(key: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the base64 HMAC-SHA256 of ``id.timestamp.body``; ``timestamp`` in seconds."""
    content = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(key, content, "sha256")).decode()


async def post(
    client: httpx.AsyncClient, url: str, *, keys: Sequence[bytes], webhook_id: str, body: bytes, now: float
) -> Outcome:
    """One attempt, TIMEOUT seconds long at most. Never raises for what a receiver does.

    ``keys``: all of them sign, so that a receiver may change its secret at leisure. ``now``: seconds since the epoch,
    signed into it.
    """
    timestamp = int(now)
    headers = {
        "content-type": "application/json",
        "user-agent": "Wardwatch",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(key, webhook_id, timestamp, body) for key in keys),
    }
    try:
        # The answer's body is not read: a receiver cannot make us hold what it sends.
        async with (
            asyncio.timeout(TIMEOUT),
            client.stream("POST", url, content=body, headers=headers, timeout=TIMEOUT) as response,
        ):
            return judge(response.status_code, response.headers.get("retry-after", ""), now)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as exc:  # the text of it may name the URL
        return Outcome("retry", type(exc).__name__)


def judge(status: int, retry_after: str, now: float) -> Outcome:
    """2xx is delivered, 410 means never again, anything else (redirects too) is tried again."""
    if 200 <= status < 300:
        return Outcome("delivered", str(status))
    if status == 410:
        return Outcome("gone", "410: the receiver wants no more")
    return Outcome("retry", f"status {status}", _seconds(retry_after, now))


def _seconds(retry_after: str, now: float) -> float:
    longest = float(RETRIES[-1])
    try:
        if retry_after.isdecimal():
            wanted = float(retry_after[:10])
        else:
            wanted = parsedate_to_datetime(retry_after).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wanted, 0.0), longest)


def retry_delay(attempts: int, *, retry_after: float, chance: Callable[[], float]) -> float | None:
    """Seconds until the next attempt after ``attempts`` failed ones; None when it is given up.

    ``chance`` gives a number from 0 to 1. A receiver that asked for more time gets it.
    """
    if attempts > len(RETRIES):
        return None
    delay = RETRIES[attempts - 1] * (1 + JITTER * (2 * chance() - 1))
    return max(delay, retry_after)
