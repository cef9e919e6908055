"""``python -m dashboards.console --store PATH --port N``: the console on loopback, until SIGTERM."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvicorn

from dashboards.console.app import create_app
from streams.embedded.java import port_is_free


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dashboards.console", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the embedded store's file")
    parser.add_argument("--port", type=int, default=8900)
    arguments = parser.parse_args()
    if not port_is_free(arguments.port):
        print(f"port {arguments.port} is in use: stop what holds it, or choose another", file=sys.stderr)
        return 1
    uvicorn.run(
        create_app(arguments.store),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
