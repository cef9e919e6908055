"""``emit``: recorded events from files into Kafka, through the same emitter that services use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TextIO

from kafka.errors import KafkaTimeoutError

from streams.admin import SetupError
from streams.emitter import BufferFull, DeliveryError, Emitter, Event, encoded
from streams.reading import read_files
from streams.settings import Settings
from streams.sources.known import CATALOG, Sources

__all__ = ["check", "run"]

#: How long no broker may answer before a person is told.
_PATIENCE_MS = 10_000
#: Records that are emitted at once.
_TOGETHER = 500


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
    sent = failed = refused = 0
    try:
        opened = Emitter(
            settings.kafka, producer=producer, security=settings.security, bootstrap_timeout_ms=_PATIENCE_MS
        )
    except KafkaTimeoutError as exc:
        raise SetupError(f"no Kafka answers at {settings.kafka}: start it, or name another in WARDWATCH_KAFKA") from exc
    try:
        with opened as emitter:
            waiting: dict[tuple[str, str], list[tuple[str, Event]]] = {}
            names = list(files)
            together = 1 if "-" in names else _TOGETHER  # what somebody pipes in goes on as it comes
            for item in read_files(names, form):
                try:
                    if item.record is None:
                        raise ValueError(item.error)
                    found = sources.recognise(item.record) if source == "auto" else sources.by_name(source)
                except ValueError as exc:
                    failed += 1
                    print(f"{item.place}: {exc}", file=errors)
                    continue
                # What is no JSON goes as it was, so that what lies in Kafka is what the sender wrote.
                records = waiting.setdefault((found.name, found.topic), [])
                records.append((item.place, item.record if item.raw is None else item.raw))
                sent += 1
                if len(records) == together:
                    refused += _send(emitter, found.name, found.topic, records, errors)
                    records.clear()
            for (name, topic), records in waiting.items():
                refused += _send(emitter, name, topic, records, errors)
    except (BufferFull, DeliveryError) as exc:
        print(f"wardwatch: {exc}", file=errors)
        return 1
    print(f"{sent - refused} events sent, {failed + refused} not", file=errors)
    return 1 if failed or refused else 0


def _send(emitter: Emitter, source: str, topic: str, records: list[tuple[str, Event]], errors: TextIO) -> int:
    """Give how many of ``records``, each with its place, are no events; tell them to ``errors``."""
    try:
        emitter.emit_many([record for _, record in records], source=source, topic=topic)
        return 0
    except ValueError:  # one of them is none, and nothing was taken
        refused = 0
        for place, record in records:
            try:
                emitter.emit(record, source=source, topic=topic)
            except ValueError as exc:
                refused += 1
                print(f"{place}: {exc}", file=errors)
        return refused


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
            print(f"{item.place}: {exc}", file=errors)
    kinds = ", ".join(f"{number} {name}" for name, number in good.most_common())
    told = f"{good.total()} of {good.total() + bad} events are right" + (f" ({kinds})" if kinds else "")
    print(f"{told}; nothing was sent", file=errors)
    return 1 if bad else 0
