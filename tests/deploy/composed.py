"""What ``docker-compose.yml`` says, for the tests that hold it against something."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "COMPOSE",
    "ENTRYPOINT",
    "IMAGE",
    "OURS",
    "ROOT",
    "SERVICES",
    "copy_keys",
    "seconds",
    "secrets_in",
    "secrets_of",
    "volumes_of",
]

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
IMAGE = {name: service for name, service in SERVICES.items() if service["image"] == "wardwatch"}
OURS = {name: service for name, service in IMAGE.items() if "entrypoint" not in service}
#: What the image's ENTRYPOINT runs, after its interpreter.
ENTRYPOINT = ["-P", "-m", "streams.cli"]


def secrets_of(service: Mapping[str, Any]) -> dict[str, str]:
    """Names of the files in /run/secrets, and the secrets they hold."""
    named = [one if isinstance(one, dict) else {"source": one} for one in service.get("secrets", [])]
    return {one.get("target", one["source"]): one["source"] for one in named}


def secrets_in(folder: Path) -> Path:
    """The folder of secrets as whoever deploys makes it, with a password for each name."""
    folder = folder / "secrets"
    folder.mkdir()
    for name in COMPOSE["secrets"]:
        (folder / name).write_text(f"synthetic-{name}\n")
    return folder


def seconds(value: str) -> int:
    return int(value.removesuffix("s"))


def volumes_of(service: Mapping[str, Any]) -> dict[str, str]:
    """What is mounted, by where."""
    return {volume.split(":")[1]: volume.split(":", 1)[0] for volume in service["volumes"]}


def copy_keys(made: Path, worker: Path) -> None:
    """The service ``keys``, with folders instead of volumes."""
    (option, script), (shell,) = IMAGE["keys"]["command"], IMAGE["keys"]["entrypoint"]
    for inside, outside in (("/var/lib/wardwatch", worker), ("/keys/keys", made / "keys"), ("$$", "$")):
        assert inside in script
        script = script.replace(inside, str(outside))
    subprocess.run([shell, option, script], check=True, timeout=30)
