"""The one partition that everybody reads of a small topic, read on from where it was read before."""

from __future__ import annotations

import threading
from typing import Any, Final

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.settings import Settings

__all__ = ["Tail"]

#: Seconds for a goodbye.
_PATIENCE: Final = 1.0


class Tail:
    """Partition 0 of a topic. For any thread: they wait for each other."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._tp = TopicPartition(topic, 0)
        self._turn = threading.Lock()
        self._consumer: KafkaConsumer | None = None

    def read(self) -> list[Any]:
        """What was written since the last call, up to now. Raises kafka's errors."""
        with self._turn:
            if self._consumer is None:
                self._consumer = KafkaConsumer(
                    bootstrap_servers=self._settings.kafka.split(","),
                    enable_auto_commit=False,
                    **self._settings.security.kafka_python(),
                )
                self._consumer.assign([self._tp])
                self._consumer.seek_to_beginning()
            records: list[Any] = []
            end = self._consumer.end_offsets([self._tp])[self._tp]
            while self._consumer.position(self._tp) < end:
                records += self._consumer.poll(timeout_ms=500).get(self._tp, ())
            return records

    def write(self, key: bytes, value: bytes | None) -> None:
        """Durable when it returns. Raises kafka's errors."""
        client = self._settings.security.kafka_python()
        producer = KafkaProducer(bootstrap_servers=self._settings.kafka.split(","), acks="all", **client)
        try:
            producer.send(self._tp.topic, value, key=key, partition=0).get(timeout=30)
        finally:
            producer.close()

    def close(self) -> None:
        """Let go of the broker. A reader that waits for one that does not answer is not waited for."""
        if self._turn.acquire(timeout=_PATIENCE):
            try:
                if self._consumer is not None:
                    self._consumer.close(autocommit=False, timeout_ms=int(_PATIENCE * 1000))
                    self._consumer = None
            finally:
                self._turn.release()
