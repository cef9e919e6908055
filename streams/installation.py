"""What all workers of an installation must have in common, agreed on in Kafka before any of them starts.

A worker on another host would make keys of its own without a word: every patient would be two, and half the dead
letters would open with neither key. So the first worker writes the ids of its keys to the topic ``installation``, whose
first record holds for good, and every other compares.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import Any

import orjson
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.admin import SetupError
from streams.keys import Keys
from streams.lineage import SCHEMA
from streams.settings import Settings
from streams.topics import INSTALLATION

__all__ = ["agree", "look"]


def agree(settings: Settings, keys: Keys) -> None:
    """Say which keys are the installation's, where nobody has. Raises SetupError where they are others."""
    agreed = _first(settings)
    if agreed is None:
        _write(settings, _ids(keys))
        agreed = _first(settings) or {}  # another may have been quicker
    _compare(agreed, keys)


def look(settings: Settings, keys: Keys) -> bool:
    """Whether the installation has keys, and they are these. Raises SetupError where they are others."""
    agreed = _first(settings)
    if agreed is not None:
        _compare(agreed, keys)
    return agreed is not None


def _ids(keys: Keys) -> dict[str, str]:
    return {
        "pseudonym": keys.pseudonym_id,
        "dead letters": _id(keys.dead_letter_public),
        "webhook": _id(keys.webhook),
    }


def _compare(agreed: dict[str, Any], keys: Keys) -> None:
    if agreed.get("v", SCHEMA) > SCHEMA:
        raise SetupError(f"the installation's record has schema {agreed['v']}; this worker reads {SCHEMA}: upgrade it")
    differ = [name for name, value in _ids(keys).items() if agreed.get("keys", {}).get(name) != value]
    if differ:
        raise SetupError(
            f"the keys in {keys.folder} are not those of this installation ({', '.join(differ)}): patients would get "
            "two pseudonyms each; copy the folder from a worker that runs, or name it with WARDWATCH_DATA_DIR"
        )


def _id(key: bytes) -> str:
    return sha256(key).hexdigest()[:8]


def _write(settings: Settings, keys: dict[str, str]) -> None:
    client = settings.security.kafka_python()
    producer = KafkaProducer(bootstrap_servers=settings.kafka.split(","), acks="all", **client)
    try:
        value = orjson.dumps({"v": SCHEMA, "keys": keys})
        producer.send(INSTALLATION, value, key=b"keys", partition=0).get(timeout=30)
    finally:
        producer.close()


def _first(settings: Settings) -> dict[str, Any] | None:
    client = settings.security.kafka_python()
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka.split(","), enable_auto_commit=False, **client)
    try:
        tp = TopicPartition(INSTALLATION, 0)
        consumer.assign([tp])
        consumer.seek_to_beginning(tp)
        end = consumer.end_offsets([tp])[tp]
        while consumer.position(tp) < end:
            for record in consumer.poll(timeout_ms=500).get(tp, ()):
                with suppress(ValueError, AttributeError):
                    value = orjson.loads(record.value)
                    if value.keys() >= {"v", "keys"}:
                        return dict(value)
        return None
    finally:
        consumer.close()
