"""``emit``: recorded events from files into Kafka, through the same emitter that services use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from kafka.errors import KafkaTimeoutError

from streams.admin import SetupError
from streams.emitter import BufferFull, DeliveryError, Emitter
from streams.reading import read_files
from streams.settings import Settings
from streams.sources.catalog import recognise

__all__ = ["run"]

#: How long no broker may answer before a person is told.
_PATIENCE_MS = 10_000


def run(settings: Settings, files: Iterable[str], *, source: str, producer: str, errors: TextIO) -> int:
    """Send what can be read and wait until the broker has it; tell the rest to ``errors``. Gives the exit code.

    ``source``: of every record; ``auto`` knows each by its shape. Raises SetupError where no broker answers.
    """
    sent = failed = 0
    try:
        opened = Emitter(settings.kafka, producer=producer, bootstrap_timeout_ms=_PATIENCE_MS)
    except KafkaTimeoutError as exc:
        raise SetupError(f"no Kafka answers at {settings.kafka}: start it, or name another in WARDWATCH_KAFKA") from exc
    try:
        with opened as emitter:
            for item in read_files(files):
                try:
                    if item.record is None:
                        raise ValueError(item.error)
                    named = recognise(item.record).name if source == "auto" else source
                    # What is no JSON goes as it was, so that what lies in Kafka is what the sender wrote.
                    emitter.emit(item.record if item.raw is None else item.raw, source=named)
                    sent += 1
                except ValueError as exc:
                    failed += 1
                    print(f"{item.place}: {exc}", file=errors)
    except (BufferFull, DeliveryError) as exc:
        print(f"wardwatch: {exc}", file=errors)
        return 1
    print(f"{sent} events sent, {failed} not", file=errors)
    return 1 if failed else 0
