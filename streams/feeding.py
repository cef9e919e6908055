"""Between Faust and the lanes: an agent for each topic hands its batches over, and the lanes ask for what they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from faust.types import TP

from streams.admin import PATIENCE, topic_ids
from streams.lanes import Handler, Lanes
from streams.lineage import TopicReplaced
from streams.settings import Settings
from streams.transport import Batch, BatchApp, BatchSchema

__all__ = ["REPLACED", "Feed", "Limits", "replaced"]

#: Why a lane stops whose topic changed under a running worker.
REPLACED = "the topic was deleted and made again while this worker ran: start the workers again"


class Limits(NamedTuple):
    """How much of a partition is handed to its lane."""

    records: int  #: of Kafka, in one batch
    bytes: int  #: of values, in one batch of more than one record; 0: any number
    batches: int  #: that may wait for the lane


class Feed:
    """Of one app. It is the :class:`streams.lanes.Log` of its lanes."""

    def __init__(self, app: BatchApp, settings: Settings, known: Mapping[str, bytes]) -> None:
        """``known``: topics and their ids, as they were when the worker started."""
        self._app = app
        self._settings = settings
        self._known = known
        self.lanes = Lanes(self)
        app.on_release = self.lanes.release

        @app.on_partitions_assigned.connect(weak=False)  # type: ignore[untyped-decorator]
        async def assign(_: Any, assigned: Any, **kwargs: Any) -> None:
            self.lanes.assign(assigned)

    def agent(self, topic: str, step: str, handler: Callable[[int], Handler], limits: Limits) -> None:
        """One Faust agent for ``topic``; its lanes do the work and acknowledge."""
        self.lanes.register(topic, step, handler)
        schema = BatchSchema(max_records=limits.records, max_bytes=limits.bytes, max_inflight=limits.batches)
        channel = self._app.topic(topic, schema=schema, maxsize=16384)

        async def hand_over(stream: Any) -> None:
            batch: Batch
            async for batch in stream.noack():
                self.lanes.put(batch)

        self._app.agent(channel, name=f"{step}.{topic}")(hand_over)

    async def seek(self, tp: TP, offset: int) -> None:
        await self._app.consumer.seek(tp, offset)

    async def log_start(self, tp: TP) -> int:
        return int(await self._app.consumer.log_start(tp))

    async def position(self, tp: TP) -> int | None:
        position: int | None = await self._app.consumer.position(tp)
        return position

    async def identify(self, topic: str) -> None:
        if topic in await replaced(self._settings, self._known):
            raise TopicReplaced(REPLACED)


async def replaced(settings: Settings, known: Mapping[str, bytes]) -> list[str]:
    """Topics that have another id than the ``known`` one. Raises SetupError."""
    patience = min(PATIENCE, settings.topic_check_interval)
    ids = await asyncio.to_thread(topic_ids, settings, only=known, patience=patience)
    return [name for name, its in known.items() if ids[name] != its]
