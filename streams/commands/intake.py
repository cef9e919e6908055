"""``intake``: serves the HTTP intake until SIGTERM."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import uvicorn

from streams import logs
from streams.admin import SetupError
from streams.embedded.java import port_is_free
from streams.intake import KafkaBroker, create_intake
from streams.settings import Settings
from streams.sources.known import Sources

__all__ = ["run"]


def run(settings: Settings, sources: Sources, *, host: str, port: int, cert: Path | None, key: Path | None) -> int:
    """Serve until SIGTERM or SIGINT. Raises SetupError where it cannot, or must not, be served so."""
    if not settings.intake_tokens:
        raise SetupError("nobody may send: name a producer and its token under intake_tokens in wardwatch.toml")
    tokens = {name: token.get_secret_value() for name, token in settings.intake_tokens.items()}
    if len(set(tokens.values())) < len(tokens):
        raise SetupError("two producers under intake_tokens have the same token: give each its own")
    if (cert is None) != (key is None):
        raise SetupError("--cert and --key belong together: give both, or neither")
    if cert is None and not _loopback(host):
        raise SetupError(
            f"{host} is no loopback address, and tokens must not cross a network in clear: give --cert and --key"
        )
    for path in (cert, key):
        if path is not None and not path.is_file():
            raise SetupError(f"{path} is no file: mend --cert or --key")
    if _loopback(host) and not port_is_free(port):
        raise SetupError(f"port {port} is in use: stop what holds it, or choose another")
    logs.set_up("WARNING")
    uvicorn.run(
        create_intake(
            KafkaBroker({"bootstrap_servers": settings.kafka, **settings.security.aiokafka()}), tokens, sources
        ),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=256,
        timeout_graceful_shutdown=15,
        ssl_certfile=cert,
        ssl_keyfile=key,
    )
    return 0


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
