"""Webhooks by the Standard Webhooks specification 1.0: what is signed, and what an answer means."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from functools import partial

from streams.sinks import attempts
from streams.sinks.exchange import Compose

__all__ = ["compose_with", "decode_secret", "judge", "sign"]

_PREFIX = "whsec_"

#: 410 means never again; anything else that is not 2xx is tried again, a refusal too.
judge = partial(attempts.judge, gone=(410,))


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


def compose_with(keys: Sequence[bytes]) -> Compose:
    """``keys``: all of them sign, so that a receiver may change its secret at leisure."""

    def compose(webhook_id: str, body: bytes, now: float) -> tuple[dict[str, str], bytes]:
        timestamp = int(now)
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(sign(key, webhook_id, timestamp, body) for key in keys),
        }
        return headers, body

    return compose
