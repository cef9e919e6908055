"""The vault: who a pseudonym is, for whoever holds its private key, and for nobody else.

``vault`` is a compacted topic: under each pseudonym lies the identifier that it stands for, sealed to the vault's
public key. Workers hold that alone, so they write and cannot read; :mod:`streams.commands.reveal` reads, and each time
is an audit event of its own.

What lies there is JSON: ``key`` is a NaCl sealed box (X25519) with a data key of 32 bytes, made anew for each batch,
and ``sealed`` is ChaCha20-Poly1305 (RFC 8439) under it, with the pseudonym as associated data: an entry that is put
under another pseudonym does not open.

An entry is durable before the record that it came with is acknowledged: a pseudonym that is seen downstream can be
revealed. It costs nothing per event: ingest remembers which patients it has written, and writes the new ones of a batch
together. Writing one again changes nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from streams import topics
from streams.lineage import SCHEMA
from streams.records import Output
from streams.sender import DeliveryFailed, Sender

__all__ = ["Identity", "Vault", "VaultWaits", "open_identity", "seal"]


class VaultWaits(DeliveryFailed):
    """The brokers did not take who a pseudonym is. What it names waits, and nothing of it has left."""


class Identity(NamedTuple):
    """What a pseudonym stands for."""

    identifier: str  #: as it is hashed: ``Patient/123``, or ``system|value``
    before: tuple[str, ...] = ()  #: its pseudonyms under earlier keys, newest first


def seal(identities: Mapping[str, Identity], public_key: bytes) -> list[Output]:
    """Entries for ``identities`` by pseudonym, each to lie under its own."""
    data_key = secrets.token_bytes(32)
    sealed_key = b64encode(SealedBox(PublicKey(public_key)).encrypt(data_key)).decode()
    cipher = ChaCha20Poly1305(data_key)
    outputs = []
    for number, (pseudonym, identity) in enumerate(identities.items()):
        nonce = number.to_bytes(12, "big")  # never twice under one data key
        content = orjson.dumps({"identifier": _writable(identity.identifier), "before": identity.before})
        sealed = nonce + cipher.encrypt(nonce, content, pseudonym.encode())
        value = {"v": SCHEMA, "key": sealed_key, "sealed": b64encode(sealed).decode()}
        outputs.append(Output(topics.VAULT, pseudonym.encode(), orjson.dumps(value)))
    return outputs


def open_identity(pseudonym: str, value: bytes, private_key: bytes) -> Identity:
    """What lies under ``pseudonym``. Raises ValueError where the key is another, or the entry is not whole."""
    envelope = orjson.loads(value)
    if envelope["v"] > SCHEMA:
        raise ValueError(f"an entry of schema {envelope['v']}; this version reads {SCHEMA}: upgrade it")
    try:
        data_key = SealedBox(PrivateKey(private_key)).decrypt(b64decode(envelope["key"]))
    except CryptoError:
        raise ValueError("this entry was sealed to another key: use the vault's private key of that time") from None
    sealed = b64decode(envelope["sealed"])
    try:
        content = ChaCha20Poly1305(data_key).decrypt(sealed[:12], sealed[12:], pseudonym.encode())
    except InvalidTag:
        raise ValueError("this entry belongs to another pseudonym: somebody wrote to the vault") from None
    found = orjson.loads(content)
    return Identity(found["identifier"], tuple(found["before"]))


def _writable(text: str) -> str:
    """``text`` as UTF-8 can say it: half a surrogate pair, which JSON lets a record hold, is a question mark."""
    return text.encode("utf-8", "replace").decode()


class Vault:
    """A worker's side: takes what ingest learns, and writes it. Used by every ingest lane of one event loop."""

    def __init__(self, public_key: bytes, sender: Sender) -> None:
        self._public_key = public_key
        self._sender = sender
        self._pending: dict[str, Identity] = {}
        self._turn = asyncio.Lock()
        self.written = 0  #: entries that the brokers have, since the worker started
        self.waiting = 0  #: lanes that wait for it now

    @property
    def pending(self) -> int:
        """Identities that were learnt and are not durable yet."""
        return len(self._pending)

    def learn(self, pseudonym: str, identifier: str, before: Sequence[str] = ()) -> None:
        """Called where a pseudonym is made that is not remembered."""
        self._pending[pseudonym] = Identity(identifier, tuple(before))

    async def settle(self, topic_id: bytes, partition: int, offset: int) -> None:
        """Return once everything learnt so far is durable. Raises VaultWaits, and then it is still to be written.

        ``topic_id``, ``partition``, ``offset``: of a record that the caller has in hand. What another lane learnt is
        written with it: waiting for it twice costs less than telling whose is whose.
        """
        if not self._pending:
            return
        self.waiting += 1
        try:
            async with self._turn:
                await self._write(topic_id, partition, offset)
        except DeliveryFailed as exc:
            raise VaultWaits(f"the vault was not written: {exc}") from exc
        finally:
            self.waiting -= 1

    async def _write(self, topic_id: bytes, partition: int, offset: int) -> None:
        learnt = dict(self._pending)
        if learnt:
            outputs = await asyncio.to_thread(seal, learnt, self._public_key)
            await self._sender.send(topic_id, partition, [(offset, outputs)])
            self.written += len(learnt)
            for pseudonym, identity in learnt.items():
                if self._pending.get(pseudonym) is identity:
                    del self._pending[pseudonym]
