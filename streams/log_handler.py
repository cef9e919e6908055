"""Emits from Python's logging: a service that logs what happened sends it by configuration alone.

logging.getLogger("audit").addHandler(WardwatchHandler(emitter))
logging.getLogger("audit").info("record opened", extra={"event": AuditEvent(...)})
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from streams.emitter import AuditEvent, CloudTrailEvent, DeviceEvent, Emitter

__all__ = ["WardwatchHandler"]


class WardwatchHandler(logging.Handler):
    """Emits the event that a log record carries, and lets every other record pass.

    The event is the record's ``event`` (``extra={"event": ...}``), or its message where that is one: a typed event or a
    dict. ``extra`` may also give ``source``, ``key`` and ``event_id``, as :meth:`Emitter.emit` takes them.

    What cannot be emitted is told as logging tells it (:meth:`logging.Handler.handleError`), and counted: a log call
    never fails for it. The text of a record is not sent.
    """

    def __init__(self, emitter: Emitter, level: int = logging.NOTSET) -> None:
        """``emitter`` stays its owner's, who closes it."""
        super().__init__(level)
        self._emitter = emitter
        self.refused = 0  #: events that the emitter did not take

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        event = record.msg if event is None else event
        if not isinstance(event, AuditEvent | DeviceEvent | CloudTrailEvent | Mapping):
            return
        given = {name: str(getattr(record, name)) for name in ("source", "key", "event_id") if hasattr(record, name)}
        try:
            self._emitter.emit(event, **given)
        except Exception:
            self.refused += 1
            self.handleError(record)

    def flush(self) -> None:
        """Nothing: logging calls it at exit, when the emitter may be closed. Whoever has the emitter flushes it."""
