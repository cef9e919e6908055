"""The emitter for asyncio: the same promises, and the event loop never waits for a broker or a disk.

async with AsyncEmitter("kafka.hospital.example:9092", producer="ehr-gateway") as emitter:
    await emitter.emit(audit_event)
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from streams.emitter import Emitter, Event

__all__ = ["AsyncEmitter"]


class AsyncEmitter:
    """For tasks of one event loop. Events of one task, and of tasks that wait for each other, stay in order."""

    def __init__(self, kafka: str, *, producer: str, **given: Any) -> None:
        """As :class:`~streams.emitter.Emitter`. Nothing happens before :meth:`open`."""
        self._given = {"kafka": kafka, "producer": producer, **given}
        self._emitter: Emitter | None = None
        self._opening = asyncio.Lock()
        # One thread, so that what is handed over is taken in order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wardwatch emitter")

    async def open(self) -> Emitter:
        """Connect. Raises as the emitter's constructor does. :meth:`emit` does it where nobody did."""
        async with self._opening:
            if self._emitter is None:
                self._emitter = await self._run(lambda: Emitter(**self._given))
            return self._emitter

    async def emit(self, event: Event, **given: Any) -> str:
        """As :meth:`Emitter.emit <streams.emitter.Emitter.emit>`: gives the event's id once it is taken."""
        emitter = self._emitter or await self.open()
        identity: str = await self._run(lambda: emitter.emit(event, **given))
        return identity

    async def emit_many(self, events: Iterable[Event], **given: Any) -> list[str]:
        """As :meth:`Emitter.emit_many <streams.emitter.Emitter.emit_many>`."""
        emitter = self._emitter or await self.open()
        identities: list[str] = await self._run(lambda: emitter.emit_many(events, **given))
        return identities

    async def flush(self, timeout: float | None = None) -> None:
        """As :meth:`Emitter.flush <streams.emitter.Emitter.flush>`."""
        emitter = self._emitter or await self.open()
        await self._run(lambda: emitter.flush(timeout))

    async def close(self, timeout: float = 30.0) -> None:
        """As :meth:`Emitter.close <streams.emitter.Emitter.close>`."""
        try:
            if (emitter := self._emitter) is not None:
                await self._run(lambda: emitter.close(timeout))
        finally:
            self._thread.shutdown(wait=False)

    async def _run(self, call: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def __aenter__(self) -> AsyncEmitter:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
