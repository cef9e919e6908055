"""Runs a part of ``up`` so that it never outlives it: ``python -m streams.embedded.child MODULE [ARGUMENT…]``."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

__all__ = ["PARENT", "end_with_parent"]

#: Environment variable that names the process to end with.
PARENT = "WARDWATCH_PARENT"


def end_with_parent() -> None:
    """End this process, politely and then for good, once the one that PARENT names is not our parent any more."""
    parent = int(os.environ.get(PARENT, "0"))
    if parent:
        threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent watch").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    os._exit(1)


if __name__ == "__main__":
    end_with_parent()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
