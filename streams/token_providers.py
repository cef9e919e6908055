"""A :class:`~streams.tokens.TokenSource` as each Kafka client wants it. Apart, for each needs its own client there."""

from __future__ import annotations

import asyncio
from typing import Any

from streams.tokens import TokenSource

__all__ = ["for_aiokafka", "for_kafka_python"]


def for_kafka_python(tokens: TokenSource) -> Any:
    from kafka.net.sasl.oauth import AbstractTokenProvider  # noqa: PLC0415

    class Provider(AbstractTokenProvider):  # type: ignore[misc]
        def token(self) -> str:
            return tokens.token()

    return Provider()


def for_aiokafka(tokens: TokenSource) -> Any:
    from aiokafka.abc import AbstractTokenProvider  # noqa: PLC0415  # the server's install alone has it

    class Provider(AbstractTokenProvider):  # type: ignore[misc]
        async def token(self) -> str:
            return await asyncio.to_thread(tokens.token)

    return Provider()
