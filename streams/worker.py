"""Runs one worker process: Faust's, with our logging and a clean end."""

from __future__ import annotations

import gc
import logging
import sys

import faust
import uvloop

from streams.admin import SetupError
from streams.agents import build
from streams.settings import Settings
from streams.sinks.store import StoreError

__all__ = ["run"]


def run(settings: Settings, *, loglevel: str = "WARNING") -> int:
    """Run until SIGTERM or SIGINT; gives the exit code. Raises SetupError before anything starts."""
    logging.basicConfig(
        stream=sys.stderr,
        level=loglevel,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for chatty in ("httpx", "httpcore"):  # they log URLs, which may hold a receiver's password
        logging.getLogger(chatty).setLevel(logging.WARNING)
    uvloop.install()
    worker = build(settings)
    # What is there now stays: no collection need walk it. A batch makes thousands of objects that live as long as it
    # does, and by default each of them would be looked at several times.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    process = faust.Worker(
        worker.app,
        loglevel=loglevel,
        override_logging=False,
        quiet=True,
        redirect_stdouts=False,
    )

    @worker.app.on_before_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    async def finish(*_: object, **__: object) -> None:
        await worker.close()

    try:
        process.execute_from_commandline()
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(run(Settings()))
    except (SetupError, StoreError) as exc:
        raise SystemExit(f"wardwatch: {exc}") from None
