"""``setup``: makes what is missing in Kafka, on disk, in Elasticsearch and in Kibana, and says what it made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboards.kibana.load import load
from dashboards.kibana.objects import ndjson, saved_objects
from streams import topics
from streams.admin import create_topics
from streams.keys import Keys
from streams.settings import Settings
from streams.sinks.elasticsearch import Elasticsearch, without_password
from streams.sinks.event_index import template

__all__ = ["run", "write_kibana"]


def run(settings: Settings, keys: Keys) -> Iterator[str]:
    """One line for each thing, once it is there. Safe to repeat.

    Raises SetupError on a Kafka that cannot be set up, StoreUnavailable on an Elasticsearch that does not answer,
    KibanaError on a Kibana that does not take its objects.
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
    else:
        yield f"elasticsearch  templates {', '.join(asyncio.run(_templates(settings)))}"
    if settings.kibana:
        objects = saved_objects(public_url=settings.public_url, space=settings.kibana_space)
        count = load(settings.kibana, objects, space=settings.kibana_space, **settings.elasticsearch_login)
        where = settings.kibana_space or "default"
        yield f"kibana         {count} objects in space {where}: {_page(settings, objects)}"


def write_kibana(settings: Settings, out: Path) -> str:
    """What Kibana would be sent, into a file to import by hand; a line that says so. Raises OSError."""
    objects = saved_objects(public_url=settings.public_url, space=settings.kibana_space)
    out.write_bytes(ndjson(objects))
    return f"kibana         {len(objects)} objects in {out}: import them under Stack Management, Saved Objects"


def _page(settings: Settings, objects: list[dict[str, Any]]) -> str:
    """Where the dashboard is. A password in Kibana's address stays out of it."""
    space = f"/s/{settings.kibana_space}" if settings.kibana_space not in ("", "default") else ""
    return f"{without_password(settings.kibana).rstrip('/')}{space}/app/dashboards#/view/{objects[-1]['id']}"


async def _templates(settings: Settings) -> list[str]:
    store = Elasticsearch(settings.elasticsearch, **settings.elasticsearch_login)
    try:
        return await store.set_up(template() if settings.events_index else {})
    finally:
        await store.close()
