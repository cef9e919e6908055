"""What a worker writes to its log: all of ours, and of what the libraries repeat one line a minute.

While a broker is away its clients complain fifty times a second. A day of that would fill the disk that the rest of the
worker needs.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import orjson

__all__ = ["Json", "Sparing", "set_up"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
#: Loggers of which nothing is held back.
_OURS = ("streams", "detectors")
#: Kinds of lines remembered; beyond it all begin anew.
_KINDS = 1000


class Sparing(logging.Filter):
    """Lets a library say the same once in ``period`` seconds, and how often it would have said it."""

    def __init__(self, period: float = 60.0) -> None:
        super().__init__()
        self._period = period
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] in _OURS:
            return True
        kind = record.name, str(record.msg)[:80]
        at, held = self._said.get(kind, (0.0, 0))
        if record.created - at < self._period:
            self._said[kind] = at, held + 1
            return False
        if len(self._said) >= _KINDS:
            self._said.clear()
        self._said[kind] = record.created, 0
        if held:
            record.msg, record.args = f"{record.getMessage()} (and {held} more like it)", ()
        return True


class Json(logging.Formatter):
    """One JSON object a line, with the names of ECS: ``@timestamp``, ``log.level``, ``log.logger``, ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "@timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "log.level": record.levelname.lower(),
            "log.logger": record.name,
            "message": record.getMessage(),
            "process.pid": record.process,
        }
        if record.exc_info:
            line["error.stack_trace"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def set_up(level: str, form: Literal["text", "json"] = "text") -> None:
    """Log to standard error from ``level`` on, as lines for a person or as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Sparing())
    handler.setFormatter(Json() if form == "json" else logging.Formatter(_FORMAT))
    logging.basicConfig(handlers=[handler], level=level)
    for chatty in ("httpx", "httpcore"):  # they log URLs, which may hold a receiver's password
        logging.getLogger(chatty).setLevel(logging.WARNING)
