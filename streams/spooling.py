"""What was emitted and is on its way to Kafka, on disk while no broker takes it, and sent from there once one does."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from kafka import KafkaProducer
from kafka.errors import InvalidRecordError, KafkaError, MessageSizeTooLargeError

from streams.outbox import BufferFull, Outbox
from streams.outgoing import Outgoing
from streams.refusals import Refused, look
from streams.spool import Spool, SpoolFull

__all__ = ["SpoolingOutbox"]

log = logging.getLogger(__name__)

#: Failures of one record, whoever sends it and however often.
_ITS_OWN_FAULT = (MessageSizeTooLargeError, InvalidRecordError)


class SpoolingOutbox(Outbox):
    """In memory while the broker takes what is emitted, on disk while it does not. In order all the while.

    An event is on disk when it was emitted while the broker was away; what was under way when it went is put there
    before, within ``spool_after`` seconds. What the broker may have taken already is sent again under the same id. What
    was under way when the disk takes nothing stays in memory until one of them does, and nothing is taken past it.
    """

    def __init__(self, client: Mapping[str, Any], *, spool: Spool, spool_after: float, **given: Any) -> None:
        """``spool_after``: seconds that an event may be under way. Raises Refused, SpoolError."""
        self._spool = spool
        self._spool_after = spool_after
        # Whoever emits waits for nothing but the disk.
        super().__init__({**client, "max_block_ms": 500, "bootstrap_timeout_ms": 3000}, **given)
        look(",".join(self.client["bootstrap_servers"]), self._security)
        self._start()

    def _begin(self) -> None:
        super()._begin()
        self._order = threading.RLock()
        self._away = True  #: nothing is sent past what lies on disk, and at first nobody knows what does
        self._under_way: dict[int, tuple[Outgoing, float]] = {}
        self._unspooled: deque[Outgoing] = deque()  #: was under way, and the disk took it not yet
        self._unspooled_sent = False  #: it is being sent from memory
        self._number = 0
        self._trouble = ""
        self._in_vain = 0  #: how often no broker took what lies on disk
        self._wake = threading.Event()
        self._closing = False
        self._keeper: threading.Thread | None = None

    def _forked(self) -> None:
        super()._forked()
        self._spool.forked()

    def _start(self) -> None:
        """Raises SpoolError where another process has the spool."""
        if self._closing:
            raise RuntimeError("the emitter is closed")
        if self._keeper is None:
            self._spool.open()
            self._keeper = threading.Thread(target=self._keep, name="wardwatch spool", daemon=True)
            self._keeper.start()

    @property
    def spooled(self) -> int:
        return self._spool.size

    @property
    def _held(self) -> int:
        """Events in memory that the disk did not take."""
        return sum(len(outgoing.ids) for outgoing in self._unspooled)

    def take(self, event: Outgoing) -> None:
        """On its way or on disk when it returns. Raises BufferFull where the spool is."""
        with self._order:
            self._start()
            size = len(event.value)
            if not self._away and self._waiting + size > self._buffer:
                self._go_away("the buffer is full")
            if not self._away:
                with self._room:
                    self._number += 1
                    self._under_way[self._number] = event, time.monotonic()
                    self._waiting += size
                try:
                    self._send_under_way(self._number, event)
                except KafkaError as exc:
                    with self._room:
                        self._under_way.pop(self._number, None)  # it goes to disk below
                    self._go_away(self._reason(event, exc))
            if self._away:
                try:
                    self._spool_under_way()
                    self._spool.append(event.pack())
                except SpoolFull as exc:
                    raise BufferFull(f"no broker takes events, and the spool is full: {exc}") from exc

    def _send_under_way(self, number: int, event: Outgoing) -> None:
        assert self._producer is not None
        self._send(self._producer, event, partial(self._settled, number), partial(self._failing, number, event))

    def _settled(self, number: int, _: object = None) -> bool:
        """False where it went to disk meanwhile."""
        with self._room:
            event, _ = self._under_way.pop(number, (None, 0.0))
            if event is None:
                return False
            self._waiting -= len(event.value)
            if self._waiters:
                self._room.notify_all()
            return True

    def _failing(self, number: int, event: Outgoing, exc: BaseException) -> None:
        if not isinstance(exc, _ITS_OWN_FAULT):
            with self._room:
                if number not in self._under_way:
                    return  # it went to disk, and the producer that was dropped for it says its last
            self._trouble = self._reason(event, exc)
            self._wake.set()
        elif self._settled(number):
            self._tell(event, type(exc).__name__)

    def _go_away(self, reason: str) -> None:
        """From now on everything goes to disk, beginning with what is under way. Called with the order held."""
        log.warning("no broker takes events (%s): they go to the spool %s", reason, self._spool.folder)
        with self._room:
            events = [event for event, _ in self._under_way.values()]
            self._under_way.clear()
            self._waiting = 0
            producer, self._producer = self._producer, None
            self._away, self._trouble = True, ""
            self._room.notify_all()
        self._unspooled.extend(events)
        try:
            self._spool_under_way()
        except SpoolFull as exc:
            log.error("%d events wait in memory for the broker, or for room: %s", self._held, exc)
        if producer is not None:
            threading.Thread(target=_drop, args=(producer,), name="wardwatch producer's end", daemon=True).start()
        self._wake.set()

    def _spool_under_way(self) -> None:
        """Put on disk what went there in vain before. Called with the order held. Raises SpoolFull."""
        if self._unspooled_sent:
            raise SpoolFull("what waits in memory is on its way")
        while self._unspooled:
            self._spool.append(self._unspooled[0].pack())
            self._unspooled.popleft()

    def _keep(self) -> None:
        """The keeper's thread: notices that the broker is away, and sends from disk what lies there."""
        pause = 0.25
        while not self._closing:
            with self._order:
                self._look_after()
            if self._away:
                back = self._come_back()
                pause = 0.25 if back else min(2 * pause, 5.0)
                with self._room:
                    self._in_vain += not back
                    self._room.notify_all()
            self._wake.wait(pause)
            self._wake.clear()

    def _look_after(self) -> None:
        if self._away:
            with suppress(OSError, SpoolFull):
                self._spool_under_way()
                self._spool.sync()
            return
        with self._room:
            oldest = next(iter(self._under_way.values()), None)
        if self._trouble:
            self._go_away(self._trouble)
        elif oldest is not None and time.monotonic() - oldest[1] > self._spool_after:
            self._go_away(f"it took nothing for {self._spool_after:.0f} s")

    def _come_back(self) -> bool:
        """Send all that lies on disk; False where that is not done."""
        try:
            look(",".join(self.client["bootstrap_servers"]), self._security)
            producer = KafkaProducer(**self.client)
        except (KafkaError, OSError) as exc:
            log.warning("the spool %s waits: %s", self._spool.folder, exc)
            return False
        try:
            while not self._closing:
                with self._order:
                    file = self._spool.oldest()
                    self._unspooled_sent = file is None and bool(self._unspooled)
                    if file is None and not self._unspooled:
                        self._producer, self._away = producer, False
                        return True
                if file is None:
                    self._deliver(producer, list(self._unspooled))
                else:
                    self._deliver(producer, [Outgoing.unpack(packed) for packed in self._spool.read(file)])
                with self._order:
                    if file is None:
                        self._unspooled.clear()
                    else:
                        self._spool.remove(file)
        except Exception as exc:  # what is on disk is there still; its events are sent again
            log.warning("the spool %s waits: %s", self._spool.folder, exc)
        finally:
            self._unspooled_sent = False
        _drop(producer)
        return False

    def _deliver(self, producer: KafkaProducer, events: list[Outgoing]) -> None:
        """Raises kafka's errors, unless all are delivered but those that nobody could deliver."""
        troubles: list[BaseException] = []

        def failed(event: Outgoing, exc: BaseException) -> None:
            if isinstance(exc, _ITS_OWN_FAULT):
                self._tell(event, type(exc).__name__)
            else:
                troubles.append(Refused(self._reason(event, exc)))

        for event in events:
            self._send(producer, event, lambda _: None, partial(failed, event))
        producer.flush(max(self._spool_after, 10.0))
        if troubles:
            raise troubles[0]

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all is delivered or on disk, durably; after ``timeout`` seconds it goes there.

        Raises DeliveryError for what is neither, OSError where the disk fails.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._wake.set()
        with self._room:
            last = self._number
            self._waiters += 1
            try:
                self._room.wait_for(
                    lambda: self._away or next(iter(self._under_way), last + 1) > last,
                    None if deadline is None else max(0.0, deadline - time.monotonic()),
                )
            finally:
                self._waiters -= 1
        with self._order:
            with self._room:
                left = next(iter(self._under_way), last + 1) <= last
            if left and not self._away:
                self._go_away(f"it did not take all within {timeout:.0f} s")
            if self._away:
                try:
                    self._spool_under_way()
                except SpoolFull as exc:
                    told = f"{self._held} events are neither delivered nor on disk: {exc}"
                    raise OSError(errno.ENOSPC, told) from exc
                self._spool.sync()
        self._raise_failures()

    def close(self, timeout: float) -> None:
        """Flush, send what lies on disk unless no broker takes it, and let go. The next process that has this spool
        delivers the rest. What is neither delivered nor on disk then is told as not delivered."""
        deadline = time.monotonic() + timeout
        try:
            try:
                self.flush(timeout)
            except OSError:
                if not self._unspooled:
                    raise
                # The disk is full: the broker may take them yet.
            self._wake.set()
            with self._room:
                in_vain = self._in_vain
                self._room.wait_for(
                    lambda: not self._away or self._in_vain > in_vain, max(0.0, deadline - time.monotonic())
                )
            with self._order:
                while self._unspooled and not self._unspooled_sent:
                    self._tell(self._unspooled.popleft(), "no broker took it, and the disk of the spool is full")
            self._raise_failures()
        finally:
            self._closing = True
            self._wake.set()
            if self._keeper is not None:
                self._keeper.join(timeout)
            with self._order:
                if self._producer is not None:
                    self._producer.close(timeout)
                self._spool.close()


def _drop(producer: KafkaProducer) -> None:
    """End a producer without waiting for what it holds, which lies on disk."""
    producer._sender.force_close()
    with suppress(KafkaError):
        producer.close(timeout=1)
