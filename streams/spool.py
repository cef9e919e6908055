"""Events on disk while no broker takes them: bounded, encrypted, in order, and still there after a crash.

Promises:

- What :meth:`Spool.append` took outlives the process at once, however that ends. It outlives a power cut once it is
  fsynced: before ``append`` returns where ``fsync`` is 0, else within ``fsync`` seconds.
- It is read in the order it was written. A record that was being written at the end is dropped, whole. A file that was
  changed is set aside and told of, and nothing of it is believed from there on; whoever may write into the folder can
  take away a file or its end, and no more than that.
- One process writes a folder. A second is refused; one that forked off a process that has it takes a folder inside.
- Never more than ``limit`` bytes lie in the folder.

A file is a head and frames. Head: magic, salt, and eight bytes that tell whether the key is the one it was written
with. Frame: length, then AES-256-GCM under a key derived from the salt (HKDF), with the frame's number as nonce and the
head as associated data. A file is written by one process, once, so no nonce comes twice.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import logging
import os
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.security import read_secret

__all__ = ["Spool", "SpoolError", "SpoolFull"]

log = logging.getLogger(__name__)

#: Version of a file.
VERSION = 1
_MAGIC = b"WWSPOOL" + bytes((VERSION,))
_HEAD = len(_MAGIC) + 16 + 8
_LENGTH = struct.Struct(">I")
_TAG = 16
#: Bytes of a file before the next is begun. A file is removed once all of it is delivered, and is else sent again.
_SEGMENT = 1024 * 1024
#: Folders of forked processes inside one spool.
_FORKS = 1000


class SpoolError(Exception):
    """The spool cannot be used. The message says why, and what to mend."""


class SpoolFull(Exception):
    """There is no room for another event. Nothing was written."""


@dataclass
class _Segment:
    file: Path
    size: int


class Spool:
    """Settings of a spool, and, once :meth:`open` was called, the spool. Not for two threads at once."""

    def __init__(
        self,
        folder: str | Path,
        *,
        key: str = "",
        key_file: str = "",
        limit: int = 1024 * 1024 * 1024,
        fsync: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``key``, or the first line of ``key_file``: 32 random bytes in base64. ``limit``: bytes on disk, of each
        process. ``fsync``: seconds, see above. ``clock``: seconds, only rising.

        Raises SpoolError on a key that is none, and where the package that encrypts is not installed.
        """
        self._root = Path(folder).expanduser().absolute()
        self._key = _key(key, key_file)
        _cipher(self._key, bytes(16))  # whether it can be had, before an event waits for it
        self._limit = limit
        self._fsync = fsync
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._folder = self._root
        self._locks: list[int] = []
        self._segments: deque[_Segment] = deque()
        self._fd = -1
        self._cipher: Any = None
        self._head = b""
        self._frame = 0
        self._synced: float | None = None
        self._opened = False
        self._of_parent = False  #: forked off a process that had opened it

    @property
    def folder(self) -> Path:
        """Where this process writes."""
        return self._folder

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return sum(segment.size for segment in self._segments)

    def open(self) -> None:
        """Take the folder, and what an earlier process left in it. Raises SpoolError."""
        if self._of_parent:
            self._open_fork()
        elif not self._opened:
            self._take(self._root, "")
            self._opened = True
            for fork in sorted(self._root.glob("fork-*")):
                self._adopt(fork)
            self._list(self._root)

    def forked(self) -> None:
        """To be called in a process that forked off: let go of the parent's; :meth:`open` takes a folder inside it."""
        of_parent = self._of_parent or self._opened
        for descriptor in (*self._locks, self._fd):
            if descriptor >= 0:
                os.close(descriptor)  # and no more: the lock is the parent's, and stays with it
        self._begin()
        self._of_parent = of_parent

    def _open_fork(self) -> None:
        for number in range(_FORKS):
            folder = self._root / f"fork-{number:03}"
            try:
                self._take(folder, "another process")
            except SpoolError:
                continue
            self._folder, self._opened, self._of_parent = folder, True, False
            self._list(folder)
            return
        raise SpoolError(f"{_FORKS} processes use spools in {self._root} already: give them folders of their own")

    def _take(self, folder: Path, whose: str) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise SpoolError(f"{folder} cannot be used ({exc.strerror}): name another folder for the spool") from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode("ascii", "replace").strip()
            os.close(lock)
            named = whose or (f"process {holder}" if holder.isdigit() else "another process")
            raise SpoolError(f"{named} has the spool {folder}: give each process a folder of its own") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._locks.append(lock)

    def _adopt(self, folder: Path) -> None:
        """What a forked process left that is there no longer."""
        try:
            self._take(folder, "another process")
        except SpoolError:
            return  # it runs, and delivers its own
        self._list(folder)

    def _list(self, folder: Path) -> None:
        for file in sorted(folder.glob("*.spool")):
            self._segments.append(_Segment(file, file.stat().st_size))

    # Writing

    def append(self, payload: bytes) -> None:
        """Take one record; see above for when it is durable. Raises SpoolFull, also where the disk is."""
        frame = _LENGTH.size + len(payload) + _TAG
        if self.size + frame + (_HEAD if self._fd < 0 else 0) > self._limit:
            raise SpoolFull(f"{self.size} bytes wait in {self._folder}, and {self._limit} may")
        if self._fd < 0:
            self._start_segment()
        segment = self._segments[-1]
        sealed = self._cipher.encrypt(self._frame.to_bytes(12, "big"), payload, self._head)
        self._write(segment, _LENGTH.pack(len(sealed)) + sealed)
        self._frame += 1
        if segment.size >= _SEGMENT:
            with suppress(OSError):  # the record is taken; the next try tells
                self.seal()

    def _start_segment(self) -> None:
        salt = os.urandom(16)
        self._cipher, check = _cipher(self._key, salt)
        self._head = _MAGIC + salt + check
        self._frame = 0
        last = max((int(file.stem) for file in self._folder.glob("*.spool")), default=0)
        file = self._folder / f"{last + 1:012}.spool"
        try:
            self._fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise SpoolFull(f"{self._folder} takes nothing ({exc.strerror})") from exc
        self._segments.append(_Segment(file, 0))
        self._synced = None
        self._write(self._segments[-1], self._head)
        if self._fsync == 0:
            _sync_folder(self._folder)

    def _write(self, segment: _Segment, data: bytes) -> None:
        """All of it or nothing: what is written after half a frame could not be read."""
        before, view = segment.size, memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
            segment.size += len(data)
            now = self._clock()
            if self._synced is None:
                self._synced = now
            if now - self._synced >= self._fsync:
                self.sync()
        except OSError as exc:
            segment.size = before
            with suppress(OSError):
                os.ftruncate(self._fd, before)
            self._abandon(segment)
            raise SpoolFull(f"{self._folder} takes nothing ({exc.strerror})") from exc

    def _abandon(self, segment: _Segment) -> None:
        """Write no more to a file that could not be written to."""
        os.close(self._fd)
        self._fd = -1
        if segment.size <= _HEAD:
            self._segments.remove(segment)
            segment.file.unlink(missing_ok=True)

    def sync(self) -> None:
        """Make durable what was taken. Raises OSError."""
        if self._fd >= 0:
            os.fsync(self._fd)
            _sync_folder(self._folder)
            self._synced = self._clock()

    def seal(self) -> None:
        """End the file being written; the next record begins another."""
        if self._fd >= 0:
            self.sync()
            os.close(self._fd)
            self._fd = -1

    # Reading

    def oldest(self) -> Path | None:
        """The file to deliver first; None where nothing waits."""
        if len(self._segments) == 1:
            self.seal()
        return self._segments[0].file if self._segments else None

    def read(self, file: Path) -> list[bytes]:
        """Its records, in order. Raises SpoolError where it was written with another key, or by a later version; see
        above for the rest."""
        data = file.read_bytes()
        if len(data) <= _HEAD:
            return []  # its process ended before it had written a record
        if not data.startswith(_MAGIC):
            if data.startswith(_MAGIC[:-1]) and data[len(_MAGIC) - 1] > VERSION:
                raise SpoolError(f"{file} was written by a later version of the emitter: upgrade this one")
            self._set_aside(file, 0)
            return []
        head = data[:_HEAD]
        cipher, check = _cipher(self._key, head[len(_MAGIC) : -8])
        if check != head[-8:]:
            raise SpoolError(
                f"{file} was written with another key than this spool has: set that key again, or move the file away"
            )
        return self._frames(file, data, cipher, head)

    def _frames(self, file: Path, data: bytes, cipher: Any, head: bytes) -> list[bytes]:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # an extra; see _cipher

        records: list[bytes] = []
        at = _HEAD
        while at < len(data):
            end = at + _LENGTH.size
            length = _LENGTH.unpack_from(data, at)[0] if end <= len(data) else 0
            if length < _TAG or end + length > len(data):
                # Nothing but zeros or a piece of a frame is what a crash leaves; more than a frame holds is not.
                torn = len(data) - at
                log.warning("%s ends with %d bytes of a record that was being written: it was not taken", file, torn)
                break
            try:
                nonce = len(records).to_bytes(12, "big")
                records.append(cipher.decrypt(nonce, data[end : end + length], head))
            except InvalidTag:
                self._set_aside(file, len(records))
                break
            at = end + length
        return records

    def _set_aside(self, file: Path, good: int) -> None:
        """Keep what cannot be believed for a person to look at, where no reader comes."""
        aside = file.with_suffix(".damaged")
        file.rename(aside)
        log.error("%s is damaged after %d records, which are sent: what follows was not, and lies there", aside, good)

    def remove(self, file: Path) -> None:
        """All of ``file``, the oldest, is delivered."""
        assert self._segments[0].file == file
        self._segments.popleft()
        file.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the folder; what waits in it is the next process's."""
        self.seal()
        for lock in self._locks:
            os.close(lock)
        self._begin()


def _key(key: str, key_file: str) -> bytes:
    try:
        given = read_secret("key", key, key_file)
        raw = base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error) as exc:
        reason = str(exc) if key_file and key else "the key of a spool is no base64"
        raise SpoolError(f"{reason}: make one with openssl rand -base64 32") from exc
    if len(raw) != 32:
        raise SpoolError(f"the key of a spool has {len(raw)} bytes where 32 are: make one with openssl rand -base64 32")
    return raw


def _cipher(key: bytes, salt: bytes) -> tuple[Any, bytes]:
    """What encrypts a file, and the bytes that tell its key."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # an extra
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415
    except ModuleNotFoundError as exc:
        raise SpoolError("a spool needs the package that encrypts it: pip install 'wardwatch[spool]'") from exc
    derived = HKDF(algorithm=SHA256(), length=40, salt=salt, info=b"wardwatch.spool/1").derive(key)
    return AESGCM(derived[:32]), derived[32:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
