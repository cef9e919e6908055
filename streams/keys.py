"""The keys of one installation, in the data folder: made once, readable by their owner alone.

- ``pseudonym.key``: keys the HMAC that replaces patient identifiers; its id travels with every pseudonym.
- ``dead-letters.public`` and ``.private``: workers seal to the first, the dead-letter commands open with the second.
- ``webhook.key``: signs webhooks.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from nacl.public import PrivateKey

__all__ = ["Keys", "load_keys"]


@dataclass(frozen=True, slots=True)
class Keys:
    pseudonym: bytes  #: 32 bytes
    pseudonym_id: str  #: names the key, gives nothing of it away
    dead_letter_public: bytes
    webhook: bytes  #: 32 bytes
    folder: Path

    def dead_letter_private(self) -> bytes:
        """Raises ValueError where this installation does not hold it."""
        path = self.folder / "dead-letters.private"
        if not path.exists():
            raise ValueError(f"{path} is not here: dead letters open only where their private key is")
        return path.read_bytes()


def load_keys(home: Path) -> Keys:
    """The keys below ``home``, made where there are none. Raises ValueError on a damaged one."""
    folder = home / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    pseudonym = _key(folder / "pseudonym.key", lambda: secrets.token_bytes(32))
    webhook = _key(folder / "webhook.key", lambda: secrets.token_bytes(32))
    public = folder / "dead-letters.public"
    if not public.exists():
        private = _key(folder / "dead-letters.private", lambda: bytes(PrivateKey.generate()))
        _write(public, bytes(PrivateKey(private).public_key))
    _check_pair(public, folder / "dead-letters.private")
    return Keys(pseudonym, sha256(pseudonym).hexdigest()[:8], _read(public), webhook, folder)


def _check_pair(public: Path, private: Path) -> None:
    """Raises ValueError where both are here and letters sealed to the one would never open with the other."""
    if private.exists() and bytes(PrivateKey(_read(private)).public_key) != _read(public):
        raise ValueError(f"{public} does not belong to {private}: restore both from your backup")


def _key(path: Path, make: object) -> bytes:
    if not path.exists():
        assert callable(make)
        _write(path, make())
    return _read(path)


def _read(path: Path) -> bytes:
    value = path.read_bytes()
    if len(value) != 32:
        raise ValueError(f"{path} holds {len(value)} bytes where a key has 32: restore it from your backup")
    return value


def _write(path: Path, value: bytes) -> None:
    """Whole or not at all, and never over a key that another process made meanwhile."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # one left by a crash is in nobody's way
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # the other's key is the key
    finally:
        os.unlink(temporary)
