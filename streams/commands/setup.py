"""``setup``: makes what is missing in Kafka, on disk and in Elasticsearch, and says what it made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from streams import topics
from streams.admin import create_topics
from streams.keys import Keys
from streams.settings import Settings
from streams.sinks.elasticsearch import Elasticsearch

__all__ = ["run"]


def run(settings: Settings, keys: Keys) -> Iterator[str]:
    """One line for each thing, once it is there. Safe to repeat.

    Raises SetupError on a Kafka that cannot be set up, StoreUnavailable on an Elasticsearch that does not answer.
    """
    made = create_topics(settings)
    shape = f"{settings.partitions} partitions, {settings.replication} replica{'s'[: settings.replication > 1]} each"
    there = len(topics.ALL) - len(made)
    if made:
        yield f"topics         {len(made)} made ({shape}): {', '.join(made)}" + (
            f"; {there} were there" if there else ""
        )
    else:
        yield f"topics         all {there} were there ({settings.partitions} partitions each)"
    yield f"keys           {keys.folder}"
    if not settings.elasticsearch:
        yield "elasticsearch  not set (WARDWATCH_ELASTICSEARCH): alerts are kept in the embedded store"
        return
    yield f"elasticsearch  templates {', '.join(asyncio.run(_templates(settings)))}"


async def _templates(settings: Settings) -> list[str]:
    store = Elasticsearch(settings.elasticsearch, api_key=settings.elasticsearch_api_key.get_secret_value())
    try:
        return await store.set_up()
    finally:
        await store.close()
