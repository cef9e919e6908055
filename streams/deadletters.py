"""Records that could not be processed: why in clear, what they said under seal, and nothing lost.

The value is a JSON envelope. Its ``sealed`` parts, the record, its key and its headers, are NaCl sealed boxes (X25519,
XSalsa20-Poly1305): workers hold the public key and cannot read them back; only the dead-letter commands hold the
private one. A key and a header may name a patient as a record does, an event's id among them; in clear are only what
names the service and the kind of record.

A later record of the same key without a value says that the letter was sent again.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from re import compile as regex

import orjson
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from streams import topics
from streams.lineage import SCHEMA
from streams.records import Output, RawRecord

__all__ = ["DeadLetter", "DeadLetters", "open_letter"]

#: Headers of a service that may be read without the key, where each looks like the name of a service or of a source:
#: words, and no number long enough to be somebody's.
_CLEAR = ("source", "producer")
_NAME = regex(r"(?:[A-Za-z._-]|[0-9]{1,3}(?![0-9])){1,64}")
#: Bytes of a header that is kept; a longer one is none that replaying needs, but the ids of many events in one record.
_HEADER_BYTES = 512
_IDS = "event-id"
#: Bytes of all headers that are kept, so that the letter of the largest record is one that its topic takes.
_HEADERS_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One opened letter."""

    stage: str  #: the step that gave up
    reason: str
    topic: str
    partition: int
    offset: int
    received: int  #: ms
    headers: Mapping[str, str]  #: as they came, those of up to 512 bytes and the ids
    value: bytes  #: the record, whole
    key: bytes | None = None  #: the record's, which keeps it in order with others

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
        headers = _kept(raw.headers)
        envelope = {
            "v": SCHEMA,
            "stage": stage,
            "reason": reason,
            "topic": raw.topic,
            "partition": raw.partition,
            "offset": raw.offset,
            "received": raw.received,
            "headers": {name: headers[name] for name in _CLEAR if _NAME.fullmatch(headers.get(name, ""))},
            "sealed_headers": b64encode(self._box.encrypt(orjson.dumps(headers))).decode(),
            "sealed": b64encode(self._box.encrypt(raw.value)).decode(),
        }
        if raw.key is not None:
            envelope["sealed_key"] = b64encode(self._box.encrypt(raw.key)).decode()
        return Output(topics.DEAD_LETTERS, position.encode(), orjson.dumps(envelope))


def _kept(headers: Mapping[str, bytes]) -> dict[str, str]:
    """Headers as text, the short ones, as long as there is room: in JSON they may take six times their bytes."""
    kept: dict[str, str] = {}
    room = _HEADERS_BYTES
    for name, value in headers.items():
        raw = value or b""
        room -= len(name) + len(raw)
        if (len(raw) <= _HEADER_BYTES or name == _IDS) and room >= 0:
            kept[name] = raw.decode("utf-8", "replace")
    return kept


def open_letter(value: bytes, private_key: bytes) -> DeadLetter:
    """Read one letter back. Raises ValueError where a later version wrote it, or it was sealed to another key."""
    envelope = orjson.loads(value)
    if envelope["v"] > SCHEMA:
        raise ValueError(f"a dead letter of schema {envelope['v']}; this version reads {SCHEMA}: upgrade it")
    box = SealedBox(PrivateKey(private_key))
    key = envelope.get("sealed_key")
    try:
        content = box.decrypt(b64decode(envelope["sealed"]))
        content_key = None if key is None else box.decrypt(b64decode(key))
        headers = orjson.loads(box.decrypt(b64decode(envelope["sealed_headers"])))
    except CryptoError as exc:
        raise ValueError("this dead letter was sealed to another key") from exc
    return DeadLetter(
        envelope["stage"],
        envelope["reason"],
        envelope["topic"],
        envelope["partition"],
        envelope["offset"],
        envelope["received"],
        headers,
        content,
        content_key,
    )
