"""Runs one worker process: Faust's, with our logging and a clean end."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import logging
import os
import sys
import threading

import faust
import uvloop

from streams import logs
from streams.admin import SetupError
from streams.agents import Worker, build
from streams.event_worker import EventsWorker
from streams.refusals import missing_permission
from streams.settings import Settings
from streams.sinks.database import StoreError

__all__ = ["run"]

log = logging.getLogger(__name__)

#: Of glibc's mallopt(3): bytes from which on a piece of memory goes back to the system when it is freed.
_M_MMAP_THRESHOLD = -3
#: Seconds that Kafka's client may take to leave its group, once all of ours is durable or given up.
LEAVING = 5.0


def run(settings: Settings, *, loglevel: str = "WARNING", only: str = "") -> int:
    """Run until SIGTERM or SIGINT; gives the exit code. Raises SetupError before anything starts.

    ``only``: ``events`` for a worker that keeps events and does nothing else.
    """
    logs.set_up(loglevel, settings.log_format)
    uvloop.install()
    worker = EventsWorker(settings) if only == "events" else build(settings)
    if worker.metrics is not None:
        worker.metrics.serve(settings.metrics_address, worker.settings.metrics_port)
    _set_up_memory()
    process = _Process(
        worker.app,
        loglevel=loglevel,
        override_logging=False,
        quiet=True,
        redirect_stdouts=False,
    )
    process.spinner = None  # it moves a terminal's cursor, also in a log that a machine reads

    @worker.app.on_before_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    async def finish(*_: object, **__: object) -> None:
        await worker.close()
        leaving = threading.Timer(LEAVING, _leave, [worker])
        leaving.daemon = True
        leaving.start()

    try:
        process.execute_from_commandline()
    except SystemExit as exc:
        if told := _not_allowed(worker):
            log.critical(told)
        return exc.code if isinstance(exc.code, int) else 1
    return 0


def _not_allowed(worker: Worker | EventsWorker) -> str:
    """What Kafka stopped to allow a worker that read, where that is why it ended; empty else."""
    reason = worker.app.crash_reason
    group = f"Read Group {worker.settings.application}"
    topic = f"Read Topic {reason.args[0]}" if reason is not None and reason.args else ""
    return missing_permission(reason, worker.client, group=group, topic=topic) if reason is not None else ""


def _set_up_memory() -> None:
    # What is there now stays: no collection need walk it. A batch makes thousands of objects that live as long as it
    # does, and by default each of them would be looked at several times.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # What the network brings is freed in one piece. glibc learns to keep such pieces, a hundred megabytes of them.
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such thing
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


class _Process(faust.Worker):  # type: ignore[misc]
    """Faust's, but for what it does at two signals: it prints local variables, which hold patients, and waits for a
    debugger, which stops every partition."""

    def _on_sigusr1(self) -> None:
        faulthandler.dump_traceback()  # where each thread is, and no values

    def _on_sigusr2(self) -> None:
        log.warning("SIGUSR2 means nothing here; SIGUSR1 tells where each thread is")


def _leave(worker: Worker | EventsWorker) -> None:
    """End the process. Faust waits for its consumer for a minute and for its thread for ever, if no broker answers."""
    log.warning("Kafka does not answer; the group will notice within %.0f s", worker.settings.session_timeout)
    os._exit(1 if worker.app.crashed else 0)


if __name__ == "__main__":
    try:
        raise SystemExit(run(Settings(), only="events" if sys.argv[1:] == ["--only", "events"] else ""))
    except (SetupError, StoreError) as exc:
        raise SystemExit(f"wardwatch: {exc}") from None
