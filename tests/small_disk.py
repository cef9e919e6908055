"""A file system of a few megabytes that can really be full: a tmpfs in a user and mount namespace of its own.

Nobody need be root, nothing is mounted where others see it, and it goes with the last process in it: the one that holds
it ends when its standard input does, so when we end, however we end.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

__all__ = ["NotAllowed", "SmallDisk"]

_HOLD = 'mount -t tmpfs -o "size=$1,mode=700" none "$2" && echo mounted && exec cat >/dev/null'


class NotAllowed(Exception):
    """The kernel gives this user no such file system. The message says what it said."""


class SmallDisk:
    """``folder`` is the file system for whatever :attr:`enter` starts, and :attr:`seen` is the same for us."""

    def __init__(self, folder: Path, *, megabytes: int) -> None:
        """``folder`` is made. Raises NotAllowed."""
        folder.mkdir(parents=True, exist_ok=True)
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _HOLD, "sh", f"{megabytes}m", folder]
        try:
            self._holder = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except FileNotFoundError:
            raise NotAllowed("there is no unshare on PATH") from None
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "mounted\n":
            _, said = self._holder.communicate()
            raise NotAllowed(said.strip() or "unshare ended")
        pid = self._holder.pid
        self.enter = ("nsenter", "--preserve-credentials", "--user", "--mount", "--target", str(pid))
        self.seen = Path(f"/proc/{pid}/root{folder.absolute()}")
        self._ballast = self.seen / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("ab", buffering=0) as file:
            size = 1 << 20
            while size:
                try:
                    if file.write(bytes(size)) < size:
                        size //= 2
                except OSError as exc:
                    if exc.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def free(self) -> None:
        """Give back what :meth:`fill` took."""
        self._ballast.unlink(missing_ok=True)

    def copy_out(self, target: Path) -> None:
        """All that lies there, for whoever reads it after the end."""
        shutil.copytree(self.seen, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("ballast"))

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.communicate()
        assert not os.path.lexists(self._ballast), "it is gone with its holder"
