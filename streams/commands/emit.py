"""``emit``: recorded events from files into Kafka, through the same emitter that services use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TextIO
from uuid import uuid4

from kafka.errors import KafkaTimeoutError

from streams.admin import SetupError
from streams.emitter import BufferFull, DeliveryError, Emitter, encoded
from streams.reading import read_files
from streams.settings import Settings
from streams.sources.known import CATALOG, Sources
from streams.sources.table import Table

__all__ = ["check", "run"]

#: How long no broker may answer before a person is told.
_PATIENCE_MS = 10_000


def run(
    settings: Settings,
    files: Iterable[str],
    *,
    source: str,
    producer: str,
    errors: TextIO,
    sources: Sources = CATALOG,
    form: str = "auto",
) -> int:
    """Send what can be read and wait until the broker has it; tell the rest to ``errors``. Gives the exit code.

    ``source``: of every record; ``auto`` knows each by its shape. Raises SetupError where no broker answers.
    """
    sent = failed = 0
    try:
        opened = Emitter(
            settings.kafka, producer=producer, security=settings.security, bootstrap_timeout_ms=_PATIENCE_MS
        )
    except KafkaTimeoutError as exc:
        raise SetupError(f"no Kafka answers at {settings.kafka}: start it, or name another in WARDWATCH_KAFKA") from exc
    try:
        with opened as emitter:
            for item in read_files(files, form):
                try:
                    if item.record is None:
                        raise ValueError(item.error)
                    found = sources.recognise(item.record) if source == "auto" else sources.by_name(source)
                    # What is no JSON goes as it was, so that what lies in Kafka is what the sender wrote.
                    record = item.record if item.raw is None else item.raw
                    # A row's own id lies under the table's name, which only ingest puts there.
                    own = str(uuid4()) if isinstance(found, Table) else ""
                    emitter.emit(record, source=found.name, topic=found.topic, event_id=own)
                    sent += 1
                except ValueError as exc:
                    failed += 1
                    print(f"{item.place}: {exc}", file=errors)
    except (BufferFull, DeliveryError) as exc:
        print(f"wardwatch: {exc}", file=errors)
        return 1
    print(f"{sent} events sent, {failed} not", file=errors)
    return 1 if failed else 0


def check(
    files: Iterable[str],
    *,
    source: str,
    errors: TextIO,
    sources: Sources = CATALOG,
    form: str = "auto",
) -> int:
    """Tell ``errors`` what is wrong with each record, as ingest would, and send nothing. The exit code: 1 if any is."""
    good, bad = Counter[str](), 0
    for item in read_files(files, form):
        try:
            if item.record is None:
                raise ValueError(item.error)
            found = sources.recognise(item.record) if source == "auto" else sources.by_name(source)
            found.normalise(item.record)
            encoded(item.record)
            good[found.name] += 1
        except ValueError as exc:
            bad += 1
            print(f"{item.file}:{item.line}: {exc}", file=errors)
    kinds = ", ".join(f"{number} {name}" for name, number in good.most_common())
    told = f"{good.total()} of {good.total() + bad} events are right" + (f" ({kinds})" if kinds else "")
    print(f"{told}; nothing was sent", file=errors)
    return 1 if bad else 0
