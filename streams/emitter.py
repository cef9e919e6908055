"""What a service imports to emit events: kafka-python and nothing else.

    from streams.emitter import Emitter

    with Emitter("kafka.hospital.example:9092", producer="ehr-gateway") as emitter:
        emitter.emit(audit_event)                  # a FHIR AuditEvent, a CloudTrail record, a device event: a dict
        emitter.emit(DeviceEvent(device="pump-12", type="infusion-pump", event="alarm", action="occlusion"))
        emitter.emit(xml, source="atna")           # an audit message, an HL7 v2 message: bytes go as they are
        emitter.emit_many(events)                  # many at once, for a fraction of what each costs alone

Promises:

- Every record is written idempotently and acknowledged by all replicas, always; there is no setting that weakens it.
- The event id is set when :meth:`Emitter.emit` is called and is the same in every retry, so an event counts once.
- Memory is bounded. When the buffer is full :meth:`~Emitter.emit` waits ``max_block`` seconds, or not at all, then
  raises :class:`BufferFull`. With a :class:`Spool` events go to disk while no broker takes them.
- No failure is swallowed: each goes to ``on_error``, and :meth:`~Emitter.flush` and :meth:`~Emitter.close` raise
  :class:`DeliveryError` if anything emitted was not delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from streams.outbox import BufferFull, DeliveryError, Outbox, WhenFull
from streams.outgoing import LARGEST, TOPICS, Event, Failure, encoded, several, single
from streams.refusals import Refused
from streams.security import Security
from streams.spool import Spool, SpoolError
from streams.spooling import SpoolingOutbox
from streams.typed_events import AuditEvent, CloudTrailEvent, DeviceEvent

__all__ = [
    "TOPICS",
    "AuditEvent",
    "BufferFull",
    "CloudTrailEvent",
    "DeliveryError",
    "DeviceEvent",
    "Emitter",
    "Event",
    "Failure",
    "Refused",
    "Security",
    "Spool",
    "SpoolError",
    "encoded",
]


class Emitter:
    """Emits events from any thread. One for a process is enough; after a fork each process has its own by itself."""

    def __init__(
        self,
        kafka: str,
        *,
        producer: str,
        buffer: int = 32 * 1024 * 1024,
        max_block: float = 10.0,
        when_full: WhenFull = "block",
        delivery_timeout: float = 120.0,
        on_error: Callable[[Failure], None] | None = None,
        security: Security | None = None,
        spool: Spool | None = None,
        spool_after: float = 5.0,
        **client: Any,
    ) -> None:
        """``kafka``: bootstrap servers. ``producer``: names this service in dead letters.

        ``buffer``: bytes of events that may wait. ``max_block``, ``delivery_timeout``: seconds. ``when_full``: whether
        :meth:`emit` waits ``max_block`` for room, or raises at once. ``security``: TLS and SASL. ``spool``: where
        events go while no broker takes them, those under way after ``spool_after`` seconds; then ``buffer`` full is
        as good as away. ``client``: more of kafka-python's settings.

        Raises Refused where Kafka does not let this client in, SpoolError where the spool cannot be used, and, without
        a spool, kafka's errors where no broker answers.
        """
        settings = {
            "linger_ms": 5,
            "batch_size": 128 * 1024,
            **client,
            "bootstrap_servers": kafka.split(","),
            "client_id": producer,
            "acks": "all",
            "enable_idempotence": True,
            "allow_auto_create_topics": False,
            "max_request_size": LARGEST,
            "max_block_ms": int(max_block * 1000),
            "delivery_timeout_ms": int(delivery_timeout * 1000),
        }
        given: dict[str, Any] = {
            "security": security or Security(),
            "buffer": buffer,
            "max_block": max_block,
            "when_full": when_full,
            "on_error": on_error,
        }
        self._outbox: Outbox
        if spool is None:
            self._outbox = Outbox(settings, **given)
            self._outbox.open()
        else:
            self._outbox = SpoolingOutbox(settings, spool=spool, spool_after=spool_after, **given)

    @property
    def spooled(self) -> int:
        """Bytes of events on disk, to be delivered once a broker takes them."""
        return self._outbox.spooled

    def emit(
        self,
        event: Event,
        *,
        source: str = "",
        topic: str = "",
        key: str = "",
        event_id: str = "",
    ) -> str:
        """Take one event and give its id. It is sent in the background.

        A plain dict is recognised by its shape, or named by ``source``; bytes, which are sent as they are, are always
        named. Of a source that is not known here, such as a table's, ``topic`` says where it goes. ``key``: events with
        the same one stay in order. Raises ValueError on what is no event, BufferFull where the broker takes less than
        is emitted.
        """
        outgoing = single(event, source=source, topic=topic, key=key, event_id=event_id)
        try:
            self._outbox.take(outgoing)
        except BufferFull as exc:
            exc.left = [event]
            raise
        return outgoing.event_id

    def emit_many(self, events: Iterable[Event], *, source: str = "", topic: str = "", key: str = "") -> list[str]:
        """Take many events and give their ids, in order: as :meth:`emit` of each, at a fraction of its cost.

        Those of one kind share records of Kafka. Raises ValueError on what is no event, says which, and has taken none;
        BufferFull, which holds those that were not taken.
        """
        given = list(events)
        ids = [""] * len(given)
        parcels = several(given, source=source, topic=topic, key=key)
        for number, (outgoing, places) in enumerate(parcels):
            try:
                self._outbox.take(outgoing)
            except BufferFull as exc:
                left = sorted(place for _, places in parcels[number:] for place in places)
                exc.left = [given[place] for place in left]
                raise
            for place, event_id in zip(places, outgoing.ids, strict=True):
                ids[place] = event_id
        return ids

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all is delivered, or durably in the spool.

        Raises DeliveryError for what is not. After ``timeout`` seconds it raises TimeoutError, or, where there is a
        spool, puts there what waits still.
        """
        self._outbox.flush(timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Flush and let go. Raises DeliveryError if anything emitted was neither delivered nor is in the spool."""
        self._outbox.close(timeout)

    def __enter__(self) -> Emitter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
