"""The keys of one installation, in the data folder: made once, readable by their owner alone.

- ``pseudonym.key``: keys the HMAC that replaces patient identifiers; its id travels with every pseudonym. A later one
  is ``pseudonym.2.key`` and so on; ``pseudonym.2.next`` is one that waits to be announced. They may come from the
  environment or a command instead (:func:`keys_of`), and then no file of them is made or read.
- ``dead-letters.public`` and ``.private``: workers seal to the first, the dead-letter commands open with the second.
- ``vault.public`` and ``.private``: likewise, for the identifiers behind pseudonyms (:mod:`streams.vault`).
- ``webhook.key``: signs webhooks.
"""

from __future__ import annotations

import binascii
import os
import secrets
import shlex
import subprocess
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from re import compile as regex

from nacl.public import PrivateKey

from streams.settings import Settings

__all__ = ["Keys", "activate", "exposed", "key_id", "key_path", "keys_of", "load_keys", "remove", "spare"]

#: Seconds that a command may take to print a key.
_COMMAND_SECONDS = 30
_PSEUDONYM = regex(r"pseudonym(?:\.([1-9][0-9]{0,5}))?\.(key|next)")


@dataclass(frozen=True, slots=True)
class Keys:
    pseudonyms: Mapping[str, bytes]  #: by id, oldest first; 32 bytes each
    spare: Mapping[str, bytes]  #: made, and not announced yet
    dead_letter_public: bytes
    vault_public: bytes
    webhook: bytes  #: 32 bytes
    folder: Path
    outside: bool = False  #: pseudonym keys come from elsewhere than the folder
    given_vault: Callable[[], str] = str  #: the vault's private key in base64 from outside the folder; empty without

    @property
    def held(self) -> dict[str, bytes]:
        """Every pseudonym key that is here, by id, those that wait to be announced included."""
        return {**self.spare, **self.pseudonyms}

    @property
    def pseudonym_id(self) -> str:
        """Names the newest pseudonym key, gives nothing of it away."""
        return list(self.pseudonyms)[-1]

    @property
    def pseudonym(self) -> bytes:
        """The newest pseudonym key."""
        return self.pseudonyms[self.pseudonym_id]

    def dead_letter_private(self) -> bytes:
        """Raises ValueError where this installation does not hold it."""
        path = self.folder / "dead-letters.private"
        if not path.exists():
            raise ValueError(f"{path} is not here: dead letters open only where their private key is")
        return _read_private(path)

    def vault_private(self) -> bytes:
        """From its command, the environment or the folder. Raises ValueError where none has it, or it is another's."""
        path = self.folder / "vault.private"
        if given := self.given_vault():
            (private,) = _decoded(given, "the vault's private key")
        elif path.exists():
            private = _read_private(path)
        else:
            raise ValueError(
                f"{path} is not here: identities are revealed only where the vault's private key is, or "
                "WARDWATCH_VAULT_PRIVATE_KEY_COMMAND prints it"
            )
        if bytes(PrivateKey(private).public_key) != self.vault_public:
            raise ValueError("the vault's private key does not belong to its public key: take the installation's own")
        return private


def exposed(folder: Path) -> list[str]:
    """Names of the files in ``folder`` that others than their owner may read."""
    return [path.name for path in sorted(folder.iterdir()) if path.stat().st_mode & 0o077]


def key_id(key: bytes) -> str:
    """Names a key, gives nothing of it away."""
    return sha256(key).hexdigest()[:8]


def keys_of(settings: Settings) -> Keys:
    """This installation's keys, as the settings say where they are. Raises ValueError."""
    given = _from_outside(settings.pseudonym_key.get_secret_value(), settings.pseudonym_key_command)

    def vault() -> str:
        return _from_outside(settings.vault_private_key.get_secret_value(), settings.vault_private_key_command)

    return load_keys(settings.home, _decoded(given, "the pseudonym key") if given else (), vault)


def load_keys(home: Path, pseudonyms: Sequence[bytes] = (), vault: Callable[[], str] = str) -> Keys:
    """The keys below ``home``, made where there are none. Raises ValueError on a damaged one.

    ``pseudonyms``: those of patients, oldest first, where they are kept elsewhere. ``vault``: as ``given_vault``.
    """
    folder = home / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    webhook = _key(folder / "webhook.key", lambda: secrets.token_bytes(32))
    if pseudonyms:
        used, waiting = {key_id(key): key for key in pseudonyms}, {}
    else:
        if not any(suffix == "key" for _, suffix, _ in _pseudonym_files(folder)):
            _key(folder / "pseudonym.key", lambda: secrets.token_bytes(32))
        read = [(suffix, _read(path)) for _, suffix, path in _pseudonym_files(folder)]
        used = {key_id(key): key for suffix, key in read if suffix == "key"}
        waiting = {key_id(key): key for suffix, key in read if suffix == "next" and key_id(key) not in used}
    return Keys(
        used,
        waiting,
        _public_of_pair(folder, "dead-letters"),
        _public_of_pair(folder, "vault"),
        webhook,
        folder,
        bool(pseudonyms),
        vault,
    )


def spare(keys: Keys) -> str:
    """Make the next pseudonym key, or take the one that waits already; gives its id. Nothing uses it yet."""
    for waiting in keys.spare:
        return waiting
    number = max((number for number, _, _ in _pseudonym_files(keys.folder)), default=1) + 1
    return key_id(_key(keys.folder / f"pseudonym.{number}.next", lambda: secrets.token_bytes(32)))


def activate(keys: Keys, name: str) -> None:
    """A key that waited is in use now. Nothing where it is no file of ours."""
    path = key_path(keys.folder, name)
    if path is not None and path.suffix == ".next":
        path.rename(path.with_suffix(".key"))


def key_path(folder: Path, name: str) -> Path | None:
    """The file of the pseudonym key of that id; None where it is none here."""
    return next((path for _, _, path in _pseudonym_files(folder) if key_id(_read(path)) == name), None)


def remove(folder: Path, name: str) -> bool:
    """Overwrite and delete the pseudonym key of that id. True where it was a file here."""
    path = key_path(folder, name)
    if path is None:
        return False
    with path.open("r+b") as file:
        file.write(bytes(32))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    return True


def _pseudonym_files(folder: Path) -> list[tuple[int, str, Path]]:
    """Number, suffix and path of each, oldest first."""
    found = [(_PSEUDONYM.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1] or 1), match[2], path) for match, path in found if match)


def _from_outside(value: str, command: str) -> str:
    """What the environment says, else what the command prints. Raises ValueError, which quotes no output."""
    if value or not command:
        return value
    program, *arguments = shlex.split(command)
    try:
        done = subprocess.run(  # noqa: S603  # the operator's own command
            [program, *arguments], stdout=subprocess.PIPE, check=True, timeout=_COMMAND_SECONDS, text=True
        )
    except subprocess.CalledProcessError as exc:
        raise ValueError(f"the command {program}, which prints a key, ended with {exc.returncode}: mend it") from None
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as exc:
        raise ValueError(f"the command {program}, which prints a key, failed ({type(exc).__name__}): mend it") from None
    if not done.stdout.strip():
        raise ValueError(f"the command {program}, which prints a key, printed nothing: mend it")
    return done.stdout


def _decoded(text: str, what: str) -> list[bytes]:
    try:
        keys = [b64decode(word, validate=True) for word in text.split()]
    except binascii.Error:
        keys = [b""]
    if any(len(key) != 32 for key in keys):
        raise ValueError(f"{what} is not 32 bytes in base64: take it as it was made, `base64 < pseudonym.key`")
    return keys


def _public_of_pair(folder: Path, name: str) -> bytes:
    """The public key of a pair that is made where it is missing.

    Raises ValueError where both are here, and what is sealed to the one would never open with the other.
    """
    public, private = folder / f"{name}.public", folder / f"{name}.private"
    if not public.exists():
        made = _key(private, lambda: bytes(PrivateKey.generate()))
        _write(public, bytes(PrivateKey(made).public_key))
    with suppress(PermissionError):  # another user's, and whoever needs it is told so
        if private.exists() and bytes(PrivateKey(_read(private)).public_key) != _read(public):
            raise ValueError(f"{public} does not belong to {private}: restore both from your backup")
    return _read(public)


def _key(path: Path, make: Callable[[], bytes]) -> bytes:
    if not path.exists():
        _write(path, make())
    return _read(path)


def _read(path: Path) -> bytes:
    value = path.read_bytes()
    if len(value) != 32:
        raise ValueError(f"{path} holds {len(value)} bytes where a key has 32: restore it from your backup")
    return value


def _read_private(path: Path) -> bytes:
    try:
        return _read(path)
    except PermissionError:
        raise ValueError(f"{path} may not be read by this user: ask whoever owns it, or let them run this") from None


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
