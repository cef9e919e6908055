"""What was emitted and is on its way to Kafka, in memory: bounded, reported, the process's own after a fork."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

from streams.outgoing import Event, Failure, Outgoing
from streams.refusals import look, missing_permission
from streams.security import Security

__all__ = ["BufferFull", "DeliveryError", "Outbox", "WhenFull"]

log = logging.getLogger(__name__)

#: What :meth:`Outbox.take` does where there is no room: wait for some, or raise at once.
WhenFull = Literal["block", "raise"]

#: Failures recorded for :class:`DeliveryError`; all are counted and told to ``on_error``.
_TOLD = 100


class BufferFull(Exception):
    """The broker takes less than is emitted. The caller still holds what was not taken: :attr:`left`, in order."""

    left: Sequence[Event] = ()


class DeliveryError(Exception):
    """Events that were emitted and could not be delivered; :attr:`failures` holds the last of them."""

    def __init__(self, failures: list[Failure], total: int) -> None:
        super().__init__(f"{total} events were not delivered; the last: {failures[-1].reason}")
        self.failures = failures


class Outbox:
    """Used by any thread. After a fork each process has its own: what waited at the fork is the parent's."""

    def __init__(
        self,
        client: Mapping[str, Any],
        *,
        security: Security,
        buffer: int,
        max_block: float,
        when_full: WhenFull,
        on_error: Callable[[Failure], None] | None,
    ) -> None:
        """``client``: kafka-python's settings, but those of ``security``. ``buffer``: bytes. ``max_block``: seconds."""
        self.client = {**security.kafka_python(), **client}
        self._security = security
        self._producer_header = ("producer", str(client["client_id"]).encode())
        self._buffer = buffer
        self._max_block = max_block if when_full == "block" else 0.0
        self._on_error = on_error
        self._begin()
        if hasattr(os, "register_at_fork"):  # where processes fork at all
            this = weakref.ref(self)

            def forked() -> None:
                if (outbox := this()) is not None:
                    outbox._forked()

            os.register_at_fork(after_in_child=forked)

    def _begin(self) -> None:
        self._opening = threading.Lock()
        self._room = threading.Condition(threading.Lock())
        self._waiters = 0
        self._waiting = 0
        self._failed = 0
        self._failures: list[Failure] = []
        self._producer: KafkaProducer | None = None

    def _forked(self) -> None:
        """Begin anew: what waited at the fork is the parent's, and so are its connection and its locks."""
        if (parents := self._producer) is not None:
            parents._closed = True  # its thread is not here: closed in earnest, it would wait for that first
        self._begin()

    def open(self) -> KafkaProducer:
        """This process's own producer. Raises Refused, and kafka's errors where no broker answers."""
        with self._opening:
            if self._producer is None:
                look(",".join(self.client["bootstrap_servers"]), self._security)
                self._producer = KafkaProducer(**self.client)
            return self._producer

    @property
    def spooled(self) -> int:
        """Bytes on disk."""
        return 0

    def take(self, event: Outgoing) -> None:
        """Send it in the background. Raises BufferFull, and kafka's errors on a producer that is no more."""
        size = len(event.value)
        self._take_room(size)
        try:
            self._send(
                self._producer or self.open(), event, partial(self._give_room, size), partial(self._undelivered, event)
            )
        except KafkaTimeoutError as exc:
            self._give_room(size)
            raise BufferFull(f"the broker took nothing for {self._max_block:.0f} s") from exc
        except BaseException:
            self._give_room(size)
            raise

    def _send(
        self,
        producer: KafkaProducer,
        event: Outgoing,
        done: Callable[[Any], object],
        failed: Callable[[BaseException], None],
    ) -> None:
        headers = [("event-id", event.event_id.encode()), ("source", event.source.encode()), self._producer_header]
        sent = producer.send(event.topic, event.value, key=event.key, headers=headers)
        sent.add_callback(done)
        sent.add_errback(failed)

    def _undelivered(self, event: Outgoing, exc: BaseException) -> None:
        self._give_room(len(event.value))
        self._tell(event, self._reason(event, exc))

    def _reason(self, event: Outgoing, exc: BaseException) -> str:
        return missing_permission(exc, self.client, topic=f"Write Topic {event.topic}") or type(exc).__name__

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all is delivered. Raises DeliveryError for what is not, TimeoutError after ``timeout`` seconds."""
        try:
            self.open().flush(timeout)
        except KafkaTimeoutError as exc:
            raise TimeoutError(f"{self._waiting} bytes of events wait for the broker still") from exc
        self._raise_failures()

    def close(self, timeout: float) -> None:
        """Flush and let go. Raises as :meth:`flush`."""
        try:
            self.flush(timeout)
        finally:
            self.open().close(timeout)

    def _take_room(self, size: int) -> None:
        with self._room:
            if self._waiting + size > self._buffer:
                self._waiters += 1
                try:
                    if not self._room.wait_for(lambda: self._waiting + size <= self._buffer, self._max_block):
                        raise BufferFull(f"{self._waiting} bytes of events wait for the broker already")
                finally:
                    self._waiters -= 1
            self._waiting += size

    def _give_room(self, size: int, _: object = None) -> None:
        with self._room:
            self._waiting -= size
            if self._waiters:
                self._room.notify_all()

    def _tell(self, event: Outgoing, reason: str) -> None:
        for told in event.failures(reason):
            log.error("event %s was not delivered: %s", told.event_id, told.reason)
            with self._room:
                self._failed += 1
                self._failures = [*self._failures[1 - _TOLD :], told]
            if self._on_error is not None:
                self._on_error(told)

    def _raise_failures(self) -> None:
        with self._room:
            failures, total = self._failures, self._failed
            self._failures, self._failed = [], 0
        if failures:
            raise DeliveryError(failures, total)
