"""Records that could not be processed: why in clear, what they said under seal, and nothing lost.

The value is a JSON envelope. Its ``sealed`` part is a NaCl sealed box (X25519, XSalsa20-Poly1305): workers hold the
public key and cannot read it back; only the dead-letter commands hold the private one.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from streams import topics
from streams.lineage import SCHEMA
from streams.records import Output, RawRecord

__all__ = ["DeadLetter", "DeadLetters", "open_letter"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One opened letter."""

    stage: str  #: the step that gave up
    reason: str
    topic: str
    partition: int
    offset: int
    received: int  #: ms
    headers: Mapping[str, str]  #: as they came, where they are text
    value: bytes  #: the record, whole

    @property
    def position(self) -> str:
        """Names the record: the same letter written twice has the same."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class DeadLetters:
    """Makes letters, for whoever holds the public key."""

    def __init__(self, public_key: bytes) -> None:
        """``public_key``: 32 bytes, X25519."""
        self._box = SealedBox(PublicKey(public_key))

    def output(self, raw: RawRecord, *, stage: str, reason: str) -> Output:
        """The letter of one record. ``reason`` must quote nothing from it."""
        position = f"{raw.topic}/{raw.partition}/{raw.offset}" + (f".{raw.line}" if raw.line else "")
        envelope = {
            "v": SCHEMA,
            "stage": stage,
            "reason": reason,
            "topic": raw.topic,
            "partition": raw.partition,
            "offset": raw.offset,
            "received": raw.received,
            "headers": {name: value.decode("utf-8", "replace") for name, value in raw.headers.items()},
            "sealed": b64encode(self._box.encrypt(raw.value)).decode(),
        }
        return Output(topics.DEAD_LETTERS, position.encode(), orjson.dumps(envelope))


def open_letter(value: bytes, private_key: bytes) -> DeadLetter:
    """Read one letter back. Raises ValueError where the key is not the one it was sealed to."""
    envelope = orjson.loads(value)
    try:
        content = SealedBox(PrivateKey(private_key)).decrypt(b64decode(envelope["sealed"]))
    except CryptoError as exc:
        raise ValueError("this dead letter was sealed to another key") from exc
    return DeadLetter(
        envelope["stage"],
        envelope["reason"],
        envelope["topic"],
        envelope["partition"],
        envelope["offset"],
        envelope["received"],
        envelope["headers"],
        content,
    )
